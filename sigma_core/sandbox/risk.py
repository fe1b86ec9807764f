"""From facts to risk: a declared sum of integer weights, and the signals that block.

A fact that is used (not merely mentioned) gives its rule's weight once per file, at most `REPEATS` times per rule; the sum, capped at 100 points, is the score. A rule that
blocks raises its signal whatever the score. Several strong facts of different rules that do not block alone block together (`JOINT_SCORE`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sigma_core.sandbox.facts import FactKind, RiskLevel, SecurityLevel, Severity, SignalKind
from sigma_core.sandbox.rules import RuleBook

REPEATS = 2
MAX_SCORE = 100
JOINT_SCORE = 80
"""Points of rules that do not block by themselves, at which they block together."""
JOINT_RULES = 3
"""Distinct rules of at least `JOINT_WEIGHT` points that the joint block needs."""
JOINT_WEIGHT = 8
MAX_RETAINED = 50

_LEVELS = ((70, RiskLevel.CRITICAL), (35, RiskLevel.HIGH), (12, RiskLevel.MEDIUM), (0, RiskLevel.LOW))


def _reason(fact: Mapping[str, Any]) -> str:
    return f"{fact['title']}: {fact['subject']}" if fact["subject"] else str(fact["title"])


def assess(facts: Sequence[Mapping[str, Any]], rules: RuleBook, complete: bool) -> dict[str, Any]:
    """The ``risk`` object of the facts document. ``facts`` are JSON facts in canonical order."""
    files: dict[str, set[str]] = {}
    signals: dict[tuple[str, str, int], dict[str, Any]] = {}
    errors, warnings = [], []
    for fact in facts:
        if fact["context"] != "use" or fact["kind"] in {FactKind.CAPABILITY, FactKind.DECLARED}:
            continue
        rule = rules[fact["ruleId"]]
        files.setdefault(rule.id, set()).add(fact["file"])
        entry = {"ruleId": rule.id, "reason": _reason(fact), "file": fact["file"], "line": fact["lineStart"]}
        if rule.blocks is not None:
            signals.setdefault((rule.id, fact["file"], fact["lineStart"]), {"kind": rule.blocks.value, **entry})
        if rule.severity in {Severity.HIGH, Severity.CRITICAL}:
            errors.append(entry)
        elif rule.severity in {Severity.MEDIUM, Severity.LOW}:
            warnings.append(entry)
    contributions: list[dict[str, Any]] = [
        {"ruleId": rule_id, "weight": rules[rule_id].weight, "count": min(len(paths), REPEATS)}
        for rule_id, paths in sorted(files.items())
        if rules[rule_id].weight
    ]
    soft = [entry for entry in contributions if rules[entry["ruleId"]].blocks is None]
    soft_points = sum(entry["weight"] for entry in soft)
    if (
        not signals
        and soft_points >= JOINT_SCORE
        and sum(1 for entry in soft if entry["weight"] >= JOINT_WEIGHT) >= JOINT_RULES
    ):
        first = next(
            fact
            for fact in facts
            if fact["ruleId"] == max(soft, key=lambda entry: (entry["weight"], entry["ruleId"]))["ruleId"]
            and fact["context"] == "use"
        )
        reason = "Several strong facts together: " + ", ".join(
            entry["ruleId"] for entry in soft if entry["weight"] >= JOINT_WEIGHT
        )
        signals[("SIGMA-RISK-001", first["file"], first["lineStart"])] = {
            "kind": SignalKind.HARD_FAILURE.value,
            "ruleId": "SIGMA-RISK-001",
            "reason": reason,
            "file": first["file"],
            "line": first["lineStart"],
        }
    score = min(MAX_SCORE, sum(entry["weight"] * entry["count"] for entry in contributions))
    level = next(level for least, level in _LEVELS if score >= least)
    if not complete and level is RiskLevel.LOW:
        level = RiskLevel.MEDIUM
    if signals:
        level = RiskLevel.CRITICAL if level in {RiskLevel.HIGH, RiskLevel.CRITICAL} else RiskLevel.HIGH
    security = {
        RiskLevel.LOW: SecurityLevel.CLEAR,
        RiskLevel.MEDIUM: SecurityLevel.NOTICE,
        RiskLevel.HIGH: SecurityLevel.WARNING,
        RiskLevel.CRITICAL: SecurityLevel.DANGER,
    }[level]
    if signals:
        security = SecurityLevel.DANGER
    elif level is RiskLevel.LOW and warnings:
        security = SecurityLevel.NOTICE if score else SecurityLevel.CLEAR
    return {
        "sandboxRiskLevel": level.value,
        "securityLevel": security.value,
        "score": score,
        "retainedErrors": errors[:MAX_RETAINED],
        "retainedWarnings": warnings[:MAX_RETAINED],
        "blockingSignals": [signals[key] for key in sorted(signals)],
        "contributions": contributions,
    }
