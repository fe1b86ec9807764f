"""What one pass of the sandbox over a package comes to, without a round: the document that every surface gives for a dry run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sigma_core.sandbox.decision import findings
from sigma_core.sandbox.evidence import Evidence
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.sandbox.suppressions import Suppressions, View, suppression_report
from sigma_core.submissions.package import Package


@dataclass(frozen=True)
class Checked:
    """One package, its facts, what they amount to beside the suppressions, and what others say of it."""

    package: Package
    facts: FactsDocument
    suppressions: Suppressions | None
    view: View
    evidence: Sequence[Evidence]


def report(checked: Checked) -> dict[str, Any]:
    """The dry run's JSON document. Everything but ``evidence`` follows from the facts, the policy and the suppressions."""
    document, package = checked.view.document, checked.package
    risk = document["risk"]
    return {
        "name": package.manifest.get("name") or package.source_name,
        "version": package.manifest.get("version"),
        "productType": package.product_type.value,
        "decision": checked.view.decision.value,
        "securityLevel": risk["securityLevel"],
        "sandboxRiskLevel": risk["sandboxRiskLevel"],
        "coverageComplete": checked.facts.complete,
        "blockingSignals": risk["blockingSignals"],
        "findings": [dict(fact) for fact in findings(document["facts"]) if fact["severity"] != "INFO"],
        "capabilities": [fact["subject"] for fact in document["facts"] if fact["ruleId"] == "SIGMA-CAP-001"],
        "declared": document["declared"],
        "incidents": document["coverage"]["incidents"],
        "suppressions": suppression_report(checked.view, checked.suppressions) if checked.suppressions else None,
        "evidence": [evidence.as_json() for evidence in checked.evidence],
        "factsSha256": checked.facts.sha256,
        "treeHash": package.tree_hash,
        "skillHash": package.skill_hash,
        "rulePackHash": document["rulePackHash"],
        "policyHash": document["policyHash"],
    }
