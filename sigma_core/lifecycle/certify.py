"""The certificate stage: decide the payload of an approved round, log it, and keep the bundle with the log's proof.

In this order, so that no certificate is out that the log does not hold: the signed bundle is kept and its entry committed, once and for
ever; the log is published; the bundle gets its proof; the status lists that it names are published; the certificate's row is written.
A stage that was killed goes on with what was decided, and never signs a second payload for a round.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sigma_core.assembly.consensus import Vote
from sigma_core.certificates.bundle import Bundle, issue
from sigma_core.certificates.log.entry import EntryKind, certificate_entry
from sigma_core.certificates.payload import BeaconValue, Payload, PhaseVotes, RoundSeal, StatusListEntry, SubmissionSeal
from sigma_core.certificates.sealing import build_payload
from sigma_core.certificates.status_list import ENTRIES
from sigma_core.certificates.verify import open_bundle
from sigma_core.certificates.vocabulary import CertificateStatus, RoundType, TriggerSource
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.identifiers import certificate_id
from sigma_core.lifecycle.canaries import is_canary
from sigma_core.lifecycle.certificate_status import suspend_turned_away
from sigma_core.lifecycle.facts import recall_facts
from sigma_core.lifecycle.intake import package_of
from sigma_core.lifecycle.operator_decisions import is_withheld
from sigma_core.lifecycle.outcome import standing_seats
from sigma_core.lifecycle.panels import RoundNotReady
from sigma_core.lifecycle.phases import phase_seats
from sigma_core.lifecycle.status_lists import ensure_status_lists, list_base
from sigma_core.lifecycle.transparency import (
    NewEntry,
    append_entries,
    appending,
    is_published,
    prove,
    publish_log,
)
from sigma_core.storage.protocol import (
    CertificateRow,
    FactsRow,
    LogEntryRow,
    RoundRow,
    SeatRow,
    StatusPositionRow,
    SubmissionRow,
    WeightEpochRow,
)
from sigma_core.submissions.package import Package, SourceType
from sigma_core.timestamps import utc_now


class CanaryApproved(SigmaError):
    """A canary that came as far as the certificate stage."""

    code = "CANARY_APPROVED"


def issue_certificate(deployment: Deployment, round_identifier: str) -> CertificateRow | None:
    """The certificate of the round if it was approved (made once), else None, as where an operator overrode the approval before it was
    logged. Then suspends the certificates that a later round has turned away. Raises RoundNotReady before the outcome and
    CanaryApproved."""
    stands = _where_it_stands(deployment, round_identifier)
    row, known = stands.row, stands.certificate
    if row.state != "DECIDED":
        raise RoundNotReady(f"{round_identifier} is not decided yet", hint="materialise round_outcome first")
    if row.outcome == CertificateStatus.APPROVED and known is None:
        known = _issued(deployment, stands)
    suspend_turned_away(deployment, row.submission_id)
    return known


def _issued(deployment: Deployment, stands: _Standing) -> CertificateRow | None:
    row, entry = stands.row, _logged(deployment, stands)
    if entry is None:
        return None
    if not is_published(deployment, entry.index):
        publish_log(deployment)
    assert entry.sealed_sha256 is not None
    opened = open_bundle(deployment.blobs.recall(entry.sealed_sha256), deployment.trusted_keys)
    bundle, payload = opened.bundle.with_proof(prove(deployment, entry.index)), opened.payload
    bundle_sha256 = deployment.blobs.put(bundle.to_bytes())
    if payload.status_list is not None:
        ensure_status_lists(deployment, payload.status_list)
    with deployment.sessions.begin() as session:
        # Another worker may have issued it since: one round yields one certificate.
        known = session.scalar(select(CertificateRow).where(CertificateRow.round_id == row.id))
        if known is not None:
            return known
        issued = CertificateRow(
            id=payload.certificate_id,
            submission_id=row.submission_id,
            round_id=row.id,
            status=CertificateStatus.APPROVED.value,
            skill_name=stands.submission.name,
            description=stands.submission.description,
            payload_hash=payload.hash,
            bundle_sha256=bundle_sha256,
            issued_at=payload.issued_at,
            expires_at=payload.expires_at,
        )
        session.add(issued)
    return issued


def log_certificate(deployment: Deployment, round_identifier: str) -> None:
    """Decide and log the round's certificate if it was approved and has none, and leave the rest to `issue_certificate`.

    A batch that does this for all its rounds, and then publishes the log, pays for one checkpoint instead of one each. Raises
    CanaryApproved.
    """
    stands = _where_it_stands(deployment, round_identifier)
    row = stands.row
    if row.state == "DECIDED" and row.outcome == CertificateStatus.APPROVED and stands.certificate is None:
        _logged(deployment, stands)


@dataclass(frozen=True, slots=True)
class _Standing:
    """How far a round's certificate has come. ``entry`` is its log entry, looked for while there is no certificate."""

    row: RoundRow
    submission: SubmissionRow
    certificate: CertificateRow | None
    entry: LogEntryRow | None


