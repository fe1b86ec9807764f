"""SARIF 2.1.0 (OASIS) of a facts document, with fingerprints bound to the tree that was looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sigma_core.sandbox import fingerprints
from sigma_core.sandbox.facts import FactKind, FactsDocument
from sigma_core.sandbox.rules import Rule, load_rules
from sigma_core.sandbox.suppressions import Suppression
from sigma_core.sandbox.taxonomies import ATLAS, OWASP_AGENTIC_SKILLS, TAXONOMIES, Taxonomy

_LEVELS = {"CRITICAL": "error", "HIGH": "error", "MEDIUM": "warning", "LOW": "note", "INFO": "note"}
_SECURITY_SEVERITY = {"CRITICAL": "9.5", "HIGH": "8.0", "MEDIUM": "5.0", "LOW": "3.0", "INFO": "0.0"}
_ROOT = "%SRCROOT%"
SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def to_sarif(
    facts: FactsDocument,
    package_name: str,
    tool_version: str,
    suppressed: Sequence[tuple[Mapping[str, Any], Suppression]] = (),
    suppressions_sha256: str | None = None,
) -> dict[str, Any]:
    """One run with every fact but plain capabilities and declarations as a result. ``package_name`` names the artefact root for people.

    ``suppressed`` are the facts that a person has set aside, with the entries that say so, and ``suppressions_sha256`` the hash of
    the file that they stand in; such results stay in the run and carry ``suppressions``. What was not inspected is a notification.
    """
    book = load_rules()
    document = facts.document
    shown = [
        fact
        for fact in document["facts"]
        if fact["kind"] not in {FactKind.CAPABILITY, FactKind.DECLARED} or fact["category"] == "coverage"
    ]
    rules = [book[rule_id] for rule_id in sorted({fact["ruleId"] for fact in shown})]
    used = {taxonomy.name: _entries(taxonomy, rules) for taxonomy in TAXONOMIES}
    tree_hash = document["package"]["treeHash"]
    results = _Results(document, rules, {fingerprints.in_tree(fact, tree_hash): entry for fact, entry in suppressed})
    properties = {
        "factsSha256": facts.sha256,
        "rulePackHash": document["rulePackHash"],
        "policyHash": document["policyHash"],
        "treeHash": tree_hash,
        "coverageComplete": facts.complete,
    }
    if suppressions_sha256 is not None:
        properties["suppressionsSha256"] = suppressions_sha256
    return {
        "$schema": SCHEMA_URI,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "SIGMA sandbox",
                        "version": tool_version,
                        "supportedTaxonomies": [
                            {"name": taxonomy.name, "index": at} for at, taxonomy in enumerate(TAXONOMIES)
                        ],
                        "rules": [_rule(rule, used) for rule in rules],
                    }
                },
                "taxonomies": [_taxonomy(taxonomy, used[taxonomy.name]) for taxonomy in TAXONOMIES],
                "automationDetails": {"id": f"sigma/{package_name}/{tree_hash}"},
                "invocations": [_invocation(facts)],
                "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the package."}}},
                "artifacts": [
                    {
                        "location": {"uri": _uri(file["path"]), "uriBaseId": _ROOT},
                        "length": file["size"],
                        "hashes": {"sha-256": file["sha256"]},
                    }
                    for file in document["coverage"]["files"]
                ],
                "columnKind": "unicodeCodePoints",
                "results": [results.of(fact) for fact in shown],
                "properties": properties,
            }
        ],
    }


def _rule(rule: Rule, used: Mapping[str, list[str]]) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.title,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.rationale},
        "help": {"text": rule.fix},
        "defaultConfiguration": {"level": _LEVELS[rule.severity.value]},
        "relationships": [
            {
                "target": {
                    "id": entry,
                    "index": used[taxonomy.name].index(entry),
                    "toolComponent": {"name": taxonomy.name, "index": TAXONOMIES.index(taxonomy)},
                },
                "kinds": ["superset"],
            }
            for taxonomy, entry in ((OWASP_AGENTIC_SKILLS, rule.owasp), (ATLAS, rule.atlas))
        ],
        "properties": {
            "tags": ["security", rule.owasp, rule.atlas, rule.category],
            "security-severity": _SECURITY_SEVERITY[rule.severity.value],
        },
    }


def _entries(taxonomy: Taxonomy, rules: Sequence[Rule]) -> list[str]:
    """The entries of ``taxonomy`` that ``rules`` point at, sorted."""
    return sorted({entry for rule in rules for entry in (rule.owasp, rule.atlas) if entry in taxonomy.entries})


def _taxonomy(taxonomy: Taxonomy, entries: Sequence[str]) -> dict[str, Any]:
    return {
        "name": taxonomy.name,
        "organization": taxonomy.organization,
        "version": taxonomy.version,
        "informationUri": taxonomy.uri,
        "shortDescription": {"text": taxonomy.name},
        # Only what the rules of this run point at.
        "isComprehensive": False,
        "taxa": [
            {"id": entry, "name": taxonomy.entries[entry], "shortDescription": {"text": taxonomy.entries[entry]}}
            for entry in entries
        ],
    }


def _invocation(facts: FactsDocument) -> dict[str, Any]:
    notifications = []
    for incident in facts.document["coverage"]["incidents"]:
        notification: dict[str, Any] = {
            "level": "error",
            "message": {"text": f"Not fully inspected: {incident['analyser']}: {incident['reason']}"},
        }
        if incident["file"]:
            location = {"artifactLocation": {"uri": _uri(incident["file"]), "uriBaseId": _ROOT}}
            notification["locations"] = [{"physicalLocation": location}]
        notifications.append(notification)
    return {"executionSuccessful": facts.complete, "toolExecutionNotifications": notifications}


class _Results:
    def __init__(self, document: Mapping[str, Any], rules: Sequence[Rule], suppressed: Mapping[str, Suppression]):
        self.tree_hash = document["package"]["treeHash"]
        self.rule_index = {rule.id: at for at, rule in enumerate(rules)}
        self.file_index = {file["path"]: at for at, file in enumerate(document["coverage"]["files"])}
        self.blocking = {
            (signal["ruleId"], signal["file"], signal["line"]) for signal in document["risk"]["blockingSignals"]
        }
        self.suppressed = suppressed

    def of(self, fact: Mapping[str, Any]) -> dict[str, Any]:
        """The result of one JSON fact."""
        identity = fingerprints.in_tree(fact, self.tree_hash)
        result: dict[str, Any] = {
            "ruleId": fact["ruleId"],
            "ruleIndex": self.rule_index[fact["ruleId"]],
            "level": _LEVELS[fact["severity"]],
            "message": {"text": f"{fact['title']}: {fact['subject']}" if fact["subject"] else fact["title"]},
            "partialFingerprints": {"sigmaFact/v1": identity, "sigmaPlace/v1": fingerprints.in_place(fact)},
            "properties": {
                "blocking": (fact["ruleId"], fact["file"], fact["lineStart"]) in self.blocking,
                "context": fact["context"],
                "confidencePpm": fact["confidencePpm"],
                "layer": fact["layer"],
            },
        }
        if fact["file"]:
            artifact: dict[str, Any] = {"uri": _uri(fact["file"]), "uriBaseId": _ROOT}
            if fact["file"] in self.file_index:
                artifact["index"] = self.file_index[fact["file"]]
            result["locations"] = [{"physicalLocation": {"artifactLocation": artifact, "region": _region(fact)}}]
        if identity in self.suppressed:
            result["suppressions"] = [_suppression(self.suppressed[identity])]
        return result


def _region(fact: Mapping[str, Any]) -> dict[str, Any]:
    region: dict[str, Any] = {
        "startLine": max(1, fact["lineStart"]),
        "endLine": max(1, fact["lineStart"], fact["lineEnd"]),
    }
    if not fact["layer"]:
        # Inside a layer the byte range counts decoded bytes, which are no region of the file.
        region |= {"byteOffset": fact["byteStart"], "byteLength": max(0, fact["byteEnd"] - fact["byteStart"])}
    if fact["excerpt"]:
        region["snippet"] = {"text": fact["excerpt"]}
    return region


def _suppression(entry: Suppression) -> dict[str, Any]:
    return {
        "kind": "external",
        "status": "accepted",
        "justification": entry.reason,
        "properties": {"owner": entry.owner, "expires": entry.expires.isoformat(), "entry": entry.number},
    }


def _uri(path: str) -> str:
    return quote(path, safe="/")
