"""The lines of all three ledgers that one truth of a round brings, and those that take them back when it is corrected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sigma_core.assembly.consensus import TruthSource
from sigma_core.audit.model import Verdict
from sigma_core.policy import Policy
from sigma_core.standing.ledger import LedgerEntry, ReputationEvent
from sigma_core.standing.payouts import PayoutLine, reverse, round_payouts
from sigma_core.standing.points import (
    BaseRates,
    ResolvedRound,
    RoundKind,
    compensate,
    compensate_events,
    reputation_events,
    score_round,
)

CANARY = "canary"
"""In an entry's key, where others have the number of the truth that brought it."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines in the order in which they are booked."""

    entries: list[LedgerEntry] = field(default_factory=list)
    events: list[ReputationEvent] = field(default_factory=list)
    payouts: list[PayoutLine] = field(default_factory=list)

    def __add__(self, other: Lines) -> Lines:
        return Lines(self.entries + other.entries, self.events + other.events, self.payouts + other.payouts)

    @property
    def compensations(self) -> int:
        """How many of these lines take another back."""
        keys = [entry.entry_key for entry in self.entries]
        keys += [event.entry_key for event in self.events]
        keys += [line.entry_key for line in self.payouts]
        return sum(key.endswith("/undo") for key in keys)

    def of_resolution(self, number: int) -> Lines:
        """Those of these lines that the truth with this number brought; compensations are of none."""
        return Lines(
            [entry for entry in self.entries if entry.entry_key.endswith(f"/score/{number}")],
            [event for event in self.events if event.entry_key.endswith(f"/conduct/{number}")],
            [line for line in self.payouts if line.entry_key.endswith(f"/payout/{number}")],
        )


def resolved_lines(resolved: ResolvedRound, rates: BaseRates, policy: Policy) -> Lines:
    """What one truth brings: points, conduct, payouts. Raises LedgerInvalid as `score_round` does.

    Seats that missed a canary file have no points and conduct here, as those are `canary_lines`; the round pays all its seats together.
    """
    scores = score_round(resolved, rates, policy)
    ordinary = {seat.name for seat in resolved.seats if seat.canary_label is None}
    return Lines(
        [entry for entry in scores if entry.seat in ordinary],
        [event for event in reputation_events(resolved, policy) if event.detail["seat"] in ordinary],
        round_payouts(scores, policy),
    )


def canary_lines(resolved: ResolvedRound, rates: BaseRates, policy: Policy) -> Lines:
    """Points and conduct of the seats that missed a canary file: what those are worth is known before the round's truth is, and whatever
    becomes of that changes nothing. Raises LedgerInvalid as `score_round` does."""
    missed = replace(
        resolved,
        kind=RoundKind.CANARY,
        seats=tuple(seat for seat in resolved.seats if seat.canary_label is not None),
        truth=Verdict.UNSAFE,
        truth_source=TruthSource.CANARY_LABEL,
    )
    entries = score_round(missed, rates, policy)
    return Lines(
        [replace(entry, entry_key=f"{entry.round_id}/{entry.seat}/score/{CANARY}") for entry in entries],
        [
            replace(event, entry_key=f"{event.round_id}/{event.detail['seat']}/conduct/{CANARY}")
            for event in reputation_events(missed, policy)
        ],
    )


def taken_back(lines: Lines, changes: Mapping[str, Any], day: int, source: TruthSource, policy: Policy) -> Lines:
    """What takes ``lines`` of one resolution back on ``day``; ``changes`` are `reputation.taken_back_ppm`, by event. Raises
    LedgerInvalid for a compensation among them, or a later day."""
    return Lines(
        compensate(lines.entries, day, source, policy),
        compensate_events(lines.events, changes, day, source, policy),
        reverse(lines.payouts, day),
    )
