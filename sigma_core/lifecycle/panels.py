"""The panel stages: open a round, draw a panel, have it audit, keep its sealed and revealed votes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from sigma_core.assembly.appeal import Appeal
from sigma_core.assembly.beacon import BeaconValue
from sigma_core.assembly.consensus import RoundOutcome
from sigma_core.assembly.round import PhaseRecord, Round, SealedSubmission
from sigma_core.assembly.round import view_of as view_of_phase
from sigma_core.assembly.selection import Pool, Seat, selection_seed
from sigma_core.assembly.weights import WeightRow, WeightsSnapshot
from sigma_core.audit.views import view_of
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.identifiers import round_id
from sigma_core.lifecycle.audits import SeatAudit, Turn, audit_seats, keep_usage, without_waiting
from sigma_core.lifecycle.beacon import beacon_value, kept_value
from sigma_core.lifecycle.bindings import Binding, bind_next_rounds, last_due
from sigma_core.lifecycle.canaries import Planting
from sigma_core.lifecycle.facts import recall_facts
from sigma_core.lifecycle.intake import package_of
from sigma_core.lifecycle.phases import (
    begin_phase,
    kept_phases,
    open_phase_of,
    overdue,
    panel_of,
    phase_record,
    settle_wave,
)
from sigma_core.lifecycle.policies import policy_of
from sigma_core.lifecycle.round_requests import appeal_of_request, appeal_of_round
from sigma_core.lifecycle.turned_away import leaves_a_certificate
from sigma_core.policy import AssemblyRules
from sigma_core.storage.blobs import ReadBlob
from sigma_core.storage.protocol import (
    CertificateRow,
    FactsRow,
    RoundOverrideRow,
    RoundRequestRow,
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
    """Which run asks. ``resumes`` is the earlier run whose unfinished round it goes on with; a finished one is left as it is.
    ``request`` is the request (`sigma_core.lifecycle.round_requests`) whose one round it opens, or goes on with."""

    key: str
    resumes: str
    request: int | None = None


@dataclass(frozen=True, slots=True)
class PanelRecord:
    """A phase as it was kept: its round, its seats in drawing order (replaced ones included), and the engines' time."""

    round: RoundRow
    phase: int
    seats: tuple[SeatRow, ...]
    audit_us: int


@dataclass(frozen=True, slots=True)
class KeptRound:
    """A round whose phases are over: its record, its submission's, what was fixed before its first audit, and those phases."""

    row: RoundRow
    submission: SubmissionRow
    held: Round
    phases: list[PhaseRecord]


def unfinished() -> ColumnElement[bool]:
    """Rounds that a killed run left: not decided yet, or approved without the certificate that follows (none follows where an
    operator has overridden the approval), or turning away what an earlier round certified without that certificate's suspension."""
    sealed = exists().where(CertificateRow.round_id == RoundRow.id)
    withheld = exists().where(
        RoundOverrideRow.round_id == RoundRow.id, RoundOverrideRow.outcome == RoundOutcome.REJECTED.value
    )
    owes_certificate = and_(RoundRow.outcome == RoundOutcome.APPROVED.value, ~sealed, ~withheld)
    return or_(RoundRow.state != "DECIDED", owes_certificate, leaves_a_certificate())


def _resumable(deployment: Deployment) -> ColumnElement[bool]:
    """Unfinished rounds that can go on here. Panels vote under one policy, so one that was opened under another does not."""
    return and_(unfinished(), or_(RoundRow.state == "DECIDED", RoundRow.policy_hash == deployment.policy.hash))


def open_run_key(deployment: Deployment, submission_id: str) -> str | None:
    """The run key of the submission's unfinished round, if there is one that can go on: what a resumed audit goes on with."""
    with deployment.read_sessions() as session:
        return session.scalar(
            select(RoundRow.run_key)
            .where(RoundRow.submission_id == submission_id, _resumable(deployment))
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
                or_(RoundRow.id.is_(None), _resumable(deployment)),
            )
            .order_by(SubmissionRow.id.desc())
            .limit(1)
        )


def round_of_run(deployment: Deployment, submission_id: str, run: Run) -> str:
    """The round that ``run`` opened or resumes, else the submission's latest. Raises RoundNotReady when there is none."""
    with deployment.read_sessions() as session:
        found = _round_of(deployment, session, submission_id, run) or session.scalar(
            select(RoundRow.id).where(RoundRow.submission_id == submission_id).order_by(RoundRow.number.desc()).limit(1)
        )
    if found is None:
        raise RoundNotReady(
            f"submission {submission_id} has no round yet", hint="materialise phase_one_verdicts, which opens one"
        )
    return found


def _round_of(deployment: Deployment, session: Session, submission_id: str, run: Run) -> str | None:
    if run.request is not None:
        return _request(session, submission_id, run.request).round_id
    of_submission = select(RoundRow.id).where(RoundRow.submission_id == submission_id)
    return session.scalar(of_submission.where(RoundRow.run_key == run.key)) or session.scalar(
        of_submission.where(RoundRow.run_key == run.resumes, _resumable(deployment))
    )


