"""Rounds that somebody asks for: re-audits by an operator or by flags, and appeals.

A request is a row; the round that a run opens for it is written into that row in the same transaction. So a request yields
one round, however often it is taken up, by whom, and whoever is killed meanwhile.

An appeal is a RE_AUDIT triggered by an OPERATOR, until developers file theirs themselves; what makes it an appeal is the
round that it names (`sigma_core.assembly.appeal`). A round is appealed once: who still disagrees appeals the appeal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sigma_core.assembly.appeal import Appeal
from sigma_core.certificates.vocabulary import RoundType, TriggerSource
from sigma_core.deployment import Deployment
from sigma_core.errors import ExitCode, SigmaError
from sigma_core.lifecycle.audit_trail import check_words, record_change
from sigma_core.lifecycle.policies import policy_of
from sigma_core.storage.protocol import CertificateRow, OutboxRow, RoundRequestRow, RoundRow, SeatRow, SubmissionRow
from sigma_core.timestamps import utc_now

RE_AUDIT_TOPIC = "re_audit.wanted"
"""Outbox: enough flags were raised against the certificate in ``subject``."""

FLAGS_ACTOR = "flags"


class RoundRequestRefused(SigmaError):
    """A round that the rules do not allow; names the rule."""

    code = "ROUND_REQUEST_REFUSED"
    exit_code = ExitCode.NEGATIVE


@dataclass(frozen=True, slots=True)
class RoundRequest:
    """A request as it is on record; ``round_id`` once a run has opened its round."""

    id: int
    submission_id: str
    round_type: str
    trigger_source: str
    appeal_of: str | None
    round_id: str | None

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON data."""
        return {
            "requestId": self.id,
            "submissionId": self.submission_id,
            "roundType": self.round_type,
            "triggerSource": self.trigger_source,
            "appealOf": self.appeal_of,
            "roundId": self.round_id,
        }


def request_re_audit(deployment: Deployment, subject: str, *, actor: str, reason: str) -> RoundRequest:
    """Ask for another round on a submission, named by its own id or by a certificate's.

    While such a request of an operator is not decided, asking again is the same request. Raises RoundRequestRefused, or
    SigmaError for the words.
    """
    check_words(actor=actor, reason=reason)
    with deployment.sessions.begin() as session:
        certificate = session.get(CertificateRow, subject)
        submission_id = certificate.submission_id if certificate else subject
        if session.get(SubmissionRow, submission_id, with_for_update=True) is None:
            raise RoundRequestRefused(f"no certificate or submission has the id {subject!r}", code="SUBMISSION_UNKNOWN")
        _refuse_unaudited(session, submission_id)
        operators = select(RoundRequestRow).where(
            RoundRequestRow.submission_id == submission_id,
            RoundRequestRow.trigger_source == TriggerSource.OPERATOR.value,
            RoundRequestRow.appeal_of.is_(None),
        )
        waiting = session.scalar(
            operators.outerjoin(RoundRow, RoundRow.id == RoundRequestRow.round_id).where(
                func.coalesce(RoundRow.state, "") != "DECIDED"
            )
        )
        if waiting is not None:
            return _told(waiting)
        number = len(session.scalars(operators).all()) + 1
        return _ask(
            session,
            f"re-audit/{submission_id}/{number}",
            submission_id,
            TriggerSource.OPERATOR,
            action="round.re_audit",
            actor=actor,
            reason=reason,
        )


def request_appeal(deployment: Deployment, round_id: str, *, actor: str, reason: str) -> RoundRequest:
    """Ask for the appeal of a decided round, once: asking again is the same request. Raises RoundRequestRefused, or SigmaError
    for the words."""
    check_words(actor=actor, reason=reason)
    key = f"appeal/{round_id}"
    with deployment.sessions.begin() as session:
        row = session.get(RoundRow, round_id, with_for_update=True)
        if row is None:
            raise RoundRequestRefused(f"no round has the id {round_id!r}", code="ROUND_UNKNOWN")
        if row.state != "DECIDED":
            raise RoundRequestRefused(f"{round_id} is not decided yet: there is nothing to appeal")
        known = session.scalar(select(RoundRequestRow).where(RoundRequestRow.request_key == key))
        if known is not None:
            return _told(known)
        return _ask(
            session,
            key,
            row.submission_id,
            TriggerSource.OPERATOR,
            action="round.appeal",
            actor=actor,
            reason=reason,
            appeal_of=round_id,
        )


