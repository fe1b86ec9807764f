"""Consensus, exhaustively over the small state space: what may approve, what rejects, and that nothing else does."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from assembly_world import with_rules

from sigma_core.assembly.consensus import (
    NO_CANARY,
    CanaryState,
    Outcome,
    RoundOutcome,
    TruthSource,
    Vote,
    decide,
)
from sigma_core.audit.model import Verdict
from sigma_core.canonical import canonical_json
from sigma_core.policy import load_policy
from sigma_core.sandbox.facts import SignalKind

S, U, A, N = Vote.SAFE, Vote.UNSAFE, Vote.ABSTAIN, Vote.NO_SHOW
RULES = load_policy().assembly
SEATS = RULES.seats_per_phase
THIRD = with_rules(third_panel=True).assembly
PANELS = list(itertools.combinations_with_replacement(Vote, SEATS))
SIGNAL_SETS = [kinds for size in range(6) for kinds in itertools.combinations(SignalKind, size)]


def signal(kind: str) -> dict[str, Any]:
    return {"kind": kind, "ruleId": "R1", "reason": "why", "file": "SKILL.md", "line": 3}


def outcome(
    one: Sequence[Vote],
    two: Sequence[Vote],
    kinds: Sequence[str] = (),
    *,
    complete: bool = True,
    canary: CanaryState = NO_CANARY,
    third: Sequence[Vote] = (),
    rules: Any = RULES,
) -> Outcome:
    return decide(
        one,
        two,
        signals=[signal(kind) for kind in kinds],
        coverage_complete=complete,
        rules=rules,
        canary=canary,
        third_panel=third,
    )


def codes(result: Outcome) -> list[str]:
    return [reason.code for reason in result.reasons]


def states() -> Iterator[tuple[tuple[Vote, ...], tuple[Vote, ...], tuple[SignalKind, ...], bool]]:
    yield from itertools.product(PANELS, PANELS, SIGNAL_SETS, (True, False))


def test_every_state_of_votes_signals_and_coverage_has_the_outcome_of_the_table() -> None:
    """The table of spec/protocol.md written a second time, over every tally of SAFE, UNSAFE, ABSTAIN and NO_SHOW of both panels, every
    subset of signals, and facts complete or not: 56 · 56 · 32 · 2 states."""
    assert len(PANELS) == 56
    assert len(SIGNAL_SETS) == 32
    seen = Counter[RoundOutcome]()
    by_signals = {kinds: [signal(kind.value) for kind in kinds] for kinds in SIGNAL_SETS}
    for one, two, kinds, complete in states():
        result = decide(one, two, signals=by_signals[kinds], coverage_complete=complete, rules=RULES)
        cast = [[vote for vote in panel if vote in (S, U)] for panel in (one, two)]
        votes = cast[0] + cast[1]
        if len(cast[0]) < 4 or len(cast[1]) < 4:
            expected = RoundOutcome.ESCALATED
        elif set(votes) == {U} or votes.count(U) >= 8:
            expected = RoundOutcome.REJECTED
        elif kinds or not complete or set(votes) != {S}:
            expected = RoundOutcome.ESCALATED
        else:
            expected = RoundOutcome.APPROVED
        assert result.outcome is expected, (one, two, kinds, complete)
        assert result.with_rejection == (expected is RoundOutcome.ESCALATED and bool(kinds))
        assert result.scored == (expected is not RoundOutcome.ESCALATED)
        assert result.scored == (result.truth is not None) == (result.truth_source is not None)
        assert {kind.value for kind in kinds} <= set(codes(result))
        if expected is RoundOutcome.APPROVED:
            # Said again, as what matters most: nothing that stands against it approves.
            assert not kinds
            assert complete
            assert U not in votes
            assert result.truth is Verdict.SAFE
        if expected is RoundOutcome.REJECTED:
            assert result.truth is Verdict.UNSAFE
        seen[expected] += 1
    # 3 · 3 tallies of a quorum of SAFE without UNSAFE: 5, or 4 with an abstention or a no-show.
    assert seen[RoundOutcome.APPROVED] == 9
    assert sum(seen.values()) == 56 * 56 * 32 * 2


def test_the_outcome_does_not_depend_on_the_order_of_votes_or_signals() -> None:
    shuffler = random.Random(7)
    for one, two in shuffler.sample(list(itertools.product(PANELS, PANELS)), 300):
        kinds = shuffler.sample([kind.value for kind in SignalKind], shuffler.randrange(6))
        result = outcome(one, two, kinds)
        shuffled = outcome(shuffler.sample(one, SEATS), shuffler.sample(two, SEATS), shuffler.sample(kinds, len(kinds)))
        assert canonical_json(shuffled.as_json()) == canonical_json(result.as_json())


@pytest.mark.parametrize("votes", [(), (S,), (S,) * 3, (U,) * 3, (A,) * 50, (S,) * 50, (U,) * 50])
def test_panels_of_any_size_have_an_outcome(votes: tuple[Vote, ...]) -> None:
    for other in ((), votes, (S,) * 5):
        result = outcome(votes, other)
        assert (result.outcome is RoundOutcome.APPROVED) == (votes.count(S) >= 4 and other.count(S) >= 4)


def test_no_majority_of_safe_certifies() -> None:
    result = outcome([S] * 5, [S] * 4 + [U])
    assert result.outcome is RoundOutcome.ESCALATED
    assert not result.scored
    assert codes(result) == ["SPLIT_VOTE"]


def test_all_safe_is_approved_and_scored_as_unanimous() -> None:
    result = outcome([S] * 5, [S] * 5)
    assert (result.outcome, result.truth, result.truth_source, result.scored, codes(result)) == (
        RoundOutcome.APPROVED, Verdict.SAFE, TruthSource.UNANIMOUS, True, ["ALL_SAFE"],
    )  # fmt: skip


def test_eight_of_ten_unsafe_reject_and_seven_do_not() -> None:
    eight, seven = outcome([U] * 5, [U] * 3 + [S] * 2), outcome([U] * 5, [U] * 2 + [S] * 3)
    assert (eight.outcome, eight.truth_source) == (RoundOutcome.REJECTED, TruthSource.UNSAFE_SUPERMAJORITY)
    assert seven.outcome is RoundOutcome.ESCALATED


def test_all_unsafe_rejects_as_unanimous_whatever_the_facts_say() -> None:
    result = outcome([U] * 5, [U] * 4 + [N], ["TAMPER"], complete=False)
    assert (result.outcome, result.truth_source, result.with_rejection) == (
        RoundOutcome.REJECTED, TruthSource.UNANIMOUS, False,
    )  # fmt: skip
    assert codes(result) == ["ALL_UNSAFE", "FACTS_INCOMPLETE", "TAMPER"]


def test_a_missed_quorum_escalates_and_says_by_what() -> None:
    result = outcome([S] * 3 + [A, N], [U] * 5)
    assert result.outcome is RoundOutcome.ESCALATED
    detail = result.reasons[0].as_json()["detail"]
    assert detail["quorumPerPhase"] == 4
    assert detail["tallies"][0] == {"phase": 1, "SAFE": 3, "UNSAFE": 0, "ABSTAIN": 1, "NO_SHOW": 1}
    assert outcome([], [], ["HARD_FAILURE"]).with_rejection


def test_a_signal_of_an_unknown_kind_stands_in_the_way_too() -> None:
    for made_up in ({"kind": "NEW_KIND"}, {}, {"kind": 0.5, "line": object()}):
        result = decide([S] * 5, [S] * 5, signals=[made_up], coverage_complete=True, rules=RULES)
        assert (result.outcome, result.with_rejection) == (RoundOutcome.ESCALATED, True)


def test_reasons_carry_the_signals_themselves() -> None:
    result = outcome([S] * 5, [S] * 5, ["TAMPER", "TAMPER", "STRONG_INJECTION"])
    assert codes(result) == ["STRONG_INJECTION", "TAMPER"]
    assert result.reasons[1].detail["signals"] == [signal("TAMPER")] * 2


# Canaries


def test_a_safe_vote_that_missed_its_planted_canary_escalates_with_rejection() -> None:
    result = outcome([S] * 5, [S] * 5, canary=CanaryState(missed_by=((2, 4), (1, 3))))
    assert (result.outcome, result.with_rejection) == (RoundOutcome.ESCALATED, True)
    assert codes(result) == ["MISSED_CANARY"]
    assert result.reasons[0].detail["signals"][0]["seats"] == [{"phase": 1, "seat": 3}, {"phase": 2, "seat": 4}]


@pytest.mark.parametrize("label", [Verdict.SAFE, Verdict.UNSAFE])
def test_a_canary_is_never_certified_and_always_scored_by_its_label(label: Verdict) -> None:
    for one, two in itertools.product(PANELS, PANELS):
        result = outcome(one, two, canary=CanaryState(label=label))
        assert result.outcome is not RoundOutcome.APPROVED
        assert (result.scored, result.truth, result.truth_source) == (True, label, TruthSource.CANARY_LABEL)
        assert result.with_rejection == (
            result.outcome is RoundOutcome.ESCALATED and label is Verdict.UNSAFE and S in one + two
        )


# The third panel


def test_a_single_dissent_may_go_to_a_third_panel_where_the_policy_has_one() -> None:
    assert outcome([S] * 5, [S] * 4 + [U], rules=THIRD).third_panel_eligible
    assert outcome([S] * 4 + [U], [S] * 4 + [A], rules=THIRD).third_panel_eligible
    assert not outcome([S] * 5, [S] * 4 + [U]).third_panel_eligible


@pytest.mark.parametrize(
    ("one", "two", "changed"),
    [
        ([S] * 4 + [U], [S] * 4 + [U], {}),
        ([U] * 4 + [S], [U] * 3 + [A] * 2, {}),
        ([S] * 5, [S] * 4 + [U], {"kinds": ["TAMPER"]}),
        ([S] * 5, [S] * 4 + [U], {"complete": False}),
        ([S] * 5, [S] * 4 + [U], {"canary": CanaryState(label=Verdict.SAFE)}),
        ([S] * 5, [S] * 4 + [U], {"canary": CanaryState(missed_by=((1, 1),))}),
        ([S] * 3, [S] * 4 + [U], {}),
    ],
)
def test_no_other_split_may_and_a_third_panel_that_sat_anyway_changes_nothing(
    one: list[Vote], two: list[Vote], changed: dict[str, Any]
) -> None:
    result = outcome(one, two, rules=THIRD, **changed)
    assert result.outcome is RoundOutcome.ESCALATED
    assert not result.third_panel_eligible
    with_votes = outcome(one, two, rules=THIRD, third=[S] * 5, **changed)
    assert with_votes.outcome is RoundOutcome.ESCALATED
    assert "THIRD_PANEL_OUT_OF_ORDER" in codes(with_votes)


def test_every_state_of_three_panels_has_the_outcome_of_the_table() -> None:
    """The table with its third panel written a second time: every tally of both panels, against every tally of a third one that
    sat or none, where the facts allow an approval; against a few where they do not; with and without the policy's leave."""
    seen = Counter[tuple[RoundOutcome, TruthSource | None]]()
    few = [(), (S,) * 5, (U,) * 5, (S,) * 4 + (U,)]
    fact_states = [((), True, [(), *PANELS]), (("TAMPER",), True, few), ((), False, few)]
    for kinds, complete, thirds in fact_states:
        signals = [signal(kind) for kind in kinds]
        for one, two, third, rules in itertools.product(PANELS, PANELS, thirds, (THIRD, RULES)):
            if rules is RULES and third not in few:
                continue
            result = decide(one, two, signals=signals, coverage_complete=complete, rules=rules, third_panel=third)
            votes = [vote for vote in one + two if vote in (S, U)]
            quorum = all(panel.count(S) + panel.count(U) >= 4 for panel in (one, two))
            dissent = quorum and votes.count(U) == 1 and not kinds and complete and rules is THIRD
            expected: tuple[RoundOutcome, TruthSource | None] = (RoundOutcome.ESCALATED, None)
            if quorum and set(votes) == {U}:
                expected = (RoundOutcome.REJECTED, TruthSource.UNANIMOUS)
            elif quorum and votes.count(U) >= 8:
                expected = (RoundOutcome.REJECTED, TruthSource.UNSAFE_SUPERMAJORITY)
            elif quorum and set(votes) == {S} and not kinds and complete and not third:
                expected = (RoundOutcome.APPROVED, TruthSource.UNANIMOUS)
            elif dissent and third == (S,) * 5:
                expected = (RoundOutcome.APPROVED, TruthSource.THIRD_PANEL)
            elif dissent and third == (U,) * 5:
                expected = (RoundOutcome.REJECTED, TruthSource.THIRD_PANEL)
            assert (result.outcome, result.truth_source) == expected, (one, two, third, kinds, complete)
            assert result.third_panel_eligible == (dissent and not third)
            assert result.scored == (result.outcome is not RoundOutcome.ESCALATED)
            seen[expected] += 1
    # One dissent: in either panel, beside 3 or 4 SAFE of a quorum, and 3 ways to a quorum of the other; twice by a third panel.
    assert seen[RoundOutcome.APPROVED, TruthSource.THIRD_PANEL] == seen[RoundOutcome.REJECTED, TruthSource.THIRD_PANEL]
    assert seen[RoundOutcome.APPROVED, TruthSource.THIRD_PANEL] == 2 * 3 * 3


