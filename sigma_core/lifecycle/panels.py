"""The panel stages: open a round, draw a panel, have it audit, keep its sealed and revealed votes."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from sigma_core.assembly.beacon import BeaconValue
from sigma_core.assembly.commit_reveal import Ballot, SealedVote, SeatStatus, Stage
from sigma_core.assembly.round import Audit, PhaseRecord, Round, SealedSubmission, hold_phase
from sigma_core.assembly.round import view_of as view_of_phase
from sigma_core.assembly.selection import Panel, Pool, Seat, selection_seed
from sigma_core.assembly.weights import WeightRow, WeightsSnapshot
from sigma_core.audit.model import AuditResult
from sigma_core.audit.views import view_of
from sigma_core.canonical import canonical_json
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.identifiers import round_id
from sigma_core.lifecycle.audits import SeatAudit, audit_seats, keep_usage
from sigma_core.lifecycle.beacon import beacon_value, kept_value
from sigma_core.lifecycle.bindings import Binding, bind_next_rounds, last_due
from sigma_core.lifecycle.canaries import Planting
from sigma_core.lifecycle.facts import load_facts
from sigma_core.lifecycle.intake import load_package, load_submission
from sigma_core.lifecycle.plugins import usage_log
from sigma_core.storage.protocol import (
    CertificateRow,
    FactsRow,
    RoundRow,
    SeatRow,
    SubmissionRow,
    ValidatorRow,
    WeightEpochRow,
)
from sigma_core.submissions.package import Package
from sigma_core.timestamps import utc_now

MAX_LOTTERIES = 8
_lotteries: dict[tuple[str, int, str], tuple[WeightsSnapshot, Pool]] = {}
_lotteries_lock = threading.Lock()


class RoundNotReady(SigmaError):
    """A stage was asked for before the stage that it builds on."""

    code = "ROUND_NOT_READY"


@dataclass(frozen=True, slots=True)
class Run:
    """Which run asks. ``resumes`` is the earlier run whose unfinished round it goes on with; a finished one is left as it is."""

    key: str
    resumes: str


@dataclass(frozen=True, slots=True)
class PanelRecord:
    """A phase as it was kept: its round, its seats in drawing order (replaced ones included), and the engines' time."""

    round: RoundRow
    phase: int
    seats: tuple[SeatRow, ...]
    audit_us: int


def unfinished() -> ColumnElement[bool]:
    """Rounds that a killed run left: not decided yet, or approved without the certificate that follows."""
    sealed = exists().where(CertificateRow.round_id == RoundRow.id)
    return or_(RoundRow.state != "DECIDED", and_(RoundRow.outcome == "APPROVED", ~sealed))


def open_run_key(deployment: Deployment, submission_id: str) -> str | None:
    """The run key of the submission's unfinished round, if there is one: what a resumed audit goes on with."""
    with deployment.read_sessions() as session:
        return session.scalar(
            select(RoundRow.run_key)
            .where(RoundRow.submission_id == submission_id, unfinished())
            .order_by(RoundRow.number.desc())
            .limit(1)
        )


def interrupted_submission(deployment: Deployment, package: Package, submitter: str) -> str | None:
    """The newest submission of the same bytes by ``submitter`` whose round was not started or not finished: a killed audit to
    resume."""
    with deployment.read_sessions() as session:
        return session.scalar(
            select(SubmissionRow.id)
            .outerjoin(RoundRow, RoundRow.submission_id == SubmissionRow.id)
            .where(
                SubmissionRow.tree_hash == package.tree_hash,
                SubmissionRow.submitter == submitter,
                SubmissionRow.source_name == package.source_name[:300],
                or_(RoundRow.id.is_(None), unfinished()),
            )
            .order_by(SubmissionRow.id.desc())
            .limit(1)
        )


def round_of_run(deployment: Deployment, submission_id: str, run: Run) -> str:
    """The round that ``run`` opened or resumes, else the submission's latest. Raises RoundNotReady when there is none."""
    with deployment.read_sessions() as session:
        found = _round_of(session, submission_id, run) or session.scalar(
            select(RoundRow.id).where(RoundRow.submission_id == submission_id).order_by(RoundRow.number.desc()).limit(1)
        )
    if found is None:
        raise RoundNotReady(
            f"submission {submission_id} has no round yet", hint="materialise phase_one_verdicts, which opens one"
        )
    return found


