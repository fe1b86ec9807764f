"""An operator takes somebody off a seat, while the phase is open and before anything is sealed.

What is sealed stays: an operator who could throw away commitments could draw until the votes suit. A validator that
must go all the same is suspended, for every round and publicly; then its seat is redrawn too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sigma_core.assembly.commit_reveal import SeatStatus
from sigma_core.assembly.consensus import Vote
from sigma_core.deployment import Deployment
from sigma_core.errors import ExitCode, SigmaError
from sigma_core.lifecycle.audit_trail import check_words, record_change
from sigma_core.lifecycle.panels import load_round
from sigma_core.lifecycle.phases import phase_seats
from sigma_core.storage.clock import shared_now
from sigma_core.storage.protocol import PhaseRow, RoundRow, SeatRow


class SeatReplacementRefused(SigmaError):
    """A replacement that the rules do not allow; names the seat and the rule."""

    code = "SEAT_REPLACEMENT_REFUSED"
    exit_code = ExitCode.NEGATIVE


@dataclass(frozen=True, slots=True)
class SeatRemoval:
    """Who was taken off which seat; the replacement is drawn when the phase goes on."""

    round_id: str
    phase: int
    seat: int
    validator_id: str

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON data."""
        return {
            "roundId": self.round_id,
            "phase": self.phase,
            "seat": self.seat,
            "validatorId": self.validator_id,
        }


def replace_seat(deployment: Deployment, round_id: str, seat: int, *, actor: str, reason: str) -> SeatRemoval:
    """Take the holder off a seat of the round's open phase; whoever goes on with the phase redraws it. Repeating it changes
    nothing. Raises SeatReplacementRefused, or SigmaError for the words."""
    check_words(actor=actor, reason=reason)
    with deployment.read_sessions() as session:
        row = session.get(RoundRow, round_id)
    if row is None:
        raise SeatReplacementRefused(f"no round has the id {round_id!r}", code="ROUND_UNKNOWN")
    redraws = load_round(deployment, row).rules.abstain_redraws
    with deployment.sessions.begin() as session:
        now = shared_now(session)
        kept = session.scalar(
            select(PhaseRow).where(PhaseRow.round_id == round_id, PhaseRow.closed_at.is_(None)).with_for_update()
        )
        if kept is None or now > kept.deadline_at:
            raise SeatReplacementRefused(f"{round_id} has no open phase: a seat is replaced before its phase closes")
        held = _seat(session, kept, seat)
        removal = SeatRemoval(round_id, kept.phase, seat, held.validator_id)
        if held.status == SeatStatus.REMOVED:
            return removal
        if held.status != SeatStatus.PENDING:
            raise SeatReplacementRefused(
                f"{round_id}: seat {seat} of phase {kept.phase} is {held.status}: only a seat that has not voted is replaced",
                hint="what is sealed stays; suspend a validator that must not vote at all",
            )
        if _replacements(session, kept, held) >= redraws:
            raise SeatReplacementRefused(
                f"{round_id}: seat {seat} of phase {kept.phase} has had {redraws} replacements, and the policy allows no more"
            )
        held.status, held.verdict = SeatStatus.REMOVED.value, Vote.ABSTAIN.value
        if kept.retry_at is not None:
            kept.retry_at = now  # a phase that waits goes on with the new seat
        record_change(
            session,
            "seat.replace",
            round_id,
            actor=actor,
            reason=reason,
            before={"phase": kept.phase, "seat": seat, "validatorId": held.validator_id, "status": "PENDING"},
            after={"phase": kept.phase, "seat": seat, "validatorId": held.validator_id, "status": "REMOVED"},
            at=now,
        )
    return removal


def _seat(session: Session, kept: PhaseRow, number: int) -> SeatRow:
    held = session.get(SeatRow, (kept.round_id, kept.phase, number))
    if held is None:
        raise SeatReplacementRefused(f"{kept.round_id}: phase {kept.phase} has no seat {number}")
    return held


def _replacements(session: Session, kept: PhaseRow, held: SeatRow) -> int:
    """How many replacements led to this seat."""
    by_number = {row.number: row for row in phase_seats(session, kept.round_id)[kept.phase]}
    count = 0
    while held.replaces is not None:
        held, count = by_number[held.replaces], count + 1
    return count