def take_up_flags(deployment: Deployment) -> list[RoundRequest]:
    """Turn every unread message that flags want a re-audit into a request, each in one transaction with its message."""
    with deployment.read_sessions() as session:
        unread = session.scalars(
            select(OutboxRow.id)
            .where(OutboxRow.topic == RE_AUDIT_TOPIC, OutboxRow.handled_at.is_(None))
            .order_by(OutboxRow.id)
        ).all()
    requests = []
    for message_id in unread:
        with deployment.sessions.begin() as session:
            message = session.get_one(OutboxRow, message_id, with_for_update=True)
            if message.handled_at is not None:
                continue  # somebody else was faster
            certificate = session.get_one(CertificateRow, message.subject)
            message.handled_at = utc_now()
            requests.append(
                _ask(
                    session,
                    f"flags/{message.subject}/{message.id}",
                    certificate.submission_id,
                    TriggerSource.FLAG,
                    action="round.re_audit",
                    actor=FLAGS_ACTOR,
                    reason=f"flags of {message.detail.get('reporters')} reporters against {message.subject}",
                )
            )
    return requests


def unopened_requests(deployment: Deployment, limit: int) -> list[tuple[RoundRequest, datetime]]:
    """Requests without a round and when they were made, oldest first."""
    with deployment.read_sessions() as session:
        rows = session.scalars(
            select(RoundRequestRow).where(RoundRequestRow.round_id.is_(None)).order_by(RoundRequestRow.id).limit(limit)
        ).all()
    return [(_told(row), row.requested_at) for row in rows]


def appeal_of_round(deployment: Deployment, session: Session, round_id: str) -> Appeal | None:
    """What the round is an appeal of, if it is one."""
    request = session.scalar(select(RoundRequestRow).where(RoundRequestRow.round_id == round_id))
    return appeal_of_request(deployment, session, request) if request is not None else None


def appeal_of_request(deployment: Deployment, session: Session, request: RoundRequestRow) -> Appeal | None:
    """The appeal that a request asks for, if it does: seats of the appealed round, and all who sat in it or in what it was
    an appeal of."""
    if request.appeal_of is None:
        return None
    chain = [request.appeal_of]
    while (earlier := _appealed_by(session, chain[-1])) is not None:
        chain.append(earlier)
    first = session.get_one(RoundRow, chain[-1])
    seats = policy_of(deployment, first.policy_hash).assembly.seats_per_phase
    for _ in chain[1:]:
        seats = 2 * seats + 1
    operators = session.scalars(select(SeatRow.operator).where(SeatRow.round_id.in_(chain)).distinct()).all()
    return Appeal.of(request.appeal_of, seats, operators)


def _appealed_by(session: Session, round_id: str) -> str | None:
    return session.scalar(select(RoundRequestRow.appeal_of).where(RoundRequestRow.round_id == round_id))


def _refuse_unaudited(session: Session, submission_id: str) -> None:
    audited = select(RoundRow.id).where(RoundRow.submission_id == submission_id, RoundRow.state == "DECIDED").limit(1)
    if session.scalar(audited) is None:
        raise RoundRequestRefused(f"{submission_id} has no decided round yet: there is nothing to audit again")


def _ask(
    session: Session,
    key: str,
    submission_id: str,
    trigger: TriggerSource,
    *,
    action: str,
    actor: str,
    reason: str,
    appeal_of: str | None = None,
) -> RoundRequest:
    now = utc_now()
    row = RoundRequestRow(
        request_key=key,
        submission_id=submission_id,
        round_type=RoundType.RE_AUDIT.value,
        trigger_source=trigger.value,
        appeal_of=appeal_of,
        reason=reason,
        actor=actor,
        requested_at=now,
        round_id=None,
    )
    session.add(row)
    session.flush()
    record_change(
        session,
        action,
        appeal_of or submission_id,
        actor=actor,
        reason=reason,
        before={},
        after={"requestId": row.id, "triggerSource": trigger.value},
        at=now,
    )
    return _told(row)


def _told(row: RoundRequestRow) -> RoundRequest:
    return RoundRequest(row.id, row.submission_id, row.round_type, row.trigger_source, row.appeal_of, row.round_id)
