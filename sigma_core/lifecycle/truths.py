"""The truths that rounds have had: an outcome may bring the first, and a resolution each that follows.

Nothing is overwritten. The truths of a round are numbered from 0; the ledgers score each on the UTC day on which it became known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from sqlalchemy import String, cast, exists, literal, select
from sqlalchemy.orm import Session

from sigma_core.assembly.consensus import TruthSource
from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.policy import StandingRules
from sigma_core.standing.points import BaseRates, RoundKind, base_rates, score_key
from sigma_core.storage.protocol import AccuracyEntryRow, RoundResolutionRow, RoundRow
from sigma_core.timestamps import EPOCH, day_number, iso_utc

FIRST_SEAT = "1.1"
"""Every round has this seat, so that its entry tells whether a truth was scored."""


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
    key, entry = score_key("", FIRST_SEAT, 0).removesuffix("0"), AccuracyEntryRow.entry_key
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


def rates_of_epoch(session: Session, day: int, rules: StandingRules) -> BaseRates:
    """The base rates of the epoch that begins on ``day``: each round with the truth that it had before, so that none is scored by a
    rate that it moved, and what becomes known later never changes them."""
    # A truth that another took the place of before ``day`` did so later, so both or the later one alone are among these.
    since, until = (EPOCH + timedelta(days=of) for of in (max(day - rules.base_rate_trailing_days, 0), day))
    resolution = RoundResolutionRow
    decided = session.execute(
        select(RoundRow.id, literal(0), RoundRow.truth, RoundRow.decided_at).where(
            RoundRow.scored.is_(True), RoundRow.decided_at >= since, RoundRow.decided_at < until
        )
    )
    resolved = session.execute(
        select(resolution.round_id, resolution.number, resolution.truth, resolution.resolved_at).where(
            resolution.resolved_at >= since, resolution.resolved_at < until
        )
    )
    frame = pl.DataFrame(
        [
            (round_id, RoundKind.CERTIFICATE.value, number, truth, day_number(at))
            for round_id, number, truth, at in (*decided, *resolved)
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
    for round_id, at in (*decided, *resolved):
        first[round_id] = day_number(at)
    return first


def _of_outcome(row: RoundRow) -> KnownTruth:
    assert row.decided_at is not None, "a scored round is decided"
    return KnownTruth(row.id, 0, Verdict(str(row.truth)), TruthSource(str(row.truth_source)), row.decided_at)


def _of_resolution(row: RoundResolutionRow) -> KnownTruth:
    truth, source = Verdict(row.truth), TruthSource(row.truth_source)
    return KnownTruth(row.round_id, row.number, truth, source, row.resolved_at, row.actor, row.reason)
