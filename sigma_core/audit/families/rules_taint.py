"""Family ``rules_taint``: what parsing found. Flows from a source to a sink, and threats in their structure, held
against the view.

The parsing, the taint analysis and the rules are the sandbox's, whose facts come with every request; this family judges
them. It takes a fact as evidence only where the bytes it speaks of still stand in the view, so that nothing is cited
that its panel cannot see, and it weighs a fact by its severity and by the confidence of its rule. Its errors are those
of structure: it misses what has no flow and no known shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sigma_core.audit.families.embedded import (
    Analysis,
    EmbeddedFamily,
    either_ppm,
    file_paths,
    quote_of_lines,
    revision_of,
    strongest_first,
)
from sigma_core.audit.grounding import Category
from sigma_core.audit.model import Finding, View
from sigma_core.policy import PPM
from sigma_core.sandbox.facts import FactKind, FactsDocument, Severity
from sigma_core.submissions.package import Package

_JUDGED_KINDS = frozenset(
    {FactKind.THREAT.value, FactKind.INJECTION.value, FactKind.OBFUSCATION.value, FactKind.SUPPLY_CHAIN.value}
)
_SEVERITY_SHARE_PPM = {
    Severity.CRITICAL: 1_000_000,
    Severity.HIGH: 600_000,
    Severity.MEDIUM: 350_000,
    Severity.LOW: 100_000,
    Severity.INFO: 0,
}
_BLOCKING_SHARE_PPM = 900_000
"""At least this much of its rule's confidence counts for a fact that raised a blocking signal."""

_LEAST_EVIDENCE_PPM = 150_000
_WORDING = "wording"
"""The category of facts that `text_statistics` judges."""

_CATEGORY_OF_KIND = {
    FactKind.THREAT.value: Category.REMOTE_CODE,
    FactKind.INJECTION.value: Category.PROMPT_INJECTION,
    FactKind.OBFUSCATION.value: Category.OBFUSCATION,
    FactKind.SUPPLY_CHAIN.value: Category.SUPPLY_CHAIN,
}
_CATEGORY_OF_FACT = {
    **{category.value: category for category in Category},
    "agent_configuration": Category.MEMORY_POISONING,
    "autonomy_abuse": Category.RESOURCE_ABUSE,
    "ci": Category.SUPPLY_CHAIN,
    "command_and_control": Category.REMOTE_CODE,
    "covert_action": Category.CONCEALMENT,
    "credential_harvest": Category.SOCIAL_ENGINEERING,
    "evasion": Category.DEFENSE_EVASION,
    "exposure": Category.PRIVILEGE_ESCALATION,
    "financial": Category.FINANCIAL_ACCESS,
    "hidden_instruction": Category.OBFUSCATION,
    "leak": Category.EXFILTRATION,
    "reconnaissance": Category.CREDENTIAL_ACCESS,
    "safety_bypass": Category.DEFENSE_EVASION,
    "self_modification": Category.PERSISTENCE,
    "self_propagation": Category.PERSISTENCE,
    "surveillance": Category.EXFILTRATION,
}
"""The sandbox's finer categories in the list that findings choose from; what is not here has its kind's."""


class RulesTaint(EmbeddedFamily):
    """The sandbox's threats and flows, weighed."""

    family = "rules_taint"
    revision = revision_of(__package__, "rules_taint.py", "embedded.py")

    def analyse(self, package: Package, facts: FactsDocument, view: View) -> Analysis:  # noqa: ARG002
        """Score: noisy or over the strongest grounded fact of each rule."""
        strongest: dict[str, int] = {}
        findings = []
        for rule, finding in _evidence(package, facts):
            strongest[rule] = max(strongest.get(rule, 0), finding.confidence_ppm)
            findings.append(finding)
        return Analysis(either_ppm(strongest.values()), strongest_first(findings), file_paths(package))


def _evidence(package: Package, facts: FactsDocument) -> Iterator[tuple[str, Finding]]:
    blocking = {(signal["ruleId"], signal["file"], signal["line"]) for signal in facts.blocking_signals}
    for fact in facts.facts:
        if fact["kind"] not in _JUDGED_KINDS or fact["context"] != "use" or fact["category"] == _WORDING:
            continue
        severity = Severity(fact["severity"])
        share = _SEVERITY_SHARE_PPM[severity]
        if (fact["ruleId"], fact["file"], fact["lineStart"]) in blocking:
            share = max(share, _BLOCKING_SHARE_PPM)
        weight = fact["confidencePpm"] * share // PPM
        if weight < _LEAST_EVIDENCE_PPM:
            continue
        finding = _grounded(package, fact, severity, weight)
        if finding is not None:
            yield fact["ruleId"], finding


def _grounded(package: Package, fact: Mapping[str, Any], severity: Severity, weight: int) -> Finding | None:
    file = package.by_path.get(fact["file"])
    quoted = quote_of_lines(file.content, fact["lineStart"], fact["lineEnd"]) if file is not None else None
    if file is None or quoted is None:
        return None
    # A fact of a decoded layer has that layer's bytes; its lines are those of the encoded text.
    if not fact["layer"] and not file.content[fact["byteStart"] : fact["byteEnd"]].strip():
        return None
    line_start, line_end, quote = quoted
    category = _CATEGORY_OF_FACT.get(fact["category"], _CATEGORY_OF_KIND[fact["kind"]])
    layer = f", under {fact['layer']}" if fact["layer"] else ""
    return Finding(
        severity=severity,
        category=category.value,
        file=file.path,
        line_start=line_start,
        line_end=line_end,
        quote=quote,
        rationale=f"{fact['ruleId']}: {fact['title']} ({fact['subject']}){layer}"[:400],
        confidence_ppm=weight,
    )
