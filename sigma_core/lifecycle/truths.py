"""The truths that rounds have had: an outcome may bring the first, and a resolution each that follows.

Nothing is overwritten. The truths of a round are numbered from 0; the ledgers score each on the UTC day on which it became known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, String, and_, cast, exists, literal, select
from sqlalchemy.orm import Session

from sigma_core.assembly.consensus import TruthSource, Vote
from sigma_core.audit.canaries.planting import Answer
from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.policy import StandingRules
from sigma_core.standing.lines import CANARY
from sigma_core.standing.points import BaseRates, RoundKind, base_rates
from sigma_core.storage.protocol import (
    AccuracyEntryRow,
    PayoutEntryRow,
    PlantedCanaryRow,
    RoundResolutionRow,
    RoundRow,
    SeatRow,
)
from sigma_core.timestamps import EPOCH, day_number, iso_utc

BUDGET = "budget/payout"
"""Every truth pays the round's budget out once, so that this line tells whether it was booked."""


def budget_key(round_id: str, number: int) -> str:
    """The key of the payout line with which the booking of a truth begins."""
    return f"{round_id}/{BUDGET}/{number}"


@dataclass(frozen=True, slots=True)
class KnownTruth:
    """One truth of a round. ``actor`` and ``reason`` are None for the truth that the outcome itself brought."""

    round_id: str
    number: int
    truth: Verdict
    source: TruthSource
    known_at: datetime
    actor: str | None = None
    reason: str | None = None

    @property
    def day(self) -> int:
        """The UTC day on which it is scored."""
        return day_number(self.known_at)

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON data."""
        return {
            "number": self.number,
            "truth": self.truth.value,
            "truthSource": self.source.value,
            "actor": self.actor,
            "reason": self.reason,
            "knownAt": iso_utc(self.known_at),
        }


def truths_of(session: Session, round_id: str) -> list[KnownTruth]:
    """The truths of a round in the order of their numbers: none while nobody knows."""
    row = session.get_one(RoundRow, round_id)
    resolutions = session.scalars(
        select(RoundResolutionRow).where(RoundResolutionRow.round_id == round_id).order_by(RoundResolutionRow.number)
    )
    return [*([_of_outcome(row)] if row.scored else []), *map(_of_resolution, resolutions)]


def unscored_truths(deployment: Deployment) -> list[KnownTruth]:
    """Truths that the ledgers do not have yet, in the order in which they became known."""
    key, entry = budget_key("", 0).removesuffix("0"), PayoutEntryRow.entry_key
    resolution = RoundResolutionRow
    with deployment.read_sessions() as session:
        decided = session.scalars(
            select(RoundRow).where(RoundRow.scored.is_(True), ~exists().where(entry == RoundRow.id + f"{key}0"))
        )
        resolved = session.scalars(
            select(resolution).where(
                ~exists().where(entry == resolution.round_id + literal(key) + cast(resolution.number, String))
            )
        )
        waiting = [*map(_of_outcome, decided), *map(_of_resolution, resolved)]
    return sorted(waiting, key=lambda known: (known.known_at, known.round_id, known.number))


@dataclass(frozen=True, slots=True)
class KnownMiss:
    """A round in which SAFE votes missed their canary files: what those are worth is known when it is decided."""

    round_id: str
    known_at: datetime
    number: str = CANARY

    @property
    def day(self) -> int:
        """The UTC day on which it is scored."""
        return day_number(self.known_at)


def unbooked_misses(deployment: Deployment) -> list[KnownMiss]:
    """Rounds whose missed canary files the ledgers do not have yet, in the order of their decision."""
    with deployment.read_sessions() as session:
        found = session.execute(
            select(RoundRow.id, RoundRow.decided_at)
            .where(
                RoundRow.state == "DECIDED",
                exists().where(PlantedCanaryRow.round_id == RoundRow.id, _missed()),
                ~exists().where(
                    AccuracyEntryRow.round_id == RoundRow.id, AccuracyEntryRow.entry_key.endswith(f"/score/{CANARY}")
                ),
            )
            .order_by(RoundRow.decided_at, RoundRow.id)
        )
        return [KnownMiss(round_id, at) for round_id, at in found if at is not None]


def missed_seats(session: Session, round_id: str) -> set[tuple[int, int]]:
    """(phase, seat) of the SAFE votes that did not cite the file that was planted for them."""
    planted = session.scalars(select(PlantedCanaryRow).where(PlantedCanaryRow.round_id == round_id, _missed()))
    return {(each.phase, each.seat_number) for each in planted}


def _missed() -> ColumnElement[bool]:
    return and_(
        PlantedCanaryRow.answer == Answer.MISSED.value,
        exists().where(
            SeatRow.round_id == PlantedCanaryRow.round_id,
            SeatRow.phase == PlantedCanaryRow.phase,
            SeatRow.number == PlantedCanaryRow.seat_number,
            SeatRow.verdict == Vote.SAFE.value,
        ),
    )


def kind_of(source: TruthSource | str | None) -> RoundKind:
    """What a round is scored as, by the source of its truth."""
    return RoundKind.CANARY if source == TruthSource.CANARY_LABEL else RoundKind.CERTIFICATE


def rates_of_epoch(session: Session, day: int, rules: StandingRules) -> BaseRates:
    """The base rates of the epoch that begins on ``day``: each round with the truth that it had before, so that none is scored by a
    rate that it moved, and what becomes known later never changes them."""
    # A truth that another took the place of before ``day`` did so later, so both or the later one alone are among these.
    since, until = (EPOCH + timedelta(days=of) for of in (max(day - rules.base_rate_trailing_days, 0), day))
    resolution = RoundResolutionRow
    decided = session.execute(
        select(RoundRow.id, RoundRow.truth_source, literal(0), RoundRow.truth, RoundRow.decided_at).where(
            RoundRow.scored.is_(True), RoundRow.decided_at >= since, RoundRow.decided_at < until
        )
    )
    resolved = session.execute(
        select(
            resolution.round_id, resolution.truth_source, resolution.number, resolution.truth, resolution.resolved_at
        ).where(resolution.resolved_at >= since, resolution.resolved_at < until)
    )
    frame = pl.DataFrame(
        [
            (round_id, kind_of(source).value, number, truth, day_number(at))
            for round_id, source, number, truth, at in (*decided, *resolved)
        ],
        schema={"round_id": pl.String, "kind": pl.String, "number": pl.Int64, "truth": pl.String, "day": pl.Int64},
        orient="row",
    )
    return base_rates(frame.sort("number").group_by("round_id").last(), day, rules)


def known_since(session: Session, round_ids: Sequence[str]) -> dict[str, int]:
    """The UTC day on which the first truth of each round became known; a round without any is not in it."""
    first: dict[str, int] = {}
    decided = session.execute(
        select(RoundRow.id, RoundRow.decided_at).where(RoundRow.scored.is_(True), RoundRow.id.in_(round_ids))
    )
    resolved = session.execute(
        select(RoundResolutionRow.round_id, RoundResolutionRow.resolved_at).where(
            RoundResolutionRow.number == 0, RoundResolutionRow.round_id.in_(round_ids)
        )
    )
    missed = session.execute(
        select(RoundRow.id, RoundRow.decided_at).where(
            RoundRow.id.in_(round_ids), exists().where(PlantedCanaryRow.round_id == RoundRow.id, _missed())
        )
    )
    for round_id, at in (*resolved, *decided, *missed):
        first[round_id] = day_number(at)
    return first


def _of_outcome(row: RoundRow) -> KnownTruth:
    assert row.decided_at is not None, "a scored round is decided"
    return KnownTruth(row.id, 0, Verdict(str(row.truth)), TruthSource(str(row.truth_source)), row.decided_at)


def _of_resolution(row: RoundResolutionRow) -> KnownTruth:
    truth, source = Verdict(row.truth), TruthSource(row.truth_source)
    return KnownTruth(row.round_id, row.number, truth, source, row.resolved_at, row.actor, row.reason)
