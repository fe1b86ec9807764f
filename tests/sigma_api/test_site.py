"""A publisher's verified site stands with the certificate, in no sealed field, and goes as soon as it does not count any more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from http_client import Client
from kept_records import ORDINARY, keep_assembly, keep_certificates

from sigma_api.app import create_app
from sigma_api.public.schemas import CertificateRecord, LiveStatus
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.sites import VALIDITY, check_site, claim_site, withdraw_site
from sigma_core.safe_fetch import Fetched
from sigma_core.timestamps import utc_now

ONE = ORDINARY[0].id
ROUTE = f"/api/v1/public/certificates/{ONE}"
WHO = {"actor": "operator:ada", "reason": "asked"}


@pytest.mark.usefixtures("up_to_date")
def test_a_verified_site_is_on_record_and_page_and_nowhere_before_or_after(
    own: Deployment, make_client: Callable[..., Client]
) -> None:
    keep_assembly(own)
    keep_certificates(own, [ORDINARY[0]])
    client = make_client(create_app(own))
    sealed = client.get(f"{ROUTE}/verify").json()["payloadHash"]

    def shown() -> list[object]:
        live, record = client.get(f"{ROUTE}/live-status"), client.get(ROUTE)
        LiveStatus.model_validate_json(live.content, strict=True)
        CertificateRecord.model_validate_json(record.content, strict=True)
        on_page = "skills.tides.org" in client.get(f"/certificates/{ONE}").text
        return [live.json()["site"], record.json()["site"], on_page]

    assert shown() == [None, None, False]
    claim = claim_site(own, ONE, "skills.tides.org", **WHO)
    assert shown() == [None, None, False]

    def page(url: str, _rules: object) -> Fetched:
        return Fetched(url, "text/plain", claim.line.encode())

    check_site(own, ONE, fetch=page)
    live, record, on_page = shown()
    assert live == record
    assert isinstance(live, dict)
    assert (live["domain"], live.keys(), on_page) == ("skills.tides.org", {"domain", "verifiedAt", "validUntil"}, True)
    assert client.get(f"{ROUTE}/verify").json()["payloadHash"] == sealed
    withdraw_site(own, ONE, **WHO)
    assert shown() == [None, None, False]
    claim = claim_site(own, ONE, "skills.tides.org", now=utc_now() - VALIDITY, **WHO)
    check_site(own, ONE, fetch=page, now=utc_now() - VALIDITY + timedelta(days=1))
    assert shown()[2] is True
    withdraw_site(own, ONE, **WHO)
    claim = claim_site(own, ONE, "skills.tides.org", now=utc_now() - VALIDITY, **WHO)
    check_site(own, ONE, fetch=page, now=utc_now() - VALIDITY)
    assert shown() == [None, None, False]  # its month is over
