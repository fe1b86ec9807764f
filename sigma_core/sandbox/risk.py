"""From facts to risk: a declared sum of integer weights, and the signals that block.

A fact that is used (not merely mentioned) gives its rule's weight once per file, at most `REPEATS` times per rule; the sum, capped at 100 points, is the score. A rule that
blocks raises its signal whatever the score. Several strong facts of different rules that do not block alone are a fact together, `JOINT_RULE`, which does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sigma_core.sandbox.facts import FactKind, RiskLevel, SecurityLevel, Severity, canonical_order
from sigma_core.sandbox.rules import RuleBook

REPEATS = 2
MAX_SCORE = 100
JOINT_RULE = "SIGMA-RISK-001"
JOINT_SCORE = 80
"""Points of rules that do not block by themselves, each counted once, at which they are a fact together."""
JOINT_RULES = 3
"""Distinct rules of at least `JOINT_WEIGHT` points that it needs."""
JOINT_WEIGHT = 8
MAX_RETAINED = 50
_NAMED_PARTS = 5

_LEVELS = ((70, RiskLevel.CRITICAL), (35, RiskLevel.HIGH), (12, RiskLevel.MEDIUM), (0, RiskLevel.LOW))


def _reason(fact: Mapping[str, Any]) -> str:
    return f"{fact['title']}: {fact['subject']}" if fact["subject"] else str(fact["title"])


def _weighs(fact: Mapping[str, Any]) -> bool:
    return fact["context"] == "use" and fact["kind"] not in {FactKind.CAPABILITY, FactKind.DECLARED}


def _parts(facts: Sequence[Mapping[str, Any]], rules: RuleBook) -> list[Mapping[str, Any]]:
    """The first fact of each rule that has a weight and does not block, heaviest first."""
    first: dict[str, Mapping[str, Any]] = {}
    for fact in facts:
        rule = rules[fact["ruleId"]]
        if _weighs(fact) and rule.weight and rule.blocks is None:
            first.setdefault(rule.id, fact)
    return sorted(first.values(), key=lambda fact: (-rules[fact["ruleId"]].weight, fact["ruleId"]))


def with_joint_fact(facts: Sequence[dict[str, Any]], rules: RuleBook) -> list[dict[str, Any]]:
    """``facts`` in canonical order, with the one of `JOINT_RULE` as they make it: where nothing blocks alone, and the
    weights reach `JOINT_SCORE`. It stands where the heaviest of its parts does."""
    others = [fact for fact in facts if fact["ruleId"] != JOINT_RULE]
    parts = _parts(others, rules)
    strong = [fact for fact in parts if rules[fact["ruleId"]].weight >= JOINT_WEIGHT]
    points = sum(rules[fact["ruleId"]].weight for fact in parts)
    blocked = any(_weighs(fact) and rules[fact["ruleId"]].blocks is not None for fact in others)
    if blocked or points < JOINT_SCORE or len(strong) < JOINT_RULES:
        return others
    rule, heaviest = rules[JOINT_RULE], parts[0]
    listed = " + ".join(f"{fact['ruleId']} {rules[fact['ruleId']].weight}" for fact in parts[:_NAMED_PARTS])
    joint = {
        **heaviest,
        "kind": rule.kind.value,
        "ruleId": rule.id,
        "title": rule.title,
        "category": rule.category,
        "severity": rule.severity.value,
        "confidencePpm": rule.confidence_ppm,
        "subject": f"{points} points: {listed}" + (" + …" if len(parts) > _NAMED_PARTS else ""),
    }
    return sorted([*others, joint], key=canonical_order)


def assess(facts: Sequence[Mapping[str, Any]], rules: RuleBook, complete: bool) -> dict[str, Any]:
    """The ``risk`` object of the facts document. ``facts`` are JSON facts in canonical order, by `with_joint_fact`."""
    files: dict[str, set[str]] = {}
    signals: dict[tuple[str, str, int], dict[str, Any]] = {}
    errors, warnings = [], []
    for fact in facts:
        if not _weighs(fact):
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
        "joint": _joint(facts, rules) if JOINT_RULE in files else None,
    }


def _joint(facts: Sequence[Mapping[str, Any]], rules: RuleBook) -> dict[str, Any]:
    """How the weights of the joint fact come together: ``{points, leastPoints, leastRules, leastWeight, parts[{ruleId, weight, file, line}]}``."""
    parts = _parts(facts, rules)
    return {
        "points": sum(rules[fact["ruleId"]].weight for fact in parts),
        "leastPoints": JOINT_SCORE,
        "leastRules": JOINT_RULES,
        "leastWeight": JOINT_WEIGHT,
        "parts": [
            {
                "ruleId": fact["ruleId"],
                "weight": rules[fact["ruleId"]].weight,
                "file": fact["file"],
                "line": fact["lineStart"],
            }
            for fact in parts
        ],
    }
