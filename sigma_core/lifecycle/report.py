"""What a person or a client is told about a submission: one plain record, from what the stages wrote."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.facts import load_facts
from sigma_core.lifecycle.intake import load_submission
from sigma_core.lifecycle.operator_decisions import overrides_of
from sigma_core.lifecycle.truths import truths_of
from sigma_core.storage.protocol import CertificateRow, PhaseRow, RoundRequestRow, RoundRow, SeatRow, StageFailureRow
from sigma_core.timestamps import iso_utc

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO")


class RoundUnknown(SigmaError):
    """No round has this id, or the submission has none yet."""

    code = "ROUND_UNKNOWN"


def find_round(deployment: Deployment, identifier: str) -> RoundRow:
    """A round by its own id, or the latest round of a submission. Raises RoundUnknown."""
    with deployment.read_sessions() as session:
        row = session.get(RoundRow, identifier) or session.scalar(
            select(RoundRow).where(RoundRow.submission_id == identifier).order_by(RoundRow.number.desc()).limit(1)
        )
    if row is None:
        raise RoundUnknown(f"no round or submission with rounds has the id {identifier!r}")
    return row


def certificate_of(deployment: Deployment, round_id: str) -> CertificateRow | None:
    """The certificate of a round, if it got one."""
    with deployment.read_sessions() as session:
        return session.scalar(select(CertificateRow).where(CertificateRow.round_id == round_id))


def round_report(deployment: Deployment, round_id: str) -> dict[str, Any]:
    """Outcome, reasons, votes and findings of one round; camelCase JSON data.

    ``findings`` merges what the facts and the validators point at, worst first: each
    ``{severity, ruleId, category, title, file, lineStart, lineEnd, quote, source, validators}`` where ``source`` is
    ``facts`` or an audit family and ``validators`` counts the seats that said it.
    """
    row = find_round(deployment, round_id)
    facts = load_facts(deployment, row.facts_sha256)
    with deployment.read_sessions() as session:
        seats = list(
            session.scalars(select(SeatRow).where(SeatRow.round_id == row.id).order_by(SeatRow.phase, SeatRow.number))
        )
        decisions = decisions_of(session, row.id)
    certificate = certificate_of(deployment, row.id)
    submission = load_submission(deployment, row.submission_id)
    return {
        "submissionId": row.submission_id,
        "name": submission.name,
        "version": submission.version,
        "productType": submission.product_type,
        "roundId": row.id,
        "roundNumber": row.number,
        "outcome": row.outcome,
        "withRejection": bool(row.with_rejection),
        "securityLevel": facts.security_level.value,
        "sandboxRiskLevel": facts.risk_level.value,
        "coverageComplete": facts.complete,
        "reasons": row.reasons,
        "votes": _votes(seats),
        "assuranceLevel": row.assurance_level,
        "nEffPpm": row.n_eff_ppm,
        "disabledFamilies": row.disabled_families or [],
        **decisions,
        "findings": _findings(deployment, facts.facts, seats),
        "factsSha256": row.facts_sha256,
        "policyHash": row.policy_hash,
        "treeHash": submission.tree_hash,
        "skillHash": submission.skill_hash,
        "certificateId": certificate.id if certificate else None,
        "payloadHash": certificate.payload_hash if certificate else None,
        "openedAt": iso_utc(row.opened_at),
        "decidedAt": iso_utc(row.decided_at) if row.decided_at else None,
    }


def decisions_of(session: Session, round_id: str) -> dict[str, Any]:
    """The truths that the round has had and the overrides beside its outcome; of each, the last one counts."""
    return {
        "truths": [known.as_json() for known in truths_of(session, round_id)],
        "overrides": [override.as_json() for override in overrides_of(session, round_id)],
    }


def _votes(seats: list[SeatRow]) -> list[dict[str, Any]]:
    return [
        {
            "phase": phase,
            "safe": sum(seat.phase == phase and seat.verdict == "SAFE" for seat in seats),
            "unsafe": sum(seat.phase == phase and seat.verdict == "UNSAFE" for seat in seats),
            "other": sum(seat.phase == phase and seat.verdict not in ("SAFE", "UNSAFE") for seat in seats),
        }
        for phase in sorted({seat.phase for seat in seats})
    ]


def _findings(deployment: Deployment, facts: list[dict[str, Any]], seats: list[SeatRow]) -> list[dict[str, Any]]:
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for fact in facts:
        if fact["severity"] in ("INFO", "LOW"):
            continue
        key = ("facts", fact["ruleId"], fact["file"], fact["lineStart"], fact["subject"])
        found.setdefault(
            key,
            {
                "severity": fact["severity"],
                "ruleId": fact["ruleId"],
                "category": fact["category"],
                "title": fact["title"],
                "file": fact["file"],
                "lineStart": fact["lineStart"],
                "lineEnd": fact["lineEnd"],
                "quote": fact["excerpt"],
                "source": "facts",
                "validators": 0,
            },
        )
    for seat in seats:
        if seat.result_sha256 is None or not seat.finding_count:
            continue
        for finding in json.loads(deployment.blobs.get(seat.result_sha256))["findings"]:
            key = (seat.family, finding["category"], finding["file"], finding["lineStart"], finding["quote"])
            entry = found.setdefault(
                key,
                {
                    "severity": finding["severity"],
                    "ruleId": None,
                    "category": finding["category"],
                    "title": finding["rationale"],
                    "file": finding["file"],
                    "lineStart": finding["lineStart"],
                    "lineEnd": finding["lineEnd"],
                    "quote": finding["quote"],
                    "source": seat.family,
                    "validators": 0,
                },
            )
            entry["validators"] += 1
    return sorted(
        found.values(),
        key=lambda finding: (
            SEVERITIES.index(finding["severity"]),
            finding["source"] != "facts",
            finding["file"],
            finding["lineStart"],
            finding["title"],
        ),
    )


def submission_status(deployment: Deployment, submission_id: str) -> dict[str, Any]:
    """Where a submission stands: its state, its rounds, what of them goes on now, the rounds that were asked for, and what failed on the
    way. Raises SubmissionUnknown."""
    submission = load_submission(deployment, submission_id)
    with deployment.read_sessions() as session:
        rounds = session.scalars(
            select(RoundRow).where(RoundRow.submission_id == submission_id).order_by(RoundRow.number)
        ).all()
        failures = session.scalars(
            select(StageFailureRow).where(StageFailureRow.submission_id == submission_id).order_by(StageFailureRow.id)
        ).all()
        decisions = {row.id: decisions_of(session, row.id) for row in rounds}
        going_on = {row.id: _open_phase(session, row.id) for row in rounds if row.state != "DECIDED"}
        requests = session.scalars(
            select(RoundRequestRow).where(RoundRequestRow.submission_id == submission_id).order_by(RoundRequestRow.id)
        ).all()
        certificates = {
            row.round_id: row.id
            for row in session.scalars(select(CertificateRow).where(CertificateRow.submission_id == submission_id))
        }
    return {
        "submissionId": submission.id,
        "name": submission.name,
        "version": submission.version,
        "state": submission.state,
        "submittedAt": iso_utc(submission.submitted_at),
        "treeHash": submission.tree_hash,
        "rounds": [
            {
                "roundId": row.id,
                "roundNumber": row.number,
                "state": row.state,
                "outcome": row.outcome,
                "withRejection": bool(row.with_rejection),
                "openedAt": iso_utc(row.opened_at),
                "decidedAt": iso_utc(row.decided_at) if row.decided_at else None,
                "certificateId": certificates.get(row.id),
                "openPhase": going_on.get(row.id),
                **decisions[row.id],
            }
            for row in rounds
        ],
        "requests": [
            {
                "requestId": request.id,
                "appealOf": request.appeal_of,
                "roundId": request.round_id,
                "triggerSource": request.trigger_source,
                "actor": request.actor,
                "reason": request.reason,
                "requestedAt": iso_utc(request.requested_at),
            }
            for request in requests
        ],
        "failures": [{"stage": row.stage, "error": row.error, "failedAt": iso_utc(row.failed_at)} for row in failures],
    }


def _open_phase(session: Session, round_id: str) -> dict[str, Any] | None:
    """The phase that takes commitments now: until when, when it is tried again where it waits for an engine, and who has voted. What they
    said is sealed."""
    phase = session.scalar(select(PhaseRow).where(PhaseRow.round_id == round_id, PhaseRow.closed_at.is_(None)))
    if phase is None:
        return None
    seats = session.scalars(
        select(SeatRow).where(SeatRow.round_id == round_id, SeatRow.phase == phase.phase).order_by(SeatRow.number)
    )
    return {
        "phase": phase.phase,
        "deadlineAt": iso_utc(phase.deadline_at),
        "retryAt": iso_utc(phase.retry_at) if phase.retry_at else None,
        "seats": [
            {"number": seat.number, "validatorId": seat.validator_id, "family": seat.family, "status": seat.status}
            for seat in seats
        ],
    }
