"""The certificate stage: seal, sign and keep the certificate of an approved round."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from sigma_core.assembly.consensus import Vote
from sigma_core.certificates.bundle import issue
from sigma_core.certificates.payload import (
    BeaconValue,
    PhaseVotes,
    RoundSeal,
    SubmissionSeal,
    build_payload,
)
from sigma_core.certificates.vocabulary import CertificateStatus, RoundType, TriggerSource
from sigma_core.deployment import Deployment
from sigma_core.identifiers import certificate_id
from sigma_core.lifecycle.facts import load_facts
from sigma_core.lifecycle.intake import load_package
from sigma_core.lifecycle.outcome import standing_seats
from sigma_core.lifecycle.panels import RoundNotReady, phase_seats
from sigma_core.storage.protocol import CertificateRow, FactsRow, RoundRow, SeatRow, SubmissionRow, WeightEpochRow
from sigma_core.submissions.package import Package, SourceType
from sigma_core.timestamps import utc_now


def issue_certificate(deployment: Deployment, round_identifier: str) -> CertificateRow | None:
    """The certificate of the round if it was approved (made once), else None. Raises RoundNotReady before the outcome."""
    with deployment.read_sessions() as session:
        row = session.get_one(RoundRow, round_identifier)
        known = session.scalar(select(CertificateRow).where(CertificateRow.round_id == round_identifier))
        submission = session.get_one(SubmissionRow, row.submission_id)
        facts_row = session.get_one(FactsRow, (row.submission_id, row.facts_sha256))
        epoch = session.get_one(WeightEpochRow, row.weights_epoch)
        seats = phase_seats(session, round_identifier)
    if row.state != "DECIDED":
        raise RoundNotReady(f"{round_identifier} is not decided yet", hint="materialise round_outcome first")
    if row.outcome != CertificateStatus.APPROVED or known is not None:
        return known
    package = load_package(deployment, row.submission_id)
    issued_at = utc_now()
    expires_at = issued_at + timedelta(days=deployment.policy.certificate.validity_days)
    payload = build_payload(
        certificate_id=certificate_id(row.id),
        package=package,
        facts=load_facts(deployment, row.facts_sha256),
        submission=_submission_seal(submission, package),
        round_seal=_round_seal(row, epoch, seats),
        status=CertificateStatus.APPROVED,
        sandbox_analyzed_at=facts_row.derived_at,
        issued_at=issued_at,
        expires_at=expires_at,
    )
    bundle = issue(payload, deployment.signing_key)
    issued = CertificateRow(
        id=payload.certificate_id,
        submission_id=submission.id,
        round_id=row.id,
        status=CertificateStatus.APPROVED.value,
        skill_name=submission.name,
        description=submission.description,
        payload_hash=payload.hash,
        bundle_sha256=deployment.blobs.put(bundle.to_bytes()),
        issued_at=issued_at,
        expires_at=expires_at,
    )
    with deployment.sessions.begin() as session:
        # Another worker may have issued it since: one round yields one certificate.
        known = session.scalar(select(CertificateRow).where(CertificateRow.round_id == round_identifier))
        if known is not None:
            return known
        session.add(issued)
    return issued


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
