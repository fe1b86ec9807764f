"""Truths resolved late, corrected, and booked in any order: no ledger falls below zero, and every engine and cut of days gives the same."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.assembly.consensus import TruthSource, Vote
from sigma_core.audit.model import Verdict
from sigma_core.policy import load_policy
from sigma_core.standing import accuracy, accuracy_duckdb, reputation, reputation_duckdb
from sigma_core.standing.accuracy import AccuracyState
from sigma_core.standing.ledger import ACCURACY_COLUMNS, LedgerInvalid
from sigma_core.standing.lines import Lines, resolved_lines, taken_back
from sigma_core.standing.points import BaseRates, ResolvedRound, RoundKind, ScoredSeat, lift_sanctions
from sigma_core.standing.reputation import ReputationState, daily_counts, event_frame, taken_back_ppm

POLICY = load_policy()
RULES = POLICY.standing
RATES = BaseRates((5, 7), (5, 5))
Round = tuple[list[Vote], list[tuple[int, Verdict]]]


@st.composite
def rounds(draw: st.DrawFn) -> list[Round]:
    """Votes of escalated rounds, and the days on which they got the one truth and then the other."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        votes = draw(st.lists(st.sampled_from(list(Vote)), min_size=1, max_size=4))
        days = sorted(draw(st.lists(st.integers(100, 140), min_size=1, max_size=3)))
        first = draw(st.booleans())
        truths = [Verdict.SAFE if first == (number % 2 == 0) else Verdict.UNSAFE for number in range(len(days))]
        found.append((votes, list(zip(days, truths, strict=True))))
    return found


def booked(found: list[Round]) -> Lines:
    """The ledgers after every truth in the order of days, as bookings write them."""
    ledger = Lines()
    coming = [
        (day, number, at, truth) for at, (_, truths) in enumerate(found) for number, (day, truth) in enumerate(truths)
    ]
    for day, number, at, truth in sorted(coming):
        seats = tuple(ScoredSeat(1, seat, f"v{seat}", vote) for seat, vote in enumerate(found[at][0], start=1))
        resolved = ResolvedRound(
            f"r{at}", RoundKind.CERTIFICATE, seats, truth, TruthSource.OPERATOR, day, number, escalated=True
        )
        undone = Lines()
        if number:
            before = Lines(
                [entry for entry in ledger.entries if entry.round_id == f"r{at}"],
                [event for event in ledger.events if event.round_id == f"r{at}"],
                [line for line in ledger.payouts if line.round_id == f"r{at}"],
            ).of_resolution(number - 1)
            concerned = {event.validator_id for event in before.events}
            keys = {event.entry_key for event in before.events}
            kept = [event for event in ledger.events if event.validator_id in concerned and event.entry_key not in keys]
            changes = taken_back_ppm(event_frame(kept), event_frame(before.events), day, RULES)
            by_event = {event.entry_key: changes[event.validator_id] for event in before.events}
            undone = taken_back(before, by_event, day, TruthSource.OPERATOR, POLICY)
        ledger = ledger + undone + resolved_lines(resolved, RATES, POLICY)
    return ledger


def entry_frame(ledger: Lines) -> pl.DataFrame:
    rows = [(entry.validator_id, entry.day, entry.aligned_q10, entry.misaligned_q10) for entry in ledger.entries]
    return pl.DataFrame(rows, schema=ACCURACY_COLUMNS, orient="row")


@settings(max_examples=25, deadline=None)
@given(rounds(), st.lists(st.integers(99, 170), max_size=3), st.randoms(use_true_random=False))
def test_increments_equal_full_replay_whatever_was_resolved_late_corrected_or_booked_out_of_order(
    found: list[Round], cuts: list[int], shuffle: object
) -> None:
    ledger = booked(found)
    points, events = entry_frame(ledger), event_frame(ledger.events)
    order = list(range(points.height))
    shuffle.shuffle(order)  # type: ignore[attr-defined]
    mixed = points[order]
    expected = accuracy.replay(points, 170, RULES)
    standing = reputation.replay(events, 170, RULES)
    assert accuracy.replay(mixed, 170, RULES).frame.equals(expected.frame)
    assert accuracy_duckdb.replay(mixed, 170, RULES).frame.equals(expected.frame)
    assert reputation_duckdb.replay(events.reverse(), 170, RULES).frame.equals(standing.frame)
    by_day, by_count = AccuracyState.before(99), ReputationState.before(99)
    daily, counts = accuracy.daily_points(mixed), daily_counts(events.reverse())
    for day in [*sorted(cuts), 170]:
        by_day = accuracy.advance(by_day, daily.filter(pl.col("day") > by_day.day), day, RULES)
        by_count = reputation.advance_daily(by_count, counts.filter(pl.col("day") > by_count.day), day, RULES)
    assert by_day.frame.equals(expected.frame)
    assert by_count.frame.equals(standing.frame)


@settings(max_examples=25, deadline=None)
@given(rounds())
def test_only_the_last_truth_of_each_round_is_left_to_the_floors_of_the_decay_and_no_money_is_lost(
    found: list[Round],
) -> None:
    ledger = booked(found)
    last_only = [(votes, truths[-1:]) for votes, truths in found]
    # An entry of the last truth alone has another number, and the same points.
    left = accuracy.replay(entry_frame(ledger), 141, RULES).frame
    alone = accuracy.replay(entry_frame(booked(last_only)), 141, RULES).frame
    both = left.join(alone, on="validator_id", suffix="_alone")
    assert both.height == left.height
    taken = sum(len(truths) - 1 for _, truths in found)
    for side in ("aligned_q10", "misaligned_q10"):
        over = (both[side] - both[f"{side}_alone"]).to_list()
        assert all(0 <= one <= 103 * (taken + 1) for one in over)
    for at in range(len(found)):
        assert sum(line.amount_micro_usd for line in ledger.payouts if line.round_id == f"r{at}") == 0


def test_a_compensation_is_not_compensated_and_an_event_is_not_taken_back_before_its_day() -> None:
    ledger = booked([([Vote.SAFE], [(100, Verdict.SAFE), (101, Verdict.UNSAFE)])])
    undone = [event for event in ledger.events if event.entry_key.endswith("/undo")]
    assert len(undone) == 1
    for events, day in ((undone, 105), (ledger.of_resolution(1).events, 100)):
        with pytest.raises(LedgerInvalid, match="cannot be compensated on day"):
            taken_back(
                Lines(events=events), {event.entry_key: 1 for event in events}, day, TruthSource.OPERATOR, POLICY
            )


def test_the_end_of_sanctions_is_an_event_of_no_round() -> None:
    event = lift_sanctions("v/sanction/1", "v", 100, "served", POLICY)
    assert (event.kind.value, event.round_id, dict(event.detail)) == ("SANCTION_LIFTED", None, {"reason": "served"})
