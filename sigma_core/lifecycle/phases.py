"""A phase as it goes on, kept step by step: its panel when it is drawn, each wave of commitments, each redraw, its closing.

Every step is one transaction on the phase's row, so that a worker may be killed between any two, a second worker may come
by, and an operator may take somebody off a seat; whoever goes on finds the ballot as it stands. The rules are those of
`sigma_core.assembly.round`; this module adds storage and the clock:

- **Deadline.** A phase takes commitments up to ``phase_deadline_seconds`` after its draw, and reveals up to
  ``reveal_deadline_seconds`` after that. Who is late is a no-show, and nobody is redrawn any more. All workers read one clock
  (`sigma_core.storage.clock`), so that none whose own is wrong ends a phase too early or holds it open.
- **Waiting.** Where no engine of the panel could give a verdict, nothing is kept: the phase waits, to be tried again up to
  its deadline. Then it closes with no-shows, so that the quorum is missed and the round escalates.
- **Suspension.** A validator that is suspended before the phase closes loses its seat, committed or not.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sigma_core.assembly.commit_reveal import (
    Ballot,
    DeadlinePassed,
    PhaseClosed,
    Removed,
    Revealed,
    RevealsClosed,
    SealedVote,
    SeatStatus,
    Stage,
    derived_salt,
)
from sigma_core.assembly.population import ValidatorStatus
from sigma_core.assembly.round import ClosedBy, OpenPhase, PhaseRecord, Round, cast, open_phase, redraw_vacancies
from sigma_core.assembly.selection import Panel, Seat
from sigma_core.audit.model import AuditResult, Verdict
from sigma_core.canonical import canonical_json
from sigma_core.deployment import Deployment
from sigma_core.errors import ExitCode, SigmaError
from sigma_core.lifecycle.audits import SeatAudit
from sigma_core.lifecycle.canaries import Planting
from sigma_core.lifecycle.plugins import usage_log
from sigma_core.storage.blobs import ReadBlob
from sigma_core.storage.clock import shared_now
from sigma_core.storage.protocol import PhaseRow, RoundRow, SeatRow, ValidatorRow
from sigma_core.timestamps import iso_utc


class RoundWaits(SigmaError):
    """No engine of the panel could be asked. The round is kept as it is and goes on when it is asked for again."""

    code = "ROUND_WAITS"
    exit_code = ExitCode.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class KeptPhase:
    """A phase as its rows have it. ``row`` is None for one from before phases had rows: it is over."""

    number: int
    row: PhaseRow | None
    seats: tuple[SeatRow, ...]

    @property
    def closed(self) -> bool:
        """Whether the phase is over."""
        return self.row is None or self.row.closed_at is not None


def phase_seats(session: Session, round_identifier: str) -> dict[int, tuple[SeatRow, ...]]:
    """Seats by phase, in drawing order."""
    rows = session.scalars(
        select(SeatRow).where(SeatRow.round_id == round_identifier).order_by(SeatRow.phase, SeatRow.number)
    ).all()
    return {phase: tuple(row for row in rows if row.phase == phase) for phase in sorted({row.phase for row in rows})}


def kept_phases(session: Session, round_identifier: str) -> dict[int, KeptPhase]:
    """The phases of a round that were begun, by number."""
    rows = {
        row.phase: row for row in session.scalars(select(PhaseRow).where(PhaseRow.round_id == round_identifier)).all()
    }
    seats = phase_seats(session, round_identifier)
    return {phase: KeptPhase(phase, rows.get(phase), seats[phase]) for phase in seats}


def panel_of(rows: tuple[SeatRow, ...], phase: int, kept: PhaseRow | None = None) -> Panel:
    """The panel as it was drawn, from its kept seats; ``kept`` is needed where it may be redrawn."""
    return Panel(
        phase=phase,
        seats=tuple(
            Seat(
                phase=phase,
                number=row.number,
                validator_id=row.validator_id,
                operator=row.operator,
                family=row.family,
                ticket_index=row.ticket_index,
                relaxations=tuple(row.relaxations),
                replaces=row.replaces,
            )
            for row in rows
        ),
        next_ticket=kept.next_ticket if kept else 0,
        relaxations=tuple(kept.relaxations) if kept else tuple(rows[-1].relaxations) if rows else (),
    )


def open_phase_of(kept: KeptPhase) -> OpenPhase:
    """A phase that is not closed yet, as it stands."""
    assert kept.row is not None
    votes = {
        row.number: SealedVote(row.number, row.validator_id, SeatStatus(row.status), row.commitment)
        for row in kept.seats
    }
    ballot = Ballot(kept.row.round_id, kept.number, Stage.COMMITTING, votes)
    return OpenPhase(
        panel_of(kept.seats, kept.number, kept.row), ballot, tuple(tuple(each) for each in kept.row.redraws)
    )


def overdue(deployment: Deployment, kept: KeptPhase) -> bool:
    """Whether an open phase takes no commitments any more."""
    with deployment.read_sessions() as session:
        return kept.row is not None and shared_now(session) > kept.row.deadline_at


def phase_record(read: ReadBlob, round_identifier: str, kept: KeptPhase) -> PhaseRecord:
    """A closed phase as the assembly knows it, with the verdicts that were revealed; seats that say the same share one blob."""
    revealed = {str(row.result_sha256) for row in kept.seats if row.status == "REVEALED"}
    verdicts = {digest: orjson.loads(read(digest)) for digest in revealed}
    votes = {
        row.number: SealedVote(
            seat=row.number,
            validator_id=row.validator_id,
            status=SeatStatus(row.status),
            commitment=row.commitment,
            salt=row.salt,
            verdict=verdicts[str(row.result_sha256)] if row.status == "REVEALED" else None,
        )
        for row in kept.seats
    }
    return PhaseRecord(
        panel_of(kept.seats, kept.number, kept.row),
        Ballot(round_identifier, kept.number, Stage.CLOSED, votes),
        tuple(tuple(vacant) for vacant in kept.row.redraws) if kept.row else None,
        ClosedBy(kept.row.closed_by) if kept.row and kept.row.closed_by else ClosedBy.COMPLETE,
    )


def begin_phase(deployment: Deployment, held: Round, phase: int, earlier: Sequence[Panel]) -> KeptPhase:
    """Draw the panel of a phase and keep it, with its deadline; a phase that was begun is left as it is. Raises
    PoolTooSmallError."""
    drawn = open_phase(held, phase, earlier)
    with deployment.read_sessions() as session:
        now = shared_now(session)
    row = PhaseRow(
        round_id=held.id,
        phase=phase,
        next_ticket=0,
        relaxations=[],
        redraws=[],
        opened_at=now,
        deadline_at=now + timedelta(seconds=held.rules.phase_deadline_seconds),
        retry_at=None,
        closed_at=None,
        closed_by=None,
    )
    rows: dict[int, SeatRow] = {}
    try:
        with deployment.sessions.begin() as session:
            drawn = _without_suspended(session, drawn)
            session.add(row)
            _keep(session, row, rows, drawn)
        return KeptPhase(phase, row, tuple(rows.values()))
    except IntegrityError:
        with deployment.read_sessions() as session:
            kept = kept_phases(session, held.id)
        if phase not in kept:
            raise  # not another worker that was faster
        return kept[phase]


def settle_wave(
    deployment: Deployment,
    held: Round,
    phase: int,
    earlier: Sequence[Panel],
    audits: Mapping[int, SeatAudit],
    planting: Planting,
) -> KeptPhase:
    """Take in what the pending seats said, then redraw what is vacant or close the phase; returns it as it is now.

    ``audits`` are by seat number; those of seats that are not pending any more count nothing. ``planting`` has the files that
    were shown to them. Raises RoundWaits.
    """
    salts = secrets.token_bytes(32)
    said = {number: audits[number].result.as_json() for number in audits}
    digests = {number: deployment.blobs.put(canonical_json(said[number])) for number in said}
    with deployment.sessions.begin() as session:
        row, rows, phase_now = _standing(session, held, phase)
        now = shared_now(session)
        heard = [number for number in phase_now.pending if number in audits]
        waits = False
        if row.closed_at is not None:
            pass  # another worker was faster
        elif now > row.deadline_at:
            _end(deployment, session, held, row, rows, phase_now, now)
        elif waits := _nobody_voted(phase_now, heard, audits):
            row.retry_at = min(now + timedelta(seconds=held.rules.waiting_retry_seconds), row.deadline_at)
            _keep(session, row, rows, phase_now)
        else:
            row.retry_at = None
            for number in heard:
                phase_now = phase_now.after(cast(phase_now, number, audits[number].result, salts))
            phase_now, complete = _filled(session, held, phase_now, earlier)
            _keep(session, row, rows, phase_now)
            for number in heard:
                _hand_in(session, held, rows[number], audits[number], digests[number], salts)
            session.add_all(planting.rows([seat for seat in phase_now.panel.seats if seat.number in heard], audits))
            if complete:
                _close(
                    deployment, session, held, row, rows, phase_now, now, ClosedBy.COMPLETE, {n: said[n] for n in heard}
                )
    if waits:
        raise RoundWaits(
            f"{held.id}: nobody on the panel of phase {phase} could give a verdict "
            f"({audits[heard[0]].result.reason}): the round waits",
            hint=f"it is tried again from {iso_utc(row.retry_at or now)} on, and escalated after {iso_utc(row.deadline_at)}",
        )
    return KeptPhase(phase, row, tuple(rows.values()))


def close_overdue_phase(deployment: Deployment, held: Round, phase: int) -> None:
    """Close a phase now whatever its deadline, with no-shows for whoever has not committed, for a round that is given up."""
    with deployment.sessions.begin() as session:
        row, rows, phase_now = _standing(session, held, phase)
        if row.closed_at is None:
            _end(deployment, session, held, row, rows, phase_now, shared_now(session))


def _standing(session: Session, held: Round, phase: int) -> tuple[PhaseRow, dict[int, SeatRow], OpenPhase]:
    """The phase, locked, its seats by number, and where it stands without those who were suspended meanwhile."""
    row = session.scalars(
        select(PhaseRow).where(PhaseRow.round_id == held.id, PhaseRow.phase == phase).with_for_update()
    ).one()
    seats = phase_seats(session, held.id)[phase]
    now = open_phase_of(KeptPhase(phase, row, seats))
    return row, {seat.number: seat for seat in seats}, now if row.closed_at else _without_suspended(session, now)


def _end(
    deployment: Deployment,
    session: Session,
    held: Round,
    row: PhaseRow,
    rows: dict[int, SeatRow],
    phase: OpenPhase,
    now: datetime,
) -> None:
    """Close the phase as it stands, with no-shows for whoever has not committed, and without a redraw."""
    ended = phase.after(DeadlinePassed())
    _keep(session, row, rows, ended)
    _close(deployment, session, held, row, rows, ended, now, ClosedBy.DEADLINE)


def _filled(session: Session, held: Round, phase: OpenPhase, earlier: Sequence[Panel]) -> tuple[OpenPhase, bool]:
    """The phase with its vacant seats redrawn, and whether nothing is left to wait for."""
    while not phase.pending:
        redrawn = redraw_vacancies(held, phase, earlier)
        if redrawn is phase:
            return phase, True
        phase = _without_suspended(session, redrawn)
    return phase, False


def _nobody_voted(phase: OpenPhase, heard: Sequence[int], audits: Mapping[int, SeatAudit]) -> bool:
    """Whether the phase has no commitment, and all who are asked abstain."""
    sealed = any(vote.commitment is not None for vote in phase.ballot.votes.values())
    abstain = all(audits[number].result.verdict is Verdict.ABSTAIN for number in heard)
    return bool(heard) and abstain and not sealed


def _without_suspended(session: Session, phase: OpenPhase) -> OpenPhase:
    """The phase without those of its seats' holders who were suspended since the weights were published."""
    holding = (SeatStatus.PENDING, SeatStatus.COMMITTED)
    held = {vote.validator_id: number for number, vote in phase.ballot.votes.items() if vote.status in holding}
    suspended = session.scalars(
        select(ValidatorRow.id).where(ValidatorRow.id.in_(held), ValidatorRow.status == ValidatorStatus.SUSPENDED.value)
    ).all()
    for validator_id in sorted(suspended, key=held.__getitem__):
        phase = phase.after(Removed(held[validator_id], validator_id))
    return phase


