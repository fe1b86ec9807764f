"""What an operator decides about a case, beside the round's outcome, which stays as consensus made it.

**To REJECTED**: any round. A certificate that it got is revoked; one that it has not got yet is not issued.

**To APPROVED**: only an escalation that nothing but split votes caused. A risk signal, a missing fact, a missed quorum or a canary is
never overridden to approve (spec/protocol.md: "no risk signal or missing fact ever approves"). And no certificate comes of it, as "no
SAFE majority ever certifies": the override says publicly that the operator holds the escalation for undeserved, and only another
round, whose votes carry it, certifies.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from sigma_core.assembly.consensus import RoundOutcome
from sigma_core.assembly.overrides import refusal_of_approval, refusal_of_rejection
from sigma_core.audit.model import Verdict
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment
from sigma_core.errors import ExitCode, SigmaError
from sigma_core.lifecycle.audit_trail import check_words, record_change
from sigma_core.lifecycle.certificate_status import change_status
from sigma_core.lifecycle.certify import certificate_is_logged, issue_certificate
from sigma_core.lifecycle.facts import load_facts
from sigma_core.lifecycle.operator_decisions import Override, overrides_of
from sigma_core.lifecycle.resolution import decided_round
from sigma_core.lifecycle.transparency import appending
from sigma_core.lifecycle.truths import truths_of
from sigma_core.storage.clock import shared_now
from sigma_core.storage.protocol import RoundOverrideRow, RoundRow
from sigma_core.timestamps import iso_utc


class OverrideRefused(SigmaError):
    """An override that the rules do not allow; names the rule."""

    code = "OVERRIDE_REFUSED"
    exit_code = ExitCode.NEGATIVE


def override_round(
    deployment: Deployment,
    round_id: str,
    outcome: RoundOutcome,
    *,
    actor: str,
    reason: str,
    at: datetime | None = None,
) -> Override:
    """Override a decided round to APPROVED or REJECTED, as of ``at`` (default: now); revokes the certificate of a rejected one.

    Asked again for what its last override says, it is the same override, so that one that was cut short can be finished. Raises
    RoundUnknown, RoundNotReady before the outcome, OverrideRefused, or SigmaError for the words.
    """
    check_words(actor=actor, reason=reason)
    if outcome is RoundOutcome.ESCALATED:
        raise SigmaError("an override says APPROVED or REJECTED", code="USAGE")
    # One at a time with the log's entries: a certificate is either logged, and revoked below, or never will be.
    with appending(deployment) as session:
        row = decided_round(session, round_id)
        at = at or shared_now(session)
        known = overrides_of(session, row.id)
        if known and known[-1].outcome is outcome:
            override = known[-1]
        else:
            _check_allowed(deployment, session, row, outcome)
            since = known[-1].at if known else row.decided_at
            if since is not None and at < since:
                raise OverrideRefused(
                    f"{row.id}: {iso_utc(at)} is before {iso_utc(since)}, when it stood otherwise: check the clock"
                )
            override = Override(row.id, len(known) + 1, outcome, actor, reason, at)
            _record(session, row, override, known)
        logged = certificate_is_logged(session, row.id)
    if outcome is RoundOutcome.REJECTED and logged:
        certificate = issue_certificate(deployment, round_id)
        assert certificate is not None, "what is logged is issued"
        change_status(
            deployment, certificate.id, CertificateStatus.REVOKED, actor=override.actor, reason=override.reason
        )
    return override


def _check_allowed(deployment: Deployment, session: Session, row: RoundRow, outcome: RoundOutcome) -> None:
    ended = RoundOutcome(str(row.outcome))
    if outcome is RoundOutcome.REJECTED:
        if (refusal := refusal_of_rejection(ended)) is not None:
            raise OverrideRefused(f"{row.id} {refusal}")
        return
    codes = [str(reason["code"]) for reason in row.reasons]
    refusal = refusal_of_approval(ended, codes, load_facts(deployment, row.facts_sha256))
    if refusal is not None:
        hint = f"another round may approve: sigma operator appeal {row.id}"
        raise OverrideRefused(f"{row.id} {refusal}", hint=hint)
    truths = truths_of(session, row.id)
    if truths and truths[-1].truth is Verdict.UNSAFE:
        raise OverrideRefused(f"{row.id} is known to be UNSAFE by {truths[-1].source}: resolve it as SAFE first")


def _record(session: Session, row: RoundRow, override: Override, known: list[Override]) -> None:
    session.add(
        RoundOverrideRow(
            round_id=row.id,
            number=override.number,
            outcome=override.outcome.value,
            actor=override.actor,
            reason=override.reason,
            overridden_at=override.at,
        )
    )
    record_change(
        session,
        "round.override",
        row.id,
        actor=override.actor,
        reason=override.reason,
        before={"outcome": row.outcome, "override": known[-1].outcome.value if known else None},
        after={"outcome": row.outcome, "override": override.outcome.value, "number": override.number},
        at=override.at,
    )
