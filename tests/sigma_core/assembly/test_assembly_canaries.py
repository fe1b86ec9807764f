"""Canaries of a round: no vote certifies one, and a replay makes choice, answers and label again."""

from __future__ import annotations

import copy
from typing import Any

import assembly_world
import pytest
from assembly_world import hold_round, with_files_planted
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.assembly.canaries import PackageCanary
from sigma_core.assembly.consensus import CanaryState, RoundOutcome, TruthSource, Vote, decide
from sigma_core.assembly.replay import replay
from sigma_core.audit.canaries.bank import bank_sha256, package_tree_hash
from sigma_core.audit.model import Verdict
from sigma_core.canonical import sha256_hex, sha256_of
from sigma_core.policy import load_policy

VARIANT = sha256_hex(b"a variant")
ALL, PLANTED = 1_000_000, pytest.mark.usefixtures("planting")
votes = st.lists(st.sampled_from(list(Vote)), max_size=6)


def all_safe(phase: int, seat: int) -> Verdict:
    return Verdict.SAFE


@given(
    votes,
    votes,
    st.one_of(st.just([]), votes),
    st.sampled_from([Verdict.SAFE, Verdict.UNSAFE]),
    st.booleans(),
    st.booleans(),
)
def test_no_votes_whatever_certify_a_canary(
    one: list[Vote], two: list[Vote], three: list[Vote], label: Verdict, complete: bool, signal: bool
) -> None:
    decided = decide(
        one,
        two,
        third_panel=three,
        signals=[{"kind": "TAMPER"}] if signal else [],
        coverage_complete=complete,
        rules=load_policy().assembly.model_copy(update={"third_panel": True}),
        canary=CanaryState(label),
    )
    assert decided.outcome is not RoundOutcome.APPROVED
    assert (decided.truth, decided.truth_source, decided.scored) == (label, TruthSource.CANARY_LABEL, True)


@given(votes, votes, st.sets(st.tuples(st.integers(1, 2), st.integers(1, 5)), min_size=1))
def test_no_votes_approve_over_a_missed_canary(one: list[Vote], two: list[Vote], missed: set[tuple[int, int]]) -> None:
    decided = decide(
        one,
        two,
        signals=[],
        coverage_complete=True,
        rules=load_policy().assembly,
        canary=CanaryState(missed_by=tuple(sorted(missed))),
    )
    assert decided.outcome is not RoundOutcome.APPROVED


@PLANTED
def test_a_round_whose_planted_files_were_all_cited_is_decided_as_if_there_were_none() -> None:
    policy = with_files_planted(ALL)
    held = hold_round(all_safe, policy=policy, cites=lambda *_: True)
    assert len(held.document["canary"]["planted"]) == 10
    assert held.outcome == hold_round(all_safe, policy=policy).outcome
    assert held.outcome.outcome is RoundOutcome.APPROVED
    assert replay(held.document).agrees


@PLANTED
def test_a_miss_on_the_safe_side_escalates_with_rejection_and_one_of_an_unsafe_vote_does_not_count() -> None:
    policy = with_files_planted(ALL)
    held = hold_round(all_safe, policy=policy, cites=lambda phase, seat: (phase, seat) != (2, 2))
    assert (held.outcome.outcome, held.outcome.with_rejection) == (RoundOutcome.ESCALATED, True)
    (reason,) = held.outcome.reasons
    assert reason.code == "MISSED_CANARY"
    assert replay(held.document).agrees
    unsafe = hold_round(lambda *_: Verdict.UNSAFE, policy=policy, cites=lambda *_: False)
    assert unsafe.document["canary"]["missedBy"] == []
    assert unsafe.outcome.outcome is RoundOutcome.REJECTED
    assert replay(unsafe.document).agrees


def test_a_document_with_a_great_many_seats_or_names_that_are_none_is_refused_and_not_worked_on() -> None:
    document = hold_round(all_safe).document
    document["phases"][0]["seats"] *= 300
    assert any("nothing is planted again" in found.rule for found in replay(document).disagreements)
    document = hold_round(all_safe).document
    document["facts"]["coverage"]["files"] = [{"path": 7}]
    assert any("list the package's files" in found.rule for found in replay(document).disagreements)


