"""The dry run's decision, from a facts document alone."""

from __future__ import annotations

from typing import Any

import pytest

from sigma_core.sandbox.decision import Decision, decide, rule_ids


def fact(rule_id: str, severity: str, kind: str = "threat", context: str = "use") -> dict[str, str]:
    return {"ruleId": rule_id, "severity": severity, "kind": kind, "context": context}


def document(*facts: dict[str, str], blocking: tuple[str, ...] = (), complete: bool = True) -> dict[str, Any]:
    return {
        "facts": list(facts),
        "coverage": {"complete": complete},
        "risk": {"blockingSignals": [{"ruleId": rule_id} for rule_id in blocking]},
    }


@pytest.mark.parametrize(
    ("facts", "decision"),
    [
        ([], Decision.ALLOW),
        ([fact("A", "LOW")], Decision.ALLOW),
        ([fact("A", "MEDIUM")], Decision.WARN),
        ([fact("A", "CRITICAL")], Decision.WARN),
        ([fact("A", "CRITICAL", context="mention")], Decision.ALLOW),
        ([fact("A", "MEDIUM", kind="capability"), fact("B", "HIGH", kind="declared")], Decision.ALLOW),
    ],
)
def test_a_finding_of_medium_or_more_warns(facts: list[dict[str, str]], decision: Decision) -> None:
    assert decide(document(*facts)) is decision


def test_incomplete_coverage_never_allows_and_never_blocks() -> None:
    assert decide(document(complete=False)) is Decision.WARN


@pytest.mark.parametrize("complete", [True, False])
def test_a_blocking_signal_blocks_whatever_else_holds(complete: bool) -> None:
    assert decide(document(blocking=("A",), complete=complete)) is Decision.BLOCK


def test_rules_that_block_come_first_then_the_others_each_once() -> None:
    facts = [
        fact("C", "LOW"),
        fact("B", "HIGH"),
        fact("C", "LOW"),
        fact("A", "LOW"),
        fact("D", "LOW", context="mention"),
    ]
    assert rule_ids(document(*facts, blocking=("C", "Z"))) == ["C", "Z", "A", "B"]
