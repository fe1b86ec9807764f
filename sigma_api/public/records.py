"""What is on record about certificates, read from the databases and blobs as plain data with the names of the wire.

Read only, and nothing here depends on who asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Select, func, literal, or_, select, tuple_

from sigma_api.paging import Cursor
from sigma_api.public.snapshot import CertificateState, certificate_states
from sigma_core.certificates.answer import LiveState, status_at, verify_answer
from sigma_core.certificates.bundle import Bundle
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment
from sigma_core.identifiers import IDENTIFIER
from sigma_core.lifecycle.certificate_status import last_change
from sigma_core.lifecycle.kept_certificates import certificate_row, kept_certificate
from sigma_core.lifecycle.replay import public_document
from sigma_core.lifecycle.report import decisions_of
from sigma_core.storage.protocol import CertificateRow, RoundRow, SeatRow, SubmissionRow, ValidatorRow
from sigma_core.storage.types import UtcDateTime
from sigma_core.submissions.package import ProductType, SourceType
from sigma_core.timestamps import iso_utc

RECENT = 6
"""Certificates on the landing page."""


@dataclass(frozen=True, slots=True)
class PublicCertificate:
    """A certificate with its opened bundle; ``state`` was read first, so nothing here is older."""

    state: CertificateState
    row: CertificateRow
    bundle: Bundle
    payload: Payload

    @property
    def live(self) -> LiveState:
        """What is true of it now. Chain commitments have no record yet, so there is none."""
        return LiveState(status=CertificateStatus(self.row.status), active_flag_count=self.state.open_flags)

    @property
    def good_until(self) -> datetime | None:
        """When what is said of it changes by itself: at its end, unless it has lost its approval already, or at its site's."""
        ends = [self.payload.expires_at] if self.row.status == CertificateStatus.APPROVED.value else []
        return min([*ends, *([self.state.site.valid_until] if self.state.site else [])], default=None)

    @property
    def site(self) -> dict[str, Any] | None:
        """The domain that its publisher has shown to be theirs."""
        return None if self.state.site is None else self.state.site.as_json()


def certificate_page(
    deployment: Deployment,
    *,
    limit: int,
    search: str | None,
    after: Cursor | None,
    at: datetime,
    skills_only: bool = False,
) -> dict[str, Any]:
    """At most ``limit`` certificates that are approved and not expired at ``at``, newest first, following ``after``.

    ``skills_only`` leaves out what has no SKILL.md. ``search`` must occur in name or description, whatever the case of its
    letters (SQLite folds ASCII letters only).
    """
    statement = _good_certificates(at).limit(limit + 1)
    if skills_only:
        statement = statement.where(SubmissionRow.skill_hash.is_not(None))
    if search:
        statement = statement.where(
            or_(
                CertificateRow.skill_name.icontains(search, autoescape=True),
                CertificateRow.description.icontains(search, autoescape=True),
            )
        )
    if after is not None:
        statement = statement.where(
            tuple_(CertificateRow.issued_at, CertificateRow.id)
            < tuple_(literal(after.at, UtcDateTime()), literal(after.id))
        )
    with deployment.read_sessions() as session:
        rows = session.execute(statement).all()
    last = rows[limit - 1][0] if len(rows) > limit else None
    return {
        "items": [_summary(certificate, submission) for certificate, submission in rows[:limit]],
        "nextCursor": None if last is None else Cursor(last.issued_at, last.id).encode(),
    }


def landing(deployment: Deployment, *, at: datetime) -> dict[str, Any]:
    """Counts, prices and the newest certificates."""
    good = (CertificateRow.status == CertificateStatus.APPROVED.value, CertificateRow.expires_at > at)
    counts = {
        "certificates": select(func.count()).select_from(CertificateRow).where(*good),
        "submissions": select(func.count()).select_from(SubmissionRow),
        "rounds": select(func.count()).select_from(RoundRow).where(RoundRow.decided_at.is_not(None)),
        "validators": select(func.count()).select_from(ValidatorRow).where(ValidatorRow.status == "ACTIVE"),
    }
    with deployment.read_sessions() as session:
        counted = {name: session.scalar(statement) or 0 for name, statement in counts.items()}
    page = certificate_page(deployment, limit=RECENT, search=None, after=None, at=at)
    return {"counts": counted, "pricesFrom": None, "recent": page["items"]}