def _where_it_stands(deployment: Deployment, round_identifier: str) -> _Standing:
    """Raises CanaryApproved."""
    with deployment.read_sessions() as session:
        known = session.scalar(select(CertificateRow).where(CertificateRow.round_id == round_identifier))
        row = session.get_one(RoundRow, round_identifier)
        submission = session.get_one(SubmissionRow, row.submission_id)
        if row.outcome != CertificateStatus.APPROVED or known is not None:
            return _Standing(row, submission, known, None)
        # Consensus approves no canary. Should anything else ever have done so, nothing is signed for it here.
        if is_canary(session, submission.tree_hash):
            raise CanaryApproved(f"round {row.id} is about a canary and yet APPROVED: no certificate is made of it")
        key = _log_key(certificate_id(row.id))
        return _Standing(row, submission, None, session.scalar(select(LogEntryRow).where(LogEntryRow.entry_key == key)))


def certificate_is_logged(session: Session, round_identifier: str) -> bool:
    """Whether the log has the round's certificate: it is then issued for certain, whatever becomes of it."""
    key = _log_key(certificate_id(round_identifier))
    return session.scalar(select(LogEntryRow.index).where(LogEntryRow.entry_key == key)) is not None


def _log_key(certificate: str) -> str:
    return f"certificate/{certificate}"


def _logged(deployment: Deployment, stands: _Standing) -> LogEntryRow | None:
    """The log entry of the round's certificate, whose signed bundle is decided here, once; None when it is withheld."""
    if stands.entry is not None:
        return stands.entry
    row = stands.row
    identifier = certificate_id(row.id)
    bundle, payload = _decide(deployment, row, stands.submission, identifier)
    entry = NewEntry(
        _log_key(identifier),
        EntryKind.CERTIFICATE,
        identifier,
        certificate_entry(payload, bundle.envelope.key_id),
        sealed_sha256=deployment.blobs.put(bundle.to_bytes()),
    )
    with appending(deployment) as session:
        return None if is_withheld(session, row.id) else append_entries(session, [entry])[0]


def _decide(
    deployment: Deployment, row: RoundRow, submission: SubmissionRow, identifier: str
) -> tuple[Bundle, Payload]:
    with deployment.read_sessions() as session:
        facts_row = session.get_one(FactsRow, (row.submission_id, row.facts_sha256))
        epoch = session.get_one(WeightEpochRow, row.weights_epoch)
        seats = phase_seats(session, row.id)
    package = package_of(deployment.blobs.recall, submission)
    # The first use makes the keys, and no key signs what is dated before it was made.
    transparency_log = deployment.log_origin
    issued_at = utc_now()
    payload = build_payload(
        certificate_id=identifier,
        package=package,
        facts=recall_facts(deployment, row.facts_sha256),
        submission=_submission_seal(submission, package),
        round_seal=_round_seal(row, epoch, seats),
        status=CertificateStatus.APPROVED,
        sandbox_analyzed_at=facts_row.derived_at,
        issued_at=issued_at,
        expires_at=issued_at + timedelta(days=deployment.policy.certificate.validity_days),
        status_list=_status_list_entry(deployment, identifier),
        transparency_log=transparency_log,
    )
    return issue(payload, deployment.signing_key_at(issued_at)), payload


def _status_list_entry(deployment: Deployment, identifier: str) -> StatusListEntry:
    """The certificate's place in the status lists, given once."""
    with appending(deployment) as session:
        position = session.scalar(
            select(StatusPositionRow.position).where(StatusPositionRow.certificate_id == identifier)
        )
        if position is None:
            position = session.scalar(select(func.coalesce(func.max(StatusPositionRow.position) + 1, 0))) or 0
            session.add(StatusPositionRow(position=position, certificate_id=identifier))
    return StatusListEntry(list_base(deployment, position // ENTRIES), position % ENTRIES)


def _submission_seal(submission: SubmissionRow, package: Package) -> SubmissionSeal:
    entry = package.skill_file.path if package.skill_file is not None else package.files[0].path
    return SubmissionSeal(
        submission_id=submission.id,
        skill_name=submission.name,
        skill_version=submission.version,
        source_type=SourceType(submission.source_type),
        source_ref=submission.source_ref,
        source_url=submission.source_url,
        entry=entry,
        dev_notes=submission.dev_notes,
    )


def _round_seal(row: RoundRow, epoch: WeightEpochRow, seats: dict[int, tuple[SeatRow, ...]]) -> RoundSeal:
    return RoundSeal(
        round_id=row.id,
        round_number=row.number,
        round_type=RoundType(row.round_type),
        trigger_source=TriggerSource(row.trigger_source),
        policy_hash=row.policy_hash,
        weights_epoch=row.weights_epoch,
        weights_merkle_root=epoch.merkle_root,
        beacon=BeaconValue(row.beacon_chain, row.beacon_round, row.beacon_value),
        votes=[_phase_votes(phase, standing_seats(seats[phase], phase)) for phase in seats],
        diversity_degraded=bool(row.diversity_degraded),
        assurance_level=row.assurance_level or 1,
        n_eff_ppm=row.n_eff_ppm or 0,
    )


def _phase_votes(phase: int, seats: tuple[SeatRow, ...]) -> PhaseVotes:
    verdicts = [seat.verdict for seat in seats]
    safe, unsafe = verdicts.count(Vote.SAFE), verdicts.count(Vote.UNSAFE)
    return PhaseVotes(phase=phase, safe=safe, unsafe=unsafe, abstain=len(verdicts) - safe - unsafe)