def _keep(session: Session, row: PhaseRow, rows: dict[int, SeatRow], phase: OpenPhase) -> None:
    """Write where seats, ballot and draw stand; new seats also go into ``rows``."""
    for seat in phase.panel.seats:
        vote = phase.ballot.votes[seat.number]
        known = rows.get(seat.number)
        if known is None:
            known = rows[seat.number] = SeatRow(
                round_id=row.round_id,
                phase=row.phase,
                number=seat.number,
                validator_id=seat.validator_id,
                operator=seat.operator,
                family=seat.family,
                ticket_index=seat.ticket_index,
                replaces=seat.replaces,
                relaxations=list(seat.relaxations),
                finding_count=0,
            )
            session.add(known)
        known.status, known.commitment = vote.status.value, vote.commitment
        if vote.status is SeatStatus.REMOVED:
            known.verdict, known.salt, known.result_sha256 = vote.vote.value, None, None
    row.next_ticket = phase.panel.next_ticket
    row.relaxations = list(phase.panel.relaxations)
    row.redraws = [list(vacant) for vacant in phase.redraws]


def _hand_in(session: Session, held: Round, seat: SeatRow, audit: SeatAudit, digest: str, salt_secret: bytes) -> None:
    """Keep what a seat said: sealed, with the salt that will open it, or openly where it abstains."""
    seat.result_sha256 = digest
    if seat.status == SeatStatus.COMMITTED:
        seat.salt = derived_salt(salt_secret, seat.round_id, seat.phase, seat.number, seat.validator_id)
    else:
        _tell(seat, audit.result)
    if audit.advice is not None:
        session.add_all(usage_log(seat, held.submission.submission_id, audit.advice, audit.result.verdict.value))