@dataclass(frozen=True, slots=True)
class PublicSkill:
    """A certified skill whose source anybody can fetch: a GitHub URL and the commit that was certified."""

    name: str
    description: str
    source_url: str
    source_ref: str
    skill_hash: str


def certified_from_github(deployment: Deployment, *, limit: int, at: datetime) -> list[PublicSkill]:
    """The newest ``limit`` certified skills from public repositories, newest first."""
    statement = _good_certificates(at).where(
        SubmissionRow.source_type == SourceType.GITHUB.value,
        SubmissionRow.source_url.is_not(None),
        SubmissionRow.source_ref.is_not(None),
        SubmissionRow.skill_hash.is_not(None),
    )
    with deployment.read_sessions() as session:
        rows = session.execute(statement.limit(limit)).all()
    return [
        PublicSkill(
            certificate.skill_name,
            certificate.description,
            str(submission.source_url),
            str(submission.source_ref),
            str(submission.skill_hash),
        )
        for certificate, submission in rows
    ]


def find_certificate(deployment: Deployment, certificate_id: str) -> PublicCertificate | None:
    """The certificate of this id; see `sigma_core.lifecycle.kept_certificates.kept_certificate` for what it raises."""
    if not IDENTIFIER.fullmatch(certificate_id):
        return None
    state = certificate_states(deployment, [certificate_id]).get(certificate_id)
    kept = None if state is None else kept_certificate(deployment, certificate_id)
    return None if state is None or kept is None else PublicCertificate(state, kept.row, kept.bundle, kept.payload)


def attestation(deployment: Deployment, certificate_id: str) -> bytes | None:
    """The bundle, byte for byte as it was issued."""
    row = certificate_row(deployment, certificate_id)
    return None if row is None else deployment.blobs.get(row.bundle_sha256)


def verification(certificate: PublicCertificate, at: datetime) -> dict[str, Any]:
    """The verify answer as of ``at``."""
    return verify_answer(certificate.payload, certificate.bundle, certificate.live, at=at)


def live_status(deployment: Deployment, certificate: PublicCertificate, at: datetime) -> dict[str, Any]:
    """What may have changed since issue."""
    answer = verification(certificate, at)
    change = last_change(deployment, certificate.row.id)
    is_skill = certificate.payload.document["productType"] == ProductType.SKILL
    return {
        "certificateId": certificate.row.id,
        "status": answer["status"],
        "valid": answer["valid"],
        "activeFlagCount": answer["activeFlagCount"],
        "monitoring": "NOT_APPLICABLE" if is_skill else None,
        "views": None,
        "expiresAt": answer["expiresAt"],
        "site": certificate.site,
        "statusChange": None if change is None else change.as_json(),
    }


def certificate_record(deployment: Deployment, certificate: PublicCertificate, at: datetime) -> dict[str, Any]:
    """The sealed payload, and every round of the submission with its verdicts."""
    row = certificate.row
    return {
        "certificateId": row.id,
        "status": status_at(certificate.payload, certificate.live.status, at).value,
        "description": row.description,
        "payloadHash": row.payload_hash,
        "site": certificate.site,
        "payload": certificate.payload.document,
        "manifest": certificate.payload.document["manifest"],
        "rounds": _rounds(deployment, row.submission_id),
    }


def replay_document(deployment: Deployment, round_id: str) -> bytes | None:
    """The replay document of a decided round, with what operators decided and what was scored since."""
    if not IDENTIFIER.fullmatch(round_id):
        return None
    with deployment.read_sessions() as session:
        row = session.get(RoundRow, round_id)
    return None if row is None or row.replay_sha256 is None else public_document(deployment, row)