def forged(document: dict[str, Any], change: Any) -> list[str]:
    """Paths that a replay names after ``change``, the verdict hashes repaired."""
    document = copy.deepcopy(document)
    change(document["canary"])
    for planted in document["canary"]["planted"]:
        planted["verdictHash"] = sha256_of(planted["verdict"])
    return [found.path for found in replay(document).disagreements]


@PLANTED
def test_a_forger_who_leaves_out_adds_swaps_or_excuses_a_planted_file_is_named() -> None:
    policy = with_files_planted(500_000)
    document = hold_round(all_safe, policy=policy, cites=lambda phase, _: phase == 1).document
    missed = [each["phase"] for each in document["canary"]["planted"]].index(2)
    assert forged(document, lambda canary: None) == []

    def cite(canary: dict[str, Any]) -> None:
        canary["planted"][missed]["verdict"]["findings"] = [{"file": canary["planted"][missed]["path"]}]

    def swap(canary: dict[str, Any]) -> None:
        canary["planted"][missed]["item"] = "p01" if canary["planted"][missed]["item"] != "p01" else "p04"

    def move(canary: dict[str, Any]) -> None:
        canary["planted"][missed]["path"] = "elsewhere.py"

    def empty(canary: dict[str, Any]) -> None:
        canary["planted"][missed]["verdict"] = {}

    for change in (
        cite,
        swap,
        move,
        empty,
        lambda canary: canary["planted"].pop(),
        lambda canary: canary["missedBy"].pop(),
    ):
        assert any(path.startswith(("$.canary.planted", "$.canary.missedBy")) for path in forged(document, change))


@PLANTED
def test_a_round_of_another_bank_says_what_it_could_not_check() -> None:
    document = hold_round(all_safe, policy=with_files_planted(ALL), cites=lambda *_: True).document
    document["canary"]["bankSha256"] = "0" * 64
    report = replay(document)
    assert any("another bank" in line for line in report.unchecked)
    # The seed covers the bank too: with another one, other texts would have been planted.
    assert not report.agrees


@PLANTED
def test_a_bank_made_up_so_that_nothing_is_planted_is_never_passed_over_in_silence() -> None:
    missed = hold_round(all_safe, policy=with_files_planted(20_000), cites=lambda *_: False).document
    # Whoever may choose the bank's hash finds one by which no seat of this round gets a file.
    for tried in range(1_000):
        forged = copy.deepcopy(missed)
        forged["canary"] |= {"bankSha256": f"{tried:064x}", "planted": [], "missedBy": []}
        if not any(found.path.startswith("$.canary") for found in replay(forged).disagreements):
            break
    assert any(line.startswith("$.canary: of another bank") for line in replay(forged).unchecked)
    forged["canary"]["bankSha256"] = None
    assert "$.canary.bankSha256" in [found.path for found in replay(forged).disagreements]


@pytest.mark.parametrize(("item", "label"), [("c02", Verdict.SAFE), ("c10", Verdict.UNSAFE)])
def test_a_canary_packages_label_and_bytes_are_held_against_the_bank(
    item: str, label: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly_world, "TREE_HASH", package_tree_hash(item, VARIANT))
    held = hold_round(all_safe, package=PackageCanary(item, VARIANT, bank_sha256(), label))
    assert held.outcome.outcome is RoundOutcome.ESCALATED
    assert replay(held.document).agrees

    lied = copy.deepcopy(held.document)
    lied["canary"]["label"] = "SAFE" if label is Verdict.UNSAFE else "UNSAFE"
    assert "$.canary.label" in [found.path for found in replay(lied).disagreements]

    unknown = copy.deepcopy(lied)
    unknown["canary"]["package"]["bankSha256"] = "0" * 64
    assert any(line.startswith("$.canary.label") for line in replay(unknown).unchecked)

    unlabelled = copy.deepcopy(held.document)
    unlabelled["canary"]["label"] = None
    assert "$.canary.label" in [found.path for found in replay(unlabelled).disagreements]

    other = copy.deepcopy(held.document)
    other["canary"]["package"]["item"] = "c03"
    assert "$.submission.treeHash" in [found.path for found in replay(other).disagreements]
    other["canary"]["package"]["item"] = "c99"
    assert "$.canary.package.item" in [found.path for found in replay(other).disagreements]
