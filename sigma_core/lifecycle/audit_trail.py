"""Who changed what, and why. Each change writes its line in its own transaction, so that there is neither without the other."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from sigma_core.errors import SigmaError
from sigma_core.storage.protocol import AuditTrailRow

MAX_REASON = 1_000
MAX_ACTOR = 120


def check_words(*, actor: str, reason: str) -> None:
    """Refuse an actor or a reason that is empty, too long or not printable. Raises SigmaError, naming the rule."""
    for name, text, most in (("actor", actor, MAX_ACTOR), ("reason", reason, MAX_REASON)):
        if not 0 < len(text.strip()) <= len(text) <= most or not text.isprintable():
            raise SigmaError(f"{name}: 1 to {most} printable characters, which everybody will read", code="USAGE")


def record_change(
    session: Session,
    action: str,
    subject: str,
    *,
    actor: str,
    reason: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    at: datetime,
) -> None:
    """One line: what ``subject`` (an id) was and what it became, as plain JSON."""
    session.add(
        AuditTrailRow(
            actor=actor, action=action, subject=subject, reason=reason, before=dict(before), after=dict(after), at=at
        )
    )