def _round_of(session: Session, submission_id: str, run: Run) -> str | None:
    of_submission = select(RoundRow.id).where(RoundRow.submission_id == submission_id)
    return session.scalar(of_submission.where(RoundRow.run_key == run.key)) or session.scalar(
        of_submission.where(RoundRow.run_key == run.resumes, unfinished())
    )


def bind_rounds(deployment: Deployment, submission_ids: Sequence[str], run: Run) -> datetime | None:
    """Bind the rounds that ``run`` is about to open, all under one checkpoint of the log, and return when the last of their beacon
    rounds is due; None when nothing is to be waited for. Raises Unavailable or LogError."""
    with deployment.read_sessions() as session:
        waiting = [each for each in submission_ids if _round_of(session, each, run) is None]
    return last_due(deployment, bind_next_rounds(deployment, waiting))


def open_round(deployment: Deployment, submission_id: str, run: Run) -> str:
    """Open the submission's next round for this run, or go on with the one that it, or the run that it resumes, left unfinished.

    It is drawn from the beacon round that it was bound to: by its submission, or for a re-run by a published log entry
    (`sigma_core.lifecycle.bindings`). Raises RoundNotReady when there are no facts yet, BeaconNotDue, Unavailable.
    """
    while True:
        with deployment.read_sessions() as session:
            known = _round_of(session, submission_id, run)
            if known is not None:
                return known
            facts_sha256 = _facts_of_today(deployment, session, submission_id)
        [binding] = bind_next_rounds(deployment, [submission_id])
        beacon = beacon_value(deployment, binding.beacon_chain, binding.beacon_round)
        with deployment.sessions.begin() as session:
            if not _is_open(session, binding):
                return _open(deployment, session, run, binding, beacon, facts_sha256)
        # Another run has opened the round of this binding: this one binds the next.


def _facts_of_today(deployment: Deployment, session: Session, submission_id: str) -> str:
    facts_sha256 = session.scalar(
        select(FactsRow.sha256)
        .where(FactsRow.submission_id == submission_id, FactsRow.policy_hash == deployment.policy.hash)
        .order_by(FactsRow.derived_at.desc())
        .limit(1)
    )
    if facts_sha256 is None:
        raise RoundNotReady(
            f"submission {submission_id} has no facts under today's policy", hint="materialise sandbox_facts first"
        )
    return facts_sha256


def _is_open(session: Session, binding: Binding) -> bool:
    found = select(RoundRow.id).where(
        RoundRow.submission_id == binding.submission_id, RoundRow.number == binding.number
    )
    return session.scalar(found) is not None


def _open(
    deployment: Deployment, session: Session, run: Run, binding: Binding, beacon: BeaconValue, facts_sha256: str
) -> str:
    identifier = round_id(binding.submission_id, binding.number)
    submission = session.get_one(SubmissionRow, binding.submission_id)
    newest = select(WeightEpochRow).order_by(WeightEpochRow.epoch.desc()).limit(1)
    epoch = (
        session.scalars(newest).one()
        if binding.weights_epoch is None
        else session.get_one(WeightEpochRow, binding.weights_epoch)
    )
    sealed = sealed_submission(submission, binding.beacon_chain, binding.beacon_round)
    session.add(
        RoundRow(
            id=identifier,
            submission_id=submission.id,
            number=binding.number,
            run_key=run.key,
            round_type="INITIAL_AUDIT" if binding.number == 1 else "RE_AUDIT",
            trigger_source="SUBMISSION" if binding.number == 1 else "OPERATOR",
            state="OPEN",
            facts_sha256=facts_sha256,
            policy_hash=deployment.policy.hash,
            weights_epoch=epoch.epoch,
            beacon_chain=binding.beacon_chain,
            beacon_round=binding.beacon_round,
            beacon_value=beacon.value,
            seed=selection_seed(identifier, sealed.hash, epoch.merkle_root, beacon.value),
            reasons=[],
            opened_at=utc_now(),
        )
    )
    return identifier


