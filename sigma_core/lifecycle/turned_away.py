"""Packages that were certified and later turned away: by a round that ended REJECTED, or ESCALATED with rejection.

Such a round suspends the certificates of the rounds before it, and only a round that comes later still and approves the package lets
them be resumed. Rounds are ordered by number, which no clock can turn around. An escalation for split votes alone turns nothing
away: whoever can have a package audited again, by flags for instance, could otherwise suspend honest work by chance.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session, aliased

from sigma_core.assembly.consensus import RoundOutcome
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.storage.protocol import CertificateRow, RoundRow


def turned_away_by(session: Session, certificate: CertificateRow) -> str | None:
    """The id of the last round after the certificate's own that said something about the package, where that turned it away."""
    own = session.get_one(RoundRow, certificate.round_id)
    approved = RoundRow.outcome == RoundOutcome.APPROVED.value
    last = session.scalar(
        select(RoundRow)
        .where(
            RoundRow.submission_id == own.submission_id,
            RoundRow.number > own.number,
            or_(approved, _turns_away(RoundRow)),
        )
        .order_by(RoundRow.number.desc())
        .limit(1)
    )
    return last.id if last is not None and last.outcome != RoundOutcome.APPROVED else None


def standing_certificates(session: Session, submission_id: str) -> list[CertificateRow]:
    """The certificates of a submission that are neither suspended nor revoked."""
    return list(
        session.scalars(
            select(CertificateRow)
            .join(RoundRow, RoundRow.id == CertificateRow.round_id)
            .where(RoundRow.submission_id == submission_id, CertificateRow.status == CertificateStatus.APPROVED.value)
            .order_by(RoundRow.number)
        )
    )


def leaves_a_certificate() -> ColumnElement[bool]:
    """Rounds that turn a package away while a certificate of an earlier round still stands, and no later round approved it."""
    earlier, later = aliased(RoundRow), aliased(RoundRow)
    stands = exists().where(
        earlier.submission_id == RoundRow.submission_id,
        earlier.number < RoundRow.number,
        CertificateRow.round_id == earlier.id,
        CertificateRow.status == CertificateStatus.APPROVED.value,
    )
    approved_since = exists().where(
        later.submission_id == RoundRow.submission_id,
        later.number > RoundRow.number,
        later.outcome == RoundOutcome.APPROVED.value,
    )
    return and_(_turns_away(RoundRow), RoundRow.number > 1, stands, ~approved_since)


def _turns_away(row: type[RoundRow]) -> ColumnElement[bool]:
    return or_(row.outcome == RoundOutcome.REJECTED.value, row.with_rejection.is_(True))
