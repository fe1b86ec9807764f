"""What operators have decided about rounds, as it is on record: the overrides that stand beside the outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sigma_core.assembly.consensus import RoundOutcome
from sigma_core.storage.protocol import RoundOverrideRow
from sigma_core.timestamps import iso_utc


@dataclass(frozen=True, slots=True)
class Override:
    """One decision of an operator: the highest ``number`` (from 1) of a round counts."""

    round_id: str
    number: int
    outcome: RoundOutcome
    actor: str
    reason: str
    at: datetime

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON data."""
        return {
            "number": self.number,
            "outcome": self.outcome.value,
            "actor": self.actor,
            "reason": self.reason,
            "overriddenAt": iso_utc(self.at),
        }


def overrides_of(session: Session, round_id: str) -> list[Override]:
    """The overrides of a round in the order of their numbers."""
    rows = session.scalars(
        select(RoundOverrideRow).where(RoundOverrideRow.round_id == round_id).order_by(RoundOverrideRow.number)
    )
    return [
        Override(row.round_id, row.number, RoundOutcome(row.outcome), row.actor, row.reason, row.overridden_at)
        for row in rows
    ]


def is_withheld(session: Session, round_id: str) -> bool:
    """Whether an operator has overridden the round to REJECTED, so that no certificate may come of it."""
    overrides = overrides_of(session, round_id)
    return bool(overrides) and overrides[-1].outcome is RoundOutcome.REJECTED