def run_phase(deployment: Deployment, round_identifier: str, phase: int) -> PanelRecord:
    """Draw the phase's panel and keep its votes, or return what is kept already.

    The seats commit, then the phase closes, then they reveal; a seat that abstains is redrawn before anything is revealed. Raises
    RoundNotReady or PoolTooSmallError.
    """
    with deployment.read_sessions() as session:
        row = session.get_one(RoundRow, round_identifier)
        seats = phase_seats(session, round_identifier)
    if seats.get(phase):
        return PanelRecord(row, phase, seats[phase], 0)
    if phase == 2 and not seats.get(1):
        raise RoundNotReady(f"{round_identifier}: phase 2 follows phase 1", hint="materialise phase_one_verdicts first")
    if row.policy_hash != deployment.policy.hash:
        raise RoundNotReady(
            f"{round_identifier} was opened under policy {row.policy_hash[:12]}…, which is not today's",
            hint="materialise phase_one_verdicts in a new run to open the next round",
        )
    audits: dict[int, SeatAudit] = {}
    planting = Planting(deployment, row, load_package(deployment, row.submission_id), view_of_phase(phase))
    earlier = [panel_of(seats[held], held) for held in seats]
    record = hold_phase(
        load_round(deployment, row),
        phase,
        earlier,
        _engines_of(deployment, row, planting, audits),
        secrets.token_bytes(32),
    )
    rows = [_seat_row(deployment, row, seat, record.ballot, audits[seat.number].result) for seat in record.panel.seats]
    # The attempts were made whether or not their votes get kept: usage first. A repetition finds its rows there.
    keep_usage(deployment, round_id=row.id, submission_id=row.submission_id, phase=phase, audits=list(audits.values()))
    with deployment.sessions.begin() as session:
        current = session.get_one(RoundRow, round_identifier)
        session.add_all(rows)
        session.flush()
        session.add_all(planting.rows(record.panel.seats, audits))
        for seat in rows:
            if (advice := audits[seat.number].advice) is not None:
                session.add_all(usage_log(seat, row.submission_id, advice))
        current.state = f"PHASE_{phase}"
    return PanelRecord(current, phase, tuple(rows), sum(audit.latency_us for audit in audits.values()))


def phase_seats(session: Session, round_identifier: str) -> dict[int, tuple[SeatRow, ...]]:
    """Seats by phase, in drawing order."""
    rows = session.scalars(
        select(SeatRow).where(SeatRow.round_id == round_identifier).order_by(SeatRow.phase, SeatRow.number)
    ).all()
    return {phase: tuple(row for row in rows if row.phase == phase) for phase in sorted({row.phase for row in rows})}


def panel_of(rows: tuple[SeatRow, ...], phase: int) -> Panel:
    """The panel as `draw_panel` gave it, from its kept seats."""
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
        next_ticket=rows[-1].ticket_index + 1 if rows else 0,
        relaxations=tuple(rows[-1].relaxations) if rows else (),
    )


def load_round(deployment: Deployment, row: RoundRow) -> Round:
    """What was fixed before the round's first audit, from its record."""
    snapshot, pool = _lottery(deployment, row.weights_epoch)
    submission = load_submission(deployment, row.submission_id)
    kept = kept_value(deployment, row.beacon_chain, row.beacon_round)
    return Round.opened(
        row.id,
        sealed_submission(submission, row.beacon_chain, row.beacon_round),
        deployment.policy.assembly,
        snapshot=snapshot,
        pool=pool,
        beacon=BeaconValue(row.beacon_chain, row.beacon_round, row.beacon_value, kept.proof if kept else ""),
    )


def sealed_submission(submission: SubmissionRow, beacon_chain: str, beacon_round: int) -> SealedSubmission:
    """What the seed of a round covers. In conflict is whoever submitted the package."""
    return SealedSubmission(submission.id, submission.tree_hash, (submission.submitter,), beacon_chain, beacon_round)


