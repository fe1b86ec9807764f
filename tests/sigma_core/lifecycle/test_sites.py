"""Sites: a domain counts once it has shown the token of exactly this submission, and no longer than it goes on doing so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from issued import issued
from sqlalchemy import select

from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.sites import (
    CHALLENGE,
    CHECK_AGAIN,
    RULES,
    TOKEN_ABSENT,
    VALIDITY,
    SiteClaim,
    SiteRefused,
    SiteState,
    check_due_sites,
    check_site,
    checked_domain,
    claim_site,
    site_of,
    withdraw_site,
)
from sigma_core.safe_fetch import Fetched, FetchError, FetchRules
from sigma_core.storage.protocol import AuditTrailRow, CertificateRow, SiteClaimRow
from sigma_core.submissions.package import Package
from sigma_core.timestamps import utc_now

DOMAIN = "skills.tides.org"
NOW = utc_now()
WHO = {"actor": "operator:ada", "reason": "asked by the publisher"}


class Web:
    """Domains and what they show; notes what was asked, and how."""

    def __init__(self, **shown: str) -> None:
        self.shown = {domain.replace("__", "."): text for domain, text in shown.items()}
        self.asked: list[str] = []

    def __call__(self, url: str, rules: FetchRules) -> Fetched:
        assert rules is RULES
        self.asked.append(url)
        domain = url.removeprefix("https://").removesuffix("/.well-known/sigma-verification.txt")
        if domain not in self.shown:
            raise FetchError(f"{url}: answered with status 404")
        return Fetched(url, "text/plain", self.shown[domain].encode())


@pytest.fixture
def certificate(deployment: Deployment, honest: Package, submitted: Callable[[Package], str]) -> CertificateRow:
    return issued(deployment, submitted(honest))


@pytest.fixture
def claimed(deployment: Deployment, certificate: CertificateRow) -> SiteClaim:
    return claim_site(deployment, certificate.id, DOMAIN, now=NOW, **WHO)


def shown_at(deployment: Deployment, certificate: CertificateRow, at: object) -> object:
    with deployment.read_sessions() as session:
        return site_of(session.get(SiteClaimRow, certificate.submission_id), at)  # type: ignore[arg-type]


def test_a_domain_that_shows_the_line_is_verified_for_a_month(
    deployment: Deployment, certificate: CertificateRow, claimed: SiteClaim
) -> None:
    assert (claimed.state, claimed.url) == (SiteState.PENDING, f"https://{DOMAIN}/.well-known/sigma-verification.txt")
    assert shown_at(deployment, certificate, NOW) is None
    web = Web(skills__tides__org=f"# ours\r\nsigma-verification={'0' * 64}\r\n {claimed.line}\r\n")
    checked = check_site(deployment, certificate.id, fetch=web, now=NOW)
    assert (checked.state, checked.fault, web.asked) == (SiteState.VERIFIED, None, [claimed.url])
    site = shown_at(deployment, certificate, NOW + VALIDITY - timedelta(milliseconds=1))
    assert site is not None
    assert site.as_json()["domain"] == DOMAIN  # type: ignore[attr-defined]
    assert shown_at(deployment, certificate, NOW + VALIDITY) is None


@pytest.mark.parametrize("text", ["", "sigma-verification=", "x{line}", "{line}x", "{line} x", "{token}", "{upper}"])
def test_anything_but_the_line_proves_nothing(
    deployment: Deployment, certificate: CertificateRow, claimed: SiteClaim, text: str
) -> None:
    shown = text.format(line=claimed.line, token=claimed.line.partition("=")[2], upper=claimed.line.upper())
    checked = check_site(deployment, certificate.id, fetch=Web(skills__tides__org=shown), now=NOW)
    assert (checked.state, checked.fault) == (SiteState.PENDING, TOKEN_ABSENT)
    assert shown_at(deployment, certificate, NOW) is None


def test_the_line_of_another_submission_proves_nothing(
    deployment: Deployment,
    certificate: CertificateRow,
    claimed: SiteClaim,
    honest: Package,
    submitted: Callable[[Package], str],
) -> None:
    other = issued(deployment, submitted(honest), "run-2")
    claim_site(deployment, other.id, DOMAIN, now=NOW, **WHO)
    web = Web(skills__tides__org=claimed.line)
    assert check_site(deployment, other.id, fetch=web, now=NOW).fault == TOKEN_ABSENT
    assert check_site(deployment, certificate.id, fetch=web, now=NOW).fault is None


def test_a_claim_that_nobody_bears_out_in_a_week_lapses_and_a_new_one_has_a_new_token(
    deployment: Deployment, certificate: CertificateRow, claimed: SiteClaim
) -> None:
    web, late = Web(skills__tides__org=claimed.line), NOW + CHALLENGE
    assert check_site(deployment, certificate.id, fetch=web, now=late).state is SiteState.LAPSED
    assert check_due_sites(deployment, fetch=web, now=late) == []
    again = claim_site(deployment, certificate.id, DOMAIN, now=late, **WHO)
    assert again.line != claimed.line
    assert check_site(deployment, certificate.id, fetch=web, now=late).fault == TOKEN_ABSENT


def test_the_same_claim_is_the_same_token_and_another_domain_takes_its_place(
    deployment: Deployment, certificate: CertificateRow, claimed: SiteClaim
) -> None:
    assert claim_site(deployment, certificate.id, DOMAIN.upper(), now=NOW, **WHO) == claimed
    check_site(deployment, certificate.id, fetch=Web(skills__tides__org=claimed.line), now=NOW)
    other = claim_site(deployment, certificate.id, "other.org", now=NOW, **WHO)
    assert (other.state, other.line != claimed.line) == (SiteState.PENDING, True)
    assert shown_at(deployment, certificate, NOW) is None


def test_the_job_asks_once_a_day_and_a_site_that_is_gone_counts_until_its_month_is_over(
    deployment: Deployment, certificate: CertificateRow, claimed: SiteClaim
) -> None:
    web = Web(skills__tides__org=claimed.line)
    [first] = check_due_sites(deployment, fetch=web, now=NOW)
    assert first.state is SiteState.VERIFIED
    assert check_due_sites(deployment, fetch=web, now=NOW + CHECK_AGAIN - timedelta(seconds=1)) == []
    [second] = check_due_sites(deployment, fetch=web, now=NOW + CHECK_AGAIN)
    assert second.valid_until == first.valid_until + CHECK_AGAIN
    [gone] = check_due_sites(deployment, fetch=Web(), now=NOW + 2 * CHECK_AGAIN)
    assert (gone.state, gone.fault, gone.valid_until) == (SiteState.VERIFIED, "FETCH_FAILED", second.valid_until)
    assert check_due_sites(deployment, fetch=web, now=second.valid_until) == []
    assert shown_at(deployment, certificate, second.valid_until) is None


def test_a_claim_that_was_made_anew_while_the_domain_was_asked_is_not_touched(
    deployment: Deployment, certificate: CertificateRow, claimed: SiteClaim
) -> None:
    def slow(url: str, rules: FetchRules) -> Fetched:
        claim_site(deployment, certificate.id, "other.org", now=NOW, **WHO)
        return Fetched(url, "text/plain", claimed.line.encode())

    assert check_site(deployment, certificate.id, fetch=slow, now=NOW).state is SiteState.PENDING
    assert shown_at(deployment, certificate, NOW) is None


def test_a_withdrawn_claim_is_gone_and_both_are_in_the_audit_trail(
    deployment: Deployment, certificate: CertificateRow, claimed: SiteClaim
) -> None:
    withdraw_site(deployment, certificate.id, **WHO)
    for work in (withdraw_site, check_site):
        with pytest.raises(SiteRefused, match="no site is claimed"):
            work(deployment, certificate.id, **(WHO if work is withdraw_site else {}))  # type: ignore[operator]
    with deployment.read_sessions() as session:
        trail = session.scalars(select(AuditTrailRow).where(AuditTrailRow.action.startswith("site."))).all()
    assert [(row.action, row.actor, row.before, row.after) for row in trail] == [
        ("site.claim", "operator:ada", {}, {"domain": DOMAIN}),
        ("site.withdraw", "operator:ada", {"domain": DOMAIN}, {}),
    ]


def test_an_unknown_certificate_has_no_site(deployment: Deployment) -> None:
    with pytest.raises(SigmaError) as error:
        claim_site(deployment, "cert_none", DOMAIN, **WHO)
    assert error.value.code == "CERTIFICATE_UNKNOWN"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "localhost",
        "a",
        "127.0.0.1",
        "[::1]",
        "0x7f.1",
        "a.b.1",
        "https://a.org",
        "a.org/x",
        "a.org:443",
        "a@b.org",
        "a..org",
        ".a.org",
        "a.org.",
        "-a.org",
        "a_b.org",
        "sch\u00f6n.org",
        "printer.local",
        "metadata.internal",
        "a." * 130 + "org",
        "a.org\n",
    ],
)
def test_what_is_no_public_domain_name_is_refused(name: str) -> None:
    with pytest.raises(SiteRefused):
        checked_domain(name)


def test_nothing_private_is_asked_and_no_redirect_followed() -> None:
    assert (RULES.also_allowed, RULES.max_redirects) == (frozenset(), 0)