def _request(session: Session, submission_id: str, request_id: int, *, lock: bool = False) -> RoundRequestRow:
    row = session.get(RoundRequestRow, request_id, with_for_update=lock)
    if row is None or row.submission_id != submission_id:
        raise RoundNotReady(f"nobody asked for a round of {submission_id} by request {request_id}")
    return row


def bind_rounds(deployment: Deployment, submission_ids: Sequence[str], run: Run) -> datetime | None:
    """Bind the rounds that ``run`` is about to open, all under one checkpoint of the log, and return when the last of their beacon
    rounds is due; None when nothing is to be waited for. Raises Unavailable or LogError."""
    with deployment.read_sessions() as session:
        waiting = [each for each in submission_ids if _round_of(deployment, session, each, run) is None]
    return last_due(deployment, bind_next_rounds(deployment, waiting))


def open_round(deployment: Deployment, submission_id: str, run: Run) -> str:
    """Open the submission's next round for this run, or go on with the one that it, or the run that it resumes, left unfinished.

    It is drawn from the beacon round that it was bound to: by its submission, or for a re-run by a published log entry
    (`sigma_core.lifecycle.bindings`). A requested round is opened once. Raises
    RoundNotReady when there are no facts yet, BeaconNotDue, Unavailable.
    """
    while True:
        with deployment.read_sessions() as session:
            known = _round_of(deployment, session, submission_id, run)
            if known is not None:
                return known
            facts_sha256 = _facts_of_today(deployment, session, submission_id)
        [binding] = bind_next_rounds(deployment, [submission_id])
        beacon = beacon_value(deployment, binding.beacon_chain, binding.beacon_round)
        with deployment.sessions.begin() as session:
            request = _request(session, submission_id, run.request, lock=True) if run.request is not None else None
            if request is not None and request.round_id is not None:
                return request.round_id
            if not _is_open(session, binding):
                return _open(deployment, session, run, binding, beacon, facts_sha256, request)
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
    deployment: Deployment,
    session: Session,
    run: Run,
    binding: Binding,
    beacon: BeaconValue,
    facts_sha256: str,
    request: RoundRequestRow | None,
) -> str:
    identifier = round_id(binding.submission_id, binding.number)
    submission = session.get_one(SubmissionRow, binding.submission_id)
    newest = select(WeightEpochRow).order_by(WeightEpochRow.epoch.desc()).limit(1)
    epoch = (
        session.scalars(newest).one()
        if binding.weights_epoch is None
        else session.get_one(WeightEpochRow, binding.weights_epoch)
    )
    appeal = appeal_of_request(deployment, session, request) if request else None
    sealed = sealed_submission(submission, binding.beacon_chain, binding.beacon_round, appeal)
    default = ("INITIAL_AUDIT", "SUBMISSION") if binding.number == 1 else ("RE_AUDIT", "OPERATOR")
    round_type, trigger = (request.round_type, request.trigger_source) if request else default
    session.add(
        RoundRow(
            id=identifier,
            submission_id=submission.id,
            number=binding.number,
            run_key=run.key,
            round_type=round_type,
            trigger_source=trigger,
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
    if request is not None:
        session.flush()
        request.round_id = identifier
    return identifier


def run_phase(
    deployment: Deployment, round_identifier: str, phase: int, *, turn: Turn = without_waiting
) -> PanelRecord:
    """Hold the phase, going on where it stands, or return what it is when it is over.

    The seats commit, then the phase closes, then they reveal; a seat that abstains or loses its holder is redrawn before
    anything is revealed. ``turn`` is taken around each question to a language model, with the provider's name. Raises
    RoundNotReady, RoundWaits or PoolTooSmallError.
    """
    with deployment.read_sessions() as session:
        row = session.get_one(RoundRow, round_identifier)
        kept = kept_phases(session, round_identifier)
        if phase in kept and kept[phase].closed:
            return PanelRecord(row, phase, kept[phase].seats, 0)
        if phase > 1 and (phase - 1 not in kept or not kept[phase - 1].closed):
            raise RoundNotReady(
                f"{round_identifier}: phase {phase} follows phase {phase - 1}",
                hint="materialise phase_one_verdicts first" if phase == 2 else "materialise phase_two_verdicts first",
            )
        if row.policy_hash != deployment.policy.hash:
            raise RoundNotReady(
                f"{round_identifier} was opened under policy {row.policy_hash[:12]}…, which is not today's",
                hint="a new run of phase_one_verdicts opens the next round; one that was asked for is given up first, then ask again",
            )
        submission = session.get_one(SubmissionRow, row.submission_id)
        held = _held_round(deployment, session, row, submission)
    earlier = [panel_of(kept[number].seats, number) for number in range(1, phase)]
    now = kept.get(phase) or begin_phase(deployment, held, phase, earlier)
    planting = Planting(deployment, row, package_of(deployment.blobs.recall, submission), view_of_phase(phase))
    ask = _engines_of(deployment, row, planting, turn)
    audit_us = 0
    while not now.closed:
        pending = () if overdue(deployment, now) else open_phase_of(now).pending
        audits = ask([seat for seat in panel_of(now.seats, phase).seats if seat.number in pending])
        audit_us += sum(audit.latency_us for audit in audits.values())
        # The attempts were made whether or not their votes get kept: usage first. A repetition finds its rows there.
        keep_usage(
            deployment, round_id=row.id, submission_id=row.submission_id, phase=phase, audits=list(audits.values())
        )
        now = settle_wave(deployment, held, phase, earlier, audits, planting)
    return PanelRecord(row, phase, now.seats, audit_us)


def load_round(deployment: Deployment, row: RoundRow) -> Round:
    """What was fixed before the round's first audit, from its record."""
    with deployment.read_sessions() as session:
        return _held_round(deployment, session, row, session.get_one(SubmissionRow, row.submission_id))


def _held_round(deployment: Deployment, session: Session, row: RoundRow, submission: SubmissionRow) -> Round:
    rules = policy_of(deployment, row.policy_hash).assembly
    snapshot, pool = _lottery(deployment, session, row, rules)
    kept = kept_value(session, row.beacon_chain, row.beacon_round)
    appeal = appeal_of_round(deployment, session, row.id)
    return Round.opened(
        row.id,
        sealed_submission(submission, row.beacon_chain, row.beacon_round, appeal),
        rules,
        snapshot=snapshot,
        pool=pool,
        beacon=BeaconValue(row.beacon_chain, row.beacon_round, row.beacon_value, kept.proof if kept else ""),
        appeal=appeal,
    )


def sealed_submission(
    submission: SubmissionRow, beacon_chain: str, beacon_round: int, appeal: Appeal | None = None
) -> SealedSubmission:
    """What the seed of a round covers. In conflict is whoever submitted the package, who was declared to be and, in an appeal, who sat
    before."""
    former = appeal.former_operators if appeal else ()
    conflicts = {submission.submitter, *(submission.conflicts or ()), *former}
    return SealedSubmission(submission.id, submission.tree_hash, tuple(sorted(conflicts)), beacon_chain, beacon_round)


def _engines_of(
    deployment: Deployment, row: RoundRow, planting: Planting, turn: Turn
) -> Callable[[Sequence[Seat]], Mapping[int, SeatAudit]]:
    """The engines behind a panel's seats: audits by seat number."""
    view = planting.view
    package = view_of(planting.package, view)
    facts = recall_facts(deployment, row.facts_sha256)

    def audit(seats: Sequence[Seat]) -> Mapping[int, SeatAudit]:
        parameters = _parameters(deployment, [seat.validator_id for seat in seats])
        return audit_seats(
            deployment,
            row,
            seats,
            parameters=parameters,
            package=package,
            facts=facts,
            view=view,
            planted=planting.views(seats),
            turn=turn,
        )

    return audit


def load_kept_round(deployment: Deployment, row: RoundRow, read: ReadBlob) -> KeptRound:
    """The round with its phases, whose verdicts are read by ``read``. Raises RoundNotReady while one goes on."""
    with deployment.read_sessions() as session:
        submission = session.get_one(SubmissionRow, row.submission_id)
        held = _held_round(deployment, session, row, submission)
        kept = kept_phases(session, row.id)
    for number, phase in kept.items():
        if not phase.closed:
            raise RoundNotReady(
                f"{row.id}: phase {number} goes on", hint="materialise its verdicts again to go on with it"
            )
    return KeptRound(row, submission, held, [phase_record(read, row.id, phase) for phase in kept.values()])


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
    return _snapshot(deployment, row)


def _snapshot(deployment: Deployment, row: WeightEpochRow) -> WeightsSnapshot:
    document = json.loads(deployment.blobs.get(row.snapshot_sha256))
    snapshot = WeightsSnapshot.of(
        row.epoch,
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
            f"epoch {row.epoch}: the stored weights do not have the published Merkle root", code="WEIGHTS_TAMPERED"
        )
    return snapshot


def _lottery(
    deployment: Deployment, session: Session, row: RoundRow, rules: AssemblyRules
) -> tuple[WeightsSnapshot, Pool]:
    """The weights of an epoch and the lottery laid out over them, once per process: thousands of rounds draw from the same one."""
    key = (deployment.settings.protocol_url, row.weights_epoch, row.policy_hash)
    with _lotteries_lock:
        if key not in _lotteries:
            if len(_lotteries) >= MAX_LOTTERIES:
                _lotteries.pop(next(iter(_lotteries)))
            snapshot = _snapshot(deployment, session.get_one(WeightEpochRow, row.weights_epoch))
            _lotteries[key] = (snapshot, Pool.of(snapshot, rules))
        return _lotteries[key]
