"""Sites: a publisher shows that a domain is theirs by putting a token on it, and goes on showing it.

The token is a line of ``https://<domain>/.well-known/sigma-verification.txt``, fetched from the domain itself: no redirect, no private
address, a small file. It belongs to one submission, so that a file can hold lines for several, and nobody else's line proves anything.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import re2
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from sigma_core.deployment import Deployment
from sigma_core.errors import ExitCode, SigmaError
from sigma_core.safe_fetch import Fetched, FetchError, FetchRules, fetch
from sigma_core.storage.protocol import AuditTrailRow, CertificateRow, SiteClaimRow
from sigma_core.timestamps import iso_utc, utc_now

PATH = "/.well-known/sigma-verification.txt"
PREFIX = "sigma-verification="
RULES = FetchRules(max_bytes=16_384, seconds=6.0, max_redirects=0)

CHALLENGE = timedelta(days=7)
"""For so long a token waits to be put on the domain."""
VALIDITY = timedelta(days=30)
"""For so long one successful check counts."""
CHECK_AGAIN = timedelta(days=1)
CHECKS_AT_ONCE = 200
"""Of the periodic job: each may take `RULES.seconds`."""

TOKEN_ABSENT = "TOKEN_ABSENT"  # noqa: S105 - a code
_DOMAIN = re2.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LOCAL = frozenset({"local", "localhost", "internal", "invalid", "test", "example", "onion", "arpa", "home", "lan"})

Fetch = Callable[[str, FetchRules], Fetched]


class SiteState(StrEnum):
    """How far a claim has come."""

    PENDING = "PENDING"
    VERIFIED = "VERIFIED"
    LAPSED = "LAPSED"
    """Not shown in time, or not any more."""


class SiteRefused(SigmaError):
    """A claim that cannot be made or found; names the rule."""

    code = "SITE_REFUSED"


@dataclass(frozen=True, slots=True)
class Site:
    """A domain that has shown the token of a submission's publisher."""

    domain: str
    verified_at: datetime
    valid_until: datetime

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON data."""
        return {
            "domain": self.domain,
            "verifiedAt": iso_utc(self.verified_at),
            "validUntil": iso_utc(self.valid_until),
        }


@dataclass(frozen=True, slots=True)
class SiteClaim:
    """A claim as its publisher sees it: what to put where, and how it stands at the time of asking."""

    submission_id: str
    domain: str
    state: SiteState
    line: str
    checked_at: datetime | None
    fault: str | None
    valid_until: datetime

    @property
    def url(self) -> str:
        """Where the line is looked for."""
        return f"https://{self.domain}{PATH}"

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON data."""
        return {
            "submissionId": self.submission_id,
            "domain": self.domain,
            "state": self.state.value,
            "url": self.url,
            "line": self.line,
            "checkedAt": None if self.checked_at is None else iso_utc(self.checked_at),
            "fault": self.fault,
            "validUntil": iso_utc(self.valid_until),
        }


def site_of(row: SiteClaimRow | None, at: datetime) -> Site | None:
    """What the claim shows to everybody at ``at``: nothing unless its domain has borne it out."""
    if row is None or row.verified_at is None or _state(row, at) is not SiteState.VERIFIED:
        return None
    return Site(row.domain, row.verified_at, row.valid_until)


def claim_site(
    deployment: Deployment, certificate_id: str, domain: str, *, actor: str, reason: str, now: datetime | None = None
) -> SiteClaim:
    """Claim ``domain`` for the submission of a certificate. The same claim again is the same token, while it has not lapsed; another
    domain takes the place of the one before. Raises SiteRefused."""
    now = now or utc_now()
    name = checked_domain(domain)
    with deployment.sessions.begin() as session:
        row = _claim(session, certificate_id)
        if row is None:
            submission = session.get_one(CertificateRow, certificate_id).submission_id
            row = SiteClaimRow(submission_id=submission)
            session.add(row)
        elif row.domain == name and _state(row, now) is not SiteState.LAPSED:
            return _shown(row, now)
        before = {} if row.domain is None else {"domain": row.domain}
        row.domain, row.token, row.state = name, secrets.token_hex(32), SiteState.PENDING.value
        row.claimed_at, row.valid_until = now, now + CHALLENGE
        row.verified_at = row.checked_at = row.fault = None
        _trail(session, row, "site.claim", actor, reason, before, now)
        return _shown(row, now)