def _tell(seat: SeatRow, result: AuditResult) -> None:
    seat.verdict = result.verdict.value
    seat.score_ppm = result.score_ppm
    seat.finding_count = len(result.findings)


def _close(
    deployment: Deployment,
    session: Session,
    held: Round,
    row: PhaseRow,
    rows: Mapping[int, SeatRow],
    phase: OpenPhase,
    now: datetime,
    by: ClosedBy,
    said: Mapping[int, Mapping[str, Any]] | None = None,
) -> None:
    """Close the phase and open every commitment, where there is still time for it; ``said`` are verdict documents at hand, by
    seat number."""
    if all(phase.ballot.votes[seat.number].commitment for seat in phase.panel.standing):
        by = ClosedBy.COMPLETE
    closed = phase.after(PhaseClosed())
    if now <= row.deadline_at + timedelta(seconds=held.rules.reveal_deadline_seconds):
        for number, vote in phase.ballot.votes.items():
            if vote.status is SeatStatus.COMMITTED:
                at_hand = (said or {}).get(number)
                verdict = at_hand or orjson.loads(deployment.blobs.get(str(rows[number].result_sha256)))
                closed = closed.after(Revealed(number, vote.validator_id, verdict, str(rows[number].salt)))
    ended = closed.after(RevealsClosed())
    for number, vote in ended.ballot.votes.items():
        seat = rows[number]
        seat.status, seat.verdict = vote.status.value, vote.vote.value
        if vote.verdict is not None:
            seat.score_ppm, seat.finding_count = vote.verdict["scorePpm"], len(vote.verdict["findings"])
            seat.revealed_at = now
        elif vote.status is SeatStatus.NO_SHOW:
            # Nobody opened it, so nobody learns it.
            seat.salt, seat.result_sha256 = None, None
    row.closed_at, row.retry_at = now, None
    row.closed_by = by.value
    session.execute(update(RoundRow).where(RoundRow.id == row.round_id).values(state=f"PHASE_{row.phase}"))