@pytest.mark.parametrize("third", PANELS)
def test_a_third_panel_resolves_only_when_it_is_unanimous_and_complete(third: tuple[Vote, ...]) -> None:
    result = outcome([S] * 5, [S] * 4 + [U], rules=THIRD, third=third)
    if set(third) == {S}:
        expected = (RoundOutcome.APPROVED, Verdict.SAFE, TruthSource.THIRD_PANEL)
    elif set(third) == {U}:
        expected = (RoundOutcome.REJECTED, Verdict.UNSAFE, TruthSource.THIRD_PANEL)
    else:
        expected = (RoundOutcome.ESCALATED, None, None)
    assert (result.outcome, result.truth, result.truth_source) == expected
    assert not result.third_panel_eligible


def test_four_of_a_third_panels_five_seats_are_not_a_third_panel() -> None:
    assert outcome([S] * 5, [S] * 4 + [U], rules=THIRD, third=[S] * 4).outcome is RoundOutcome.ESCALATED


def test_third_panel_votes_that_nobody_called_for_stop_an_approval() -> None:
    for rules in (RULES, THIRD):
        for third in ([S] * 5, [U] * 5, [A]):
            assert outcome([S] * 5, [S] * 5, rules=rules, third=third).outcome is RoundOutcome.ESCALATED


def test_a_truth_gives_way_to_one_from_a_source_that_is_at_least_as_strong() -> None:
    order = [[TruthSource.CANARY_LABEL], [TruthSource.MONITORING], [TruthSource.OPERATOR, TruthSource.THIRD_PANEL]]
    order += [[TruthSource.UNANIMOUS], [TruthSource.UNSAFE_SUPERMAJORITY]]
    rank = {source: place for place, sources in enumerate(order) for source in sources}
    assert set(rank) == set(TruthSource)
    for one in TruthSource:
        for other in TruthSource:
            assert one.may_correct(other) == (rank[one] <= rank[other])