def check_site(
    deployment: Deployment, certificate_id: str, *, fetch: Fetch = fetch, now: datetime | None = None
) -> SiteClaim:
    """Look for the token on the claimed domain now. Raises SiteRefused when nothing is claimed."""
    with deployment.read_sessions() as session:
        row = _claim(session, certificate_id)
    if row is None:
        raise SiteRefused(f"no site is claimed for {certificate_id}", hint="`sigma operator site claim` does")
    return _checked(deployment, row, fetch, now or utc_now())


def withdraw_site(
    deployment: Deployment, certificate_id: str, *, actor: str, reason: str, now: datetime | None = None
) -> None:
    """Forget the claim of a certificate's submission. Raises SiteRefused when there is none."""
    with deployment.sessions.begin() as session:
        row = _claim(session, certificate_id)
        if row is None:
            raise SiteRefused(f"no site is claimed for {certificate_id}")
        _trail(session, row, "site.withdraw", actor, reason, {"domain": row.domain}, now or utc_now())
        session.delete(row)


def check_due_sites(deployment: Deployment, *, fetch: Fetch = fetch, now: datetime | None = None) -> list[SiteClaim]:
    """Check the claims that were not checked for a day and have not lapsed, those that wait longest first."""
    now = now or utc_now()
    with deployment.read_sessions() as session:
        rows = session.scalars(
            select(SiteClaimRow)
            .where(
                SiteClaimRow.valid_until > now,
                or_(SiteClaimRow.checked_at.is_(None), SiteClaimRow.checked_at <= now - CHECK_AGAIN),
            )
            .order_by(SiteClaimRow.checked_at.is_not(None), SiteClaimRow.checked_at, SiteClaimRow.submission_id)
            .limit(CHECKS_AT_ONCE)
        ).all()
    return [_checked(deployment, row, fetch, now) for row in rows]


def checked_domain(text: str) -> str:
    """``text`` as a public domain name in lower case (an international one in its ASCII form). Raises SiteRefused."""
    name = text.lower()
    if len(name) > 253 or not _DOMAIN.fullmatch(name) or name.rpartition(".")[2] in _LOCAL:
        raise SiteRefused(
            f"{text[:100]!a}: not a public domain name",
            hint="as in skills.example.org: no scheme, no port, no address; an international name in its xn-- form",
        )
    return name


def _checked(deployment: Deployment, seen: SiteClaimRow, fetch: Fetch, now: datetime) -> SiteClaim:
    fault = _fault(seen, fetch)
    with deployment.sessions.begin() as session:
        row = session.get(SiteClaimRow, seen.submission_id, with_for_update=True)
        # It may have been withdrawn or claimed anew while the domain was asked.
        if row is None or row.token != seen.token:
            return _shown(seen if row is None else row, now)
        row.checked_at, row.fault = now, fault
        if fault is None and _state(row, now) is not SiteState.LAPSED:
            row.state, row.valid_until = SiteState.VERIFIED.value, now + VALIDITY
            row.verified_at = row.verified_at or now
        return _shown(row, now)


def _fault(row: SiteClaimRow, fetch: Fetch) -> str | None:
    """Why the domain does not show the token; None when it does."""
    try:
        body = fetch(f"https://{row.domain}{PATH}", RULES).body
    except FetchError as error:
        return error.code
    wanted = (PREFIX + row.token).encode()
    return None if any(line.strip() == wanted for line in body.splitlines()) else TOKEN_ABSENT


def _claim(session: Session, certificate_id: str) -> SiteClaimRow | None:
    certificate = session.get(CertificateRow, certificate_id)
    if certificate is None:
        error = SiteRefused(f"no certificate has the id {certificate_id!r}", code="CERTIFICATE_UNKNOWN")
        error.exit_code = ExitCode.USAGE
        raise error
    return session.get(SiteClaimRow, certificate.submission_id)


def _state(row: SiteClaimRow, at: datetime) -> SiteState:
    return SiteState(row.state) if at < row.valid_until else SiteState.LAPSED


def _shown(row: SiteClaimRow, at: datetime) -> SiteClaim:
    return SiteClaim(
        row.submission_id, row.domain, _state(row, at), PREFIX + row.token, row.checked_at, row.fault, row.valid_until
    )


def _trail(
    session: Session, row: SiteClaimRow, action: str, actor: str, reason: str, before: dict[str, Any], at: datetime
) -> None:
    session.add(
        AuditTrailRow(
            actor=actor,
            action=action,
            subject=row.submission_id,
            reason=reason,
            before=before,
            after={} if action == "site.withdraw" else {"domain": row.domain},
            at=at,
        )
    )
