"""What becomes of a certificate after issue: suspension, reinstatement, revocation, each with role, actor and reason.

A change is one transaction: the certificate's status, a line of the audit trail, an entry of the public log. Then log and
status lists are published; whoever publishes next finishes what a crash left.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sigma_core.certificates.log.entry import EntryKind, StatusRole, status_entry
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment
from sigma_core.errors import ExitCode, SigmaError
from sigma_core.lifecycle.audit_trail import check_words, record_change
from sigma_core.lifecycle.status_lists import publish_status_lists
from sigma_core.lifecycle.transparency import NewEntry, append_entries, appending, publish_log
from sigma_core.lifecycle.turned_away import standing_certificates, turned_away_by
from sigma_core.storage.protocol import CertificateRow, LogEntryRow, RoundRow
from sigma_core.timestamps import utc_now

SUSPENDED, REVOKED, APPROVED = CertificateStatus.SUSPENDED, CertificateStatus.REVOKED, CertificateStatus.APPROVED
_BEFORE = {SUSPENDED: {APPROVED}, APPROVED: {SUSPENDED}, REVOKED: {APPROVED, SUSPENDED}}
"""From which statuses each may be reached. A revocation is final; expiry is a matter of the clock and no change."""

ASSEMBLY_ACTOR = "assembly"

_ACTION = {SUSPENDED: "certificate.suspend", APPROVED: "certificate.resume", REVOKED: "certificate.revoke"}


class CertificateUnknown(SigmaError):
    """No certificate has this id."""

    code = "CERTIFICATE_UNKNOWN"


class StatusChangeRefused(SigmaError):
    """A change of status that the rules do not allow; names the rule."""

    code = "STATUS_CHANGE_REFUSED"
    exit_code = ExitCode.NEGATIVE


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A change as the log has it, at entry ``log_index``."""

    certificate_id: str
    before: CertificateStatus
    after: CertificateStatus
    role: StatusRole
    actor: str
    reason: str
    at: str
    log_index: int

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON data."""
        return {
            "certificateId": self.certificate_id,
            "before": self.before.value,
            "after": self.after.value,
            "role": self.role.value,
            "actor": self.actor,
            "reason": self.reason,
            "at": self.at,
            "logIndex": self.log_index,
        }


def change_status(
    deployment: Deployment,
    certificate_id: str,
    after: CertificateStatus,
    *,
    role: StatusRole = StatusRole.OPERATOR,
    actor: str,
    reason: str,
    at: datetime | None = None,
) -> StatusChange:
    """Suspend (SUSPENDED), resume (APPROVED) or revoke (REVOKED) a certificate, and publish it; ``at`` defaults to now.

    A certificate that has this status already is left as it is and its last change returned, so that a change that was cut
    short can be asked for again. Raises CertificateUnknown or StatusChangeRefused.
    """
    check_words(actor=actor, reason=reason)
    at = at or utc_now()
    with appending(deployment) as session:
        row = session.get(CertificateRow, certificate_id, with_for_update=True)
        if row is None:
            raise CertificateUnknown(f"no certificate has the id {certificate_id!r}")
        before, last = CertificateStatus(row.status), _last_change(session, certificate_id)
        if before is after and last is not None:
            change = last
        else:
            _check_allowed(session, row, after, role, last)
            change = _record(session, row, after, role=role, actor=actor, reason=reason, at=at)
    publish_log(deployment)
    publish_status_lists(deployment, now=at)
    return change


def suspend_turned_away(deployment: Deployment, submission_id: str) -> list[StatusChange]:
    """Suspend the certificates of a submission that a later round has turned away (`sigma_core.lifecycle.turned_away`), and publish it.
    What is suspended is left as it is."""
    with deployment.read_sessions() as session:
        found = [(row.id, turned_away_by(session, row)) for row in standing_certificates(session, submission_id)]
    return [
        change_status(
            deployment,
            certificate_id,
            SUSPENDED,
            role=StatusRole.ASSEMBLY,
            actor=ASSEMBLY_ACTOR,
            reason=f"{round_id} turned the package away",
        )
        for certificate_id, round_id in found
        if round_id is not None
    ]


def last_change(deployment: Deployment, certificate_id: str) -> StatusChange | None:
    """The newest change of a certificate's status, None for one that has stayed as it was issued."""
    with deployment.read_sessions() as session:
        return _last_change(session, certificate_id)


def _record(
    session: Session,
    row: CertificateRow,
    after: CertificateStatus,
    *,
    role: StatusRole,
    actor: str,
    reason: str,
    at: datetime,
) -> StatusChange:
    number = session.scalar(
        select(func.count())
        .select_from(LogEntryRow)
        .where(LogEntryRow.subject == row.id, LogEntryRow.kind == EntryKind.STATUS.value)
    )
    before = CertificateStatus(row.status)
    entry = status_entry(
        certificate_id=row.id, before=before, after=after, role=role, actor=actor, reason=reason, at=at
    )
    [logged] = append_entries(session, [NewEntry(f"status/{row.id}/{number}", EntryKind.STATUS, row.id, entry)])
    record_change(
        session,
        _ACTION[after],
        row.id,
        actor=actor,
        reason=reason,
        before={"status": before.value},
        after={"status": after.value, "role": role.value, "logIndex": logged.index},
        at=at,
    )
    row.status = after.value
    return _change_of(logged)


def _check_allowed(
    session: Session, row: CertificateRow, after: CertificateStatus, role: StatusRole, last: StatusChange | None
) -> None:
    before = CertificateStatus(row.status)
    if before not in _BEFORE.get(after, set()):
        raise StatusChangeRefused(f"{row.id} is {before}: it cannot become {after}")
    if role is not StatusRole.OPERATOR and after is not SUSPENDED:
        raise StatusChangeRefused(
            "monitoring and later rounds may only suspend; a full round reinstates, an operator revokes"
        )
    if after is APPROVED and (round_id := turned_away_by(session, row)) is not None:
        raise StatusChangeRefused(
            f"{row.id}: {round_id} turned the package away since, and no later round has approved it",
            hint=f"ask for one first: sigma operator appeal {round_id}",
        )
    if after is APPROVED and last is not None and last.role is StatusRole.MONITOR:
        later = session.scalar(
            select(RoundRow.id)
            .where(
                RoundRow.submission_id == row.submission_id,
                RoundRow.outcome == APPROVED.value,
                RoundRow.decided_at > datetime.fromisoformat(last.at),
            )
            .limit(1)
        )
        if later is None:
            raise StatusChangeRefused(
                f"{row.id} was suspended by monitoring: a full round must approve it again first",
                hint=f"ask for one: sigma operator re-audit {row.id}",
            )


def _last_change(session: Session, certificate_id: str) -> StatusChange | None:
    row = session.scalar(
        select(LogEntryRow)
        .where(LogEntryRow.subject == certificate_id, LogEntryRow.kind == EntryKind.STATUS.value)
        .order_by(LogEntryRow.index.desc())
        .limit(1)
    )
    return None if row is None else _change_of(row)


def _change_of(row: LogEntryRow) -> StatusChange:
    entry = orjson.loads(row.entry)
    return StatusChange(
        certificate_id=entry["certificateId"],
        before=CertificateStatus(entry["before"]),
        after=CertificateStatus(entry["after"]),
        role=StatusRole(entry["role"]),
        actor=entry["actor"],
        reason=entry["reason"],
        at=entry["at"],
        log_index=row.index,
    )
