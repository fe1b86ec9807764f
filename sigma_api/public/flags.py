"""Flags: what strangers hold against a certificate, each kept once, and counted by those who raised them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.round_requests import RE_AUDIT_TOPIC
from sigma_core.storage.files import create_private
from sigma_core.storage.protocol import CertificateRow, FlagRow, OutboxRow
from sigma_core.timestamps import utc_now

RE_AUDIT_REPORTERS = 5
"""Open flags from this many places ask for a re-audit."""
KEY_BYTES = 32


class FlagReason(StrEnum):
    """Why a certificate is flagged."""

    MALICIOUS_BEHAVIOUR = "MALICIOUS_BEHAVIOUR"
    UNDECLARED_BEHAVIOUR = "UNDECLARED_BEHAVIOUR"
    SOURCE_CHANGED = "SOURCE_CHANGED"
    SECRET_EXPOSED = "SECRET_EXPOSED"  # noqa: S105 - a reason
    WRONG_IDENTITY = "WRONG_IDENTITY"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class RaisedFlag:
    """A flag on record; ``known`` when its reporter had raised it before, and ``open_flags`` of its certificate with it."""

    flagged_at: datetime
    known: bool
    open_flags: int


def raise_flag(
    deployment: Deployment, certificate_id: str, reason: FlagReason, detail: str, contact: str | None, *, client: str
) -> RaisedFlag | None:
    """Keep a flag of ``client`` (a network address); None when no certificate has this id.

    A client that raises the same reason again adds nothing. In the same transaction, the flag that makes enough distinct
    clients leaves a message that a re-audit is wanted, once for each certificate.
    """
    reporter = _reporter(deployment, client)
    now = utc_now()
    with deployment.sessions.begin() as session:
        # Held, so that flags of one certificate are counted one after the other.
        if session.get(CertificateRow, certificate_id, with_for_update=True) is None:
            return None
        row = session.scalar(
            select(FlagRow).where(
                FlagRow.certificate_id == certificate_id, FlagRow.reporter == reporter, FlagRow.reason == reason.value
            )
        )
        known = row is not None
        if row is None:
            row = FlagRow(
                certificate_id=certificate_id,
                reason=reason.value,
                detail=detail,
                contact=contact,
                reporter=reporter,
                flagged_at=now,
                closed_at=None,
            )
            session.add(row)
            session.flush()
            _ask_for_re_audit(session, certificate_id, now)
        open_flags = session.scalar(
            select(func.count()).where(FlagRow.certificate_id == certificate_id, FlagRow.closed_at.is_(None))
        )
    return RaisedFlag(row.flagged_at, known, open_flags or 0)


def _ask_for_re_audit(session: Session, certificate_id: str, now: datetime) -> None:
    reporters = session.scalar(
        select(func.count(FlagRow.reporter.distinct())).where(
            FlagRow.certificate_id == certificate_id, FlagRow.closed_at.is_(None)
        )
    )
    asked = select(OutboxRow.id).where(OutboxRow.topic == RE_AUDIT_TOPIC, OutboxRow.subject == certificate_id)
    if (reporters or 0) >= RE_AUDIT_REPORTERS and session.scalar(asked) is None:
        session.add(
            OutboxRow(
                topic=RE_AUDIT_TOPIC,
                subject=certificate_id,
                detail={"trigger": "FLAG", "reporters": reporters},
                created_at=now,
                handled_at=None,
            )
        )


def _reporter(deployment: Deployment, client: str) -> str:
    """Who flagged, to tell one from another and no more: addresses are few enough to be guessed from a hash without a key."""
    path = deployment.settings.signing_key.with_name("flag-reporters.key")
    if not path.exists():
        create_private(path, secrets.token_bytes(KEY_BYTES))
    return hmac.new(path.read_bytes(), client.encode(), hashlib.sha256).hexdigest()