def _good_certificates(at: datetime) -> Select[CertificateRow, SubmissionRow]:
    """Certificates that are approved and not expired at ``at`` with their submissions, newest first."""
    return (
        select(CertificateRow, SubmissionRow)
        .join(SubmissionRow, SubmissionRow.id == CertificateRow.submission_id)
        .where(CertificateRow.status == CertificateStatus.APPROVED.value, CertificateRow.expires_at > at)
        .order_by(CertificateRow.issued_at.desc(), CertificateRow.id.desc())
    )


def _summary(certificate: CertificateRow, submission: SubmissionRow) -> dict[str, Any]:
    return {
        "certificateId": certificate.id,
        "status": certificate.status,
        "skillName": certificate.skill_name,
        "skillVersion": submission.version,
        "description": certificate.description,
        "productType": submission.product_type,
        "skillHash": submission.skill_hash,
        "payloadHash": certificate.payload_hash,
        "submissionId": certificate.submission_id,
        "roundId": certificate.round_id,
        "certificateIssuedAt": iso_utc(certificate.issued_at),
        "expiresAt": iso_utc(certificate.expires_at),
    }


def _rounds(deployment: Deployment, submission_id: str) -> list[dict[str, Any]]:
    with deployment.read_sessions() as session:
        rounds = session.scalars(
            select(RoundRow).where(RoundRow.submission_id == submission_id).order_by(RoundRow.number)
        ).all()
        # A vote is nobody's business before the round is decided.
        seats = session.scalars(
            select(SeatRow)
            .join(RoundRow, RoundRow.id == SeatRow.round_id)
            .where(RoundRow.submission_id == submission_id, RoundRow.state == "DECIDED")
            .order_by(SeatRow.round_id, SeatRow.phase, SeatRow.number)
        ).all()
        decisions = {row.id: decisions_of(session, row.id) for row in rounds}
    # Deterministic engines of one family say the same, so many seats share one result.
    results = {
        digest: orjson.loads(deployment.blobs.get(digest))
        for digest in {seat.result_sha256 for seat in seats}
        if digest is not None
    }
    return [
        _round(row, [seat for seat in seats if seat.round_id == row.id], results) | decisions[row.id] for row in rounds
    ]


def _round(row: RoundRow, seats: list[SeatRow], results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "roundId": row.id,
        "roundNumber": row.number,
        "roundType": row.round_type,
        "triggerSource": row.trigger_source,
        "state": row.state,
        "outcome": row.outcome,
        "withRejection": bool(row.with_rejection),
        "reasons": row.reasons,
        "policyHash": row.policy_hash,
        "factsSha256": row.facts_sha256,
        "weightsEpoch": row.weights_epoch,
        "beacon": {"chain": row.beacon_chain, "round": row.beacon_round, "value": row.beacon_value},
        "seed": row.seed,
        "assuranceLevel": row.assurance_level,
        "nEffPpm": row.n_eff_ppm,
        "diversityDegraded": row.diversity_degraded,
        "openedAt": iso_utc(row.opened_at),
        "decidedAt": None if row.decided_at is None else iso_utc(row.decided_at),
        "phases": [
            {"phase": phase, "seats": [_seat(seat, results) for seat in seats if seat.phase == phase]}
            for phase in sorted({seat.phase for seat in seats})
        ],
    }


def _seat(seat: SeatRow, results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    result = {} if seat.result_sha256 is None else results[seat.result_sha256]
    return {
        "seat": seat.number,
        "validatorId": seat.validator_id,
        "operator": seat.operator,
        "family": seat.family,
        "replaces": seat.replaces,
        "status": seat.status,
        "verdict": seat.verdict,
        "scorePpm": seat.score_ppm,
        "commitment": seat.commitment,
        "revealedAt": None if seat.revealed_at is None else iso_utc(seat.revealed_at),
        "reason": result.get("reason", ""),
        "revision": result.get("revision"),
        "findings": result.get("findings", []),
    }