def _engines_of(deployment: Deployment, row: RoundRow, planting: Planting, audits: dict[int, SeatAudit]) -> Audit:
    """The engines behind a panel's seats; each audit is also put into ``audits`` by its seat number."""
    view = planting.view
    package = view_of(planting.package, view)
    facts = load_facts(deployment, row.facts_sha256)

    def audit(panel: Panel, numbers: Collection[int]) -> Mapping[int, AuditResult]:
        seats = [seat for seat in panel.seats if seat.number in numbers]
        parameters = _parameters(deployment, [seat.validator_id for seat in seats])
        audits.update(
            audit_seats(
                deployment,
                row,
                seats,
                parameters=parameters,
                package=package,
                facts=facts,
                view=view,
                planted=planting.views(seats),
            )
        )
        return {seat.number: audits[seat.number].result for seat in seats}

    return audit


def load_phases(deployment: Deployment, round_identifier: str) -> list[PhaseRecord]:
    """The kept phases of a round, as `hold_phase` returned them."""
    with deployment.read_sessions() as session:
        seats = phase_seats(session, round_identifier)
    return [_phase_record(deployment, round_identifier, phase, rows) for phase, rows in seats.items()]


def _phase_record(deployment: Deployment, round_identifier: str, phase: int, rows: tuple[SeatRow, ...]) -> PhaseRecord:
    votes = {
        row.number: SealedVote(
            seat=row.number,
            validator_id=row.validator_id,
            status=SeatStatus(row.status),
            commitment=row.commitment,
            salt=row.salt,
            verdict=json.loads(deployment.blobs.get(str(row.result_sha256))) if row.status == "REVEALED" else None,
        )
        for row in rows
    }
    return PhaseRecord(panel_of(rows, phase), Ballot(round_identifier, phase, Stage.CLOSED, votes))


def _seat_row(deployment: Deployment, row: RoundRow, seat: Seat, ballot: Ballot, result: AuditResult) -> SeatRow:
    vote = ballot.votes[seat.number]
    return SeatRow(
        round_id=row.id,
        phase=seat.phase,
        number=seat.number,
        validator_id=seat.validator_id,
        operator=seat.operator,
        family=seat.family,
        ticket_index=seat.ticket_index,
        replaces=seat.replaces,
        relaxations=list(seat.relaxations),
        status=vote.status.value,
        verdict=vote.vote.value,
        commitment=vote.commitment,
        salt=vote.salt,
        result_sha256=deployment.blobs.put(canonical_json(result.as_json())),
        score_ppm=result.score_ppm,
        finding_count=len(result.findings),
        revealed_at=utc_now() if vote.verdict is not None else None,
    )


def _parameters(deployment: Deployment, validator_ids: list[str]) -> Mapping[str, Mapping[str, int | str]]:
    with deployment.read_sessions() as session:
        rows = session.execute(
            select(ValidatorRow.id, ValidatorRow.parameters).where(ValidatorRow.id.in_(validator_ids))
        )
        return {row.id: row.parameters for row in rows}


def load_snapshot(deployment: Deployment, epoch: int) -> WeightsSnapshot:
    """The published weights of an epoch, checked against their Merkle root."""
    with deployment.read_sessions() as session:
        row = session.get_one(WeightEpochRow, epoch)
    document = json.loads(deployment.blobs.get(row.snapshot_sha256))
    snapshot = WeightsSnapshot.of(
        epoch,
        row.policy_hash,
        (
            WeightRow(
                validator_id=entry["validatorId"],
                operator=entry["operator"],
                family=entry["family"],
                weight=entry["weight"],
                reputation_ppm=entry["reputationPpm"],
            )
            for entry in document["rows"]
        ),
    )
    if snapshot.merkle_root != row.merkle_root:
        raise SigmaError(
            f"epoch {epoch}: the stored weights do not have the published Merkle root", code="WEIGHTS_TAMPERED"
        )
    return snapshot


def _lottery(deployment: Deployment, epoch: int) -> tuple[WeightsSnapshot, Pool]:
    """The weights of an epoch and the lottery laid out over them, once per process: thousands of rounds draw from the same one."""
    key = (deployment.settings.protocol_url, epoch, deployment.policy.hash)
    with _lotteries_lock:
        if key not in _lotteries:
            if len(_lotteries) >= MAX_LOTTERIES:
                _lotteries.pop(next(iter(_lotteries)))
            snapshot = load_snapshot(deployment, epoch)
            _lotteries[key] = (snapshot, Pool.of(snapshot, deployment.policy.assembly))
        return _lotteries[key]
