"""What operators do to validators: hold a reputation down, suspend, and end either. The weights follow at once, as the next epoch.

A sanction is a line of the reputation ledger; a suspended validator has no weight (`sigma_core.standing.weights`) and is drawn by no epoch
that follows. Rounds that were drawn before keep their seats, and are scored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import select
from sqlalchemy.orm import Session

from sigma_core.assembly.population import ValidatorStatus
from sigma_core.deployment import Deployment
from sigma_core.errors import ExitCode, SigmaError
from sigma_core.lifecycle.audit_trail import check_words, record_change
from sigma_core.lifecycle.booking import append_lines
from sigma_core.lifecycle.standing import publish_weights
from sigma_core.lifecycle.standing_state import reputation_today
from sigma_core.policy import PPM
from sigma_core.standing.ledger import ReputationEvent, ReputationKind
from sigma_core.standing.lines import Lines
from sigma_core.standing.points import lift_sanctions, sanction
from sigma_core.storage.protocol import ReputationEntryRow, ValidatorRow
from sigma_core.timestamps import day_number, utc_now

_SANCTIONS = (ReputationKind.SANCTION.value, ReputationKind.SANCTION_LIFTED.value)


class ValidatorUnknown(SigmaError):
    """No validator has this id."""

    code = "VALIDATOR_UNKNOWN"


class SanctionRefused(SigmaError):
    """A measure against a validator, or its end, that the rules do not allow; names the rule."""

    code = "SANCTION_REFUSED"
    exit_code = ExitCode.NEGATIVE


@dataclass(frozen=True, slots=True)
class Measure:
    """What was done to a validator: how it stood ``before`` and stands ``after`` (``ceilingPpm`` or ``status``), and the weights
    epoch that has it."""

    validator_id: str
    before: dict[str, Any]
    after: dict[str, Any]
    weights_epoch: int

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON data."""
        return {
            "validatorId": self.validator_id,
            "before": self.before,
            "after": self.after,
            "weightsEpoch": self.weights_epoch,
        }


@dataclass(frozen=True, slots=True)
class _Held:
    """The ceiling that sanctions set (1,000,000: none), and whether one of them was set or lifted ``today``."""

    ceiling_ppm: int
    today: bool


def sanction_validator(
    deployment: Deployment, validator_id: str, ceiling_ppm: int, *, actor: str, reason: str
) -> Measure:
    """Hold the validator's reputation at or below ``ceiling_ppm`` until its sanctions are lifted.

    Raises ValidatorUnknown, SanctionRefused where as low a ceiling stands already, or SigmaError for the figure or the words.
    """
    if not 0 <= ceiling_ppm < PPM:
        raise SigmaError(f"a ceiling of {ceiling_ppm} ppm: it is within 0 … 999,999", code="USAGE")

    def booked(key: str, day: int, held: _Held) -> ReputationEvent:
        if held.ceiling_ppm <= ceiling_ppm:
            raise SanctionRefused(
                f"{validator_id} is held at {held.ceiling_ppm} ppm already",
                hint="lift its sanctions first to set another ceiling",
            )
        return sanction(key, validator_id, day, ceiling_ppm, reason, deployment.policy)

    return _book(deployment, validator_id, booked, ceiling_ppm, "validator.sanction", actor=actor, reason=reason)


def lift_validator_sanctions(deployment: Deployment, validator_id: str, *, actor: str, reason: str) -> Measure:
    """End all sanctions of the validator. Raises ValidatorUnknown, SanctionRefused where none stands, or SigmaError for the words."""

    def booked(key: str, day: int, held: _Held) -> ReputationEvent:
        if held.ceiling_ppm == PPM:
            raise SanctionRefused(f"no sanction of {validator_id} stands")
        if held.today:
            raise SanctionRefused(
                f"{validator_id} was sanctioned today, and a day's sanctions hold whatever is lifted on it",
                hint="lift them tomorrow, UTC",
            )
        return lift_sanctions(key, validator_id, day, reason, deployment.policy)

    return _book(deployment, validator_id, booked, PPM, "validator.lift_sanctions", actor=actor, reason=reason)


def suspend_validator(deployment: Deployment, validator_id: str, *, actor: str, reason: str) -> Measure:
    """Take all weight from the validator. Raises ValidatorUnknown, SanctionRefused where it is suspended already, or SigmaError."""
    return _set_status(deployment, validator_id, ValidatorStatus.SUSPENDED, actor=actor, reason=reason)


def reinstate_validator(deployment: Deployment, validator_id: str, *, actor: str, reason: str) -> Measure:
    """End a suspension. Raises ValidatorUnknown, SanctionRefused where there is none, or SigmaError."""
    return _set_status(deployment, validator_id, ValidatorStatus.ACTIVE, actor=actor, reason=reason)


def _book(
    deployment: Deployment,
    validator_id: str,
    booked: Callable[[str, int, _Held], ReputationEvent],
    ceiling_ppm: int,
    action: str,
    *,
    actor: str,
    reason: str,
) -> Measure:
    """Append the line that ``booked`` makes of its key, its day and what stands, after which ``ceiling_ppm`` does."""
    check_words(actor=actor, reason=reason)
    now = utc_now()
    with deployment.sessions.begin() as session:
        _validator(session, validator_id)
        row = ReputationEntryRow
        days = session.scalars(
            select(row.day).where(row.validator_id == validator_id, row.kind.in_(_SANCTIONS)).order_by(row.id)
        ).all()
        held = _Held(_ceiling_ppm(deployment, validator_id), day_number(now) in days)
        event = booked(f"{validator_id}/sanction/{len(days)}", day_number(now), held)
        append_lines(session, Lines(events=[event]))
        before, after = {"ceilingPpm": held.ceiling_ppm}, {"ceilingPpm": ceiling_ppm}
        record_change(session, action, validator_id, actor=actor, reason=reason, before=before, after=after, at=now)
    return Measure(validator_id, before, after, publish_weights(deployment).epoch)


def _set_status(
    deployment: Deployment, validator_id: str, status: ValidatorStatus, *, actor: str, reason: str
) -> Measure:
    check_words(actor=actor, reason=reason)
    suspends = status is ValidatorStatus.SUSPENDED
    with deployment.sessions.begin() as session:
        row = _validator(session, validator_id)
        if (row.status == ValidatorStatus.SUSPENDED) is suspends:
            raise SanctionRefused(f"{validator_id} is {row.status}: it cannot become {status}")
        before, after = {"status": row.status}, {"status": status.value}
        row.status = status.value
        action = "validator.suspend" if suspends else "validator.reinstate"
        record_change(
            session, action, validator_id, actor=actor, reason=reason, before=before, after=after, at=utc_now()
        )
    return Measure(validator_id, before, after, publish_weights(deployment).epoch)


def _validator(session: Session, validator_id: str) -> ValidatorRow:
    """The validator, held until the transaction ends."""
    row = session.get(ValidatorRow, validator_id, with_for_update=True)
    if row is None:
        raise ValidatorUnknown(f"no validator has the id {validator_id!r}")
    return row


def _ceiling_ppm(deployment: Deployment, validator_id: str) -> int:
    """The ceiling that sanctions set today; 1,000,000 where none stands."""
    held = reputation_today(deployment).filter(pl.col("validator_id") == validator_id)
    return int(held["ceiling_ppm"][0]) if held.height else PPM
