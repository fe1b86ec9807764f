"""SARIF 2.1.0 (OASIS) of a facts document, with fingerprints bound to the tree that was looked at."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sigma_core.canonical import sha256_of
from sigma_core.sandbox.facts import FactKind, FactsDocument
from sigma_core.sandbox.rules import load_rules

_LEVELS = {"CRITICAL": "error", "HIGH": "error", "MEDIUM": "warning", "LOW": "note", "INFO": "note"}
_SECURITY_SEVERITY = {"CRITICAL": "9.5", "HIGH": "8.0", "MEDIUM": "5.0", "LOW": "3.0", "INFO": "0.0"}
INFORMATION_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html"


def to_sarif(facts: FactsDocument, package_name: str, tool_version: str) -> dict[str, Any]:
    """One run with every fact but plain capabilities and declarations as a result. ``package_name`` names the artefact root for people."""
    rules = load_rules()
    document = facts.document
    shown = [
        fact
        for fact in document["facts"]
        if fact["kind"] not in {FactKind.CAPABILITY, FactKind.DECLARED} or fact["category"] == "coverage"
    ]
    used = sorted({fact["ruleId"] for fact in shown})
    index = {rule_id: at for at, rule_id in enumerate(used)}
    tree_hash = document["package"]["treeHash"]
    blocked = {(signal["ruleId"], signal["file"], signal["line"]) for signal in document["risk"]["blockingSignals"]}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "SIGMA sandbox",
                        "version": tool_version,
                        "informationUri": INFORMATION_URI,
                        "rules": [
                            {
                                "id": rule_id,
                                "name": rules[rule_id].title,
                                "shortDescription": {"text": rules[rule_id].title},
                                "fullDescription": {"text": rules[rule_id].rationale},
                                "help": {"text": rules[rule_id].fix},
                                "defaultConfiguration": {"level": _LEVELS[rules[rule_id].severity.value]},
                                "properties": {
                                    "tags": [
                                        "security",
                                        rules[rule_id].owasp,
                                        rules[rule_id].atlas,
                                        rules[rule_id].category,
                                    ],
                                    "security-severity": _SECURITY_SEVERITY[rules[rule_id].severity.value],
                                },
                            }
                            for rule_id in used
                        ],
                    }
                },
                "automationDetails": {"id": f"sigma/{package_name}/{tree_hash}"},
                "invocations": [{"executionSuccessful": facts.complete}],
                "columnKind": "unicodeCodePoints",
                "results": [_result(fact, index, tree_hash, blocked) for fact in shown],
                "properties": {
                    "factsSha256": facts.sha256,
                    "rulePackHash": document["rulePackHash"],
                    "policyHash": document["policyHash"],
                    "treeHash": tree_hash,
                },
            }
        ],
    }


def _result(
    fact: dict[str, Any], index: dict[str, int], tree_hash: str, blocked: set[tuple[str, str, int]]
) -> dict[str, Any]:
    place = {key: fact[key] for key in ("ruleId", "file", "layer", "subject", "byteStart")}
    region: dict[str, Any] = {
        "startLine": max(1, fact["lineStart"]),
        "endLine": max(1, fact["lineStart"], fact["lineEnd"]),
    }
    if not fact["layer"]:
        # Inside a layer the byte range counts decoded bytes, which are no region of the file.
        region |= {"byteOffset": fact["byteStart"], "byteLength": max(0, fact["byteEnd"] - fact["byteStart"])}
    if fact["excerpt"]:
        region["snippet"] = {"text": fact["excerpt"]}
    result: dict[str, Any] = {
        "ruleId": fact["ruleId"],
        "ruleIndex": index[fact["ruleId"]],
        "level": _LEVELS[fact["severity"]],
        "message": {"text": f"{fact['title']}: {fact['subject']}" if fact["subject"] else fact["title"]},
        "partialFingerprints": {"sigmaFact/v1": sha256_of({"tree": tree_hash, **place})},
        "properties": {
            "blocking": (fact["ruleId"], fact["file"], fact["lineStart"]) in blocked,
            "context": fact["context"],
            "confidencePpm": fact["confidencePpm"],
            "layer": fact["layer"],
        },
    }
    if fact["file"]:
        result["locations"] = [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(fact["file"]), "uriBaseId": "%SRCROOT%"},
                    "region": region,
                }
            }
        ]
    return result


def _uri(path: str) -> str:
    return quote(path, safe="/")
