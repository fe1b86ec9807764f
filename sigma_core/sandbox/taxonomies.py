"""The public lists that every rule is mapped to, and what they call their entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """A public list: its name, who keeps it, the version that the names are taken from, and its entries by id."""

    name: str
    organization: str
    version: str
    uri: str
    entries: Mapping[str, str]


OWASP_AGENTIC_SKILLS = Taxonomy(
    "OWASP Agentic Skills Top 10",
    "OWASP",
    "2026",
    "https://owasp.org/www-project-agentic-skills-top-10/",
    {
        "AST01": "Malicious skills",
        "AST02": "Supply chain compromise",
        "AST03": "Over-privileged skills",
        "AST04": "Insecure metadata",
        "AST05": "Unsafe deserialisation",
        "AST06": "Weak isolation",
        "AST07": "Update drift",
        "AST08": "Poor scanning",
        "AST09": "No governance",
        "AST10": "Cross-platform reuse",
    },
)

# The techniques that bear on packages for agents; ATLAS has more, for those who train and serve models.
ATLAS = Taxonomy(
    "MITRE ATLAS",
    "MITRE",
    "5.6.0",
    "https://atlas.mitre.org/",
    {
        "AML.T0010": "AI Supply Chain Compromise",
        "AML.T0010.001": "AI Software",
        "AML.T0010.005": "AI Agent Tool",
        "AML.T0011": "User Execution",
        "AML.T0011.000": "Unsafe AI Artifacts",
        "AML.T0011.001": "Malicious Package",
        "AML.T0011.002": "Poisoned AI Agent Tool",
        "AML.T0011.003": "Malicious Link",
        "AML.T0015": "Evade AI Model",
        "AML.T0018.002": "Embed Malware",
        "AML.T0025": "Exfiltration via Cyber Means",
        "AML.T0029": "Denial of AI Service",
        "AML.T0034": "Cost Harvesting",
        "AML.T0034.002": "Agentic Resource Consumption",
        "AML.T0035": "AI Artifact Collection",
        "AML.T0036": "Data from Information Repositories",
        "AML.T0037": "Data from Local System",
        "AML.T0048": "External Harms",
        "AML.T0048.000": "Financial Harm",
        "AML.T0048.003": "User Harm",
        "AML.T0049": "Exploit Public-Facing Application",
        "AML.T0050": "Command and Scripting Interpreter",
        "AML.T0051": "LLM Prompt Injection",
        "AML.T0051.000": "Direct",
        "AML.T0051.001": "Indirect",
        "AML.T0051.002": "Triggered",
        "AML.T0052": "Phishing",
        "AML.T0053": "AI Agent Tool Invocation",
        "AML.T0054": "LLM Jailbreak",
        "AML.T0055": "Unsecured Credentials",
        "AML.T0056": "Extract LLM System Prompt",
        "AML.T0057": "LLM Data Leakage",
        "AML.T0060": "Publish Hallucinated Entities",
        "AML.T0061": "LLM Prompt Self-Replication",
        "AML.T0067": "LLM Trusted Output Components Manipulation",
        "AML.T0068": "LLM Prompt Obfuscation",
        "AML.T0070": "RAG Poisoning",
        "AML.T0072": "Reverse Shell",
        "AML.T0073": "Impersonation",
        "AML.T0074": "Masquerading",
        "AML.T0077": "LLM Response Rendering",
        "AML.T0078": "Drive-by Compromise",
        "AML.T0080": "AI Agent Context Poisoning",
        "AML.T0080.000": "Memory",
        "AML.T0080.001": "Thread",
        "AML.T0081": "Modify AI Agent Configuration",
        "AML.T0083": "Credentials from AI Agent Configuration",
        "AML.T0085": "Data from AI Services",
        "AML.T0086": "Exfiltration via AI Agent Tool Invocation",
        "AML.T0090": "OS Credential Dumping",
        "AML.T0091": "Use Alternate Authentication Material",
        "AML.T0092": "Manipulate User LLM Chat History",
        "AML.T0094": "Delay Execution of LLM Instructions",
        "AML.T0096": "AI Service API",
        "AML.T0097": "Virtualization/Sandbox Evasion",
        "AML.T0098": "AI Agent Tool Credential Harvesting",
        "AML.T0099": "AI Agent Tool Data Poisoning",
        "AML.T0100": "AI Agent Clickbait",
        "AML.T0101": "Data Destruction via AI Agent Tool Invocation",
        "AML.T0102": "Generate Malicious Commands",
        "AML.T0103": "Deploy AI Agent",
        "AML.T0105": "Escape to Host",
        "AML.T0106": "Exploitation for Credential Access",
        "AML.T0107": "Exploitation for Defense Evasion",
        "AML.T0109": "AI Supply Chain Rug Pull",
        "AML.T0110": "AI Agent Tool Poisoning",
        "AML.T0111": "AI Supply Chain Reputation Inflation",
        "AML.T0112": "Machine Compromise",
    },
)

TAXONOMIES = (OWASP_AGENTIC_SKILLS, ATLAS)


def name_of(entry: str) -> str:
    """What the entry ``entry`` (``AST01``, ``AML.T0051``) is called. Raises KeyError for one that no list here has."""
    return next(taxonomy.entries[entry] for taxonomy in TAXONOMIES if entry in taxonomy.entries)
