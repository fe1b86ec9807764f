"""The answers about one certificate and one round: what they hold, and that nothing else is found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from http_client import Client, assert_problem
from kept_records import (
    API,
    AUDITED_AGAIN,
    EXPIRED,
    FINDING,
    ORDINARY,
    REVOKED,
    ROUTES_OF_ONE,
    SUSPENDED,
    Sample,
    keep_assembly,
    keep_certificates,
)

from sigma_api.app import create_app
from sigma_api.public.schemas import Attestation, CertificateRecord, LiveStatus, SealedPayload, VerifyAnswer
from sigma_core.audit.model import Verdict
from sigma_core.canonical import canonical_json, keccak256_hex, sha256_hex
from sigma_core.certificates.bundle import Bundle, issue
from sigma_core.certificates.keyset import KeySet, TrustedKey
from sigma_core.certificates.signing_key import load_or_create_signing_key
from sigma_core.certificates.verify import open_bundle, verify_bundle
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.certificate_status import change_status
from sigma_core.lifecycle.resolution import resolve_round
from sigma_core.storage.protocol import CertificateRow, RoundOverrideRow, RoundRow
from sigma_core.timestamps import utc_now

PUBLIC = "/api/v1/public"
ONE = ORDINARY[0]


def of(sample: Sample, route: str = "") -> str:
    return f"{PUBLIC}/certificates/{sample.id}{route}"


@pytest.mark.parametrize("sample", [ONE, API, SUSPENDED, REVOKED, EXPIRED], ids=lambda sample: sample.name)
def test_every_answer_is_what_the_document_says(client: Client, sample: Sample) -> None:
    VerifyAnswer.model_validate_json(client.get(of(sample, "/verify")).content, strict=True)
    CertificateRecord.model_validate_json(client.get(of(sample)).content, strict=True)
    LiveStatus.model_validate_json(client.get(of(sample, "/live-status")).content, strict=True)
    Attestation.model_validate_json(client.get(of(sample, "/attestation")).content, strict=True)


@pytest.mark.parametrize(("sample", "status"), [(SUSPENDED, "SUSPENDED"), (REVOKED, "REVOKED"), (EXPIRED, "EXPIRED")])
def test_what_became_of_a_certificate_shows_everywhere_but_in_the_seal(
    client: Client, sample: Sample, status: str
) -> None:
    verify, record, live = (client.get(of(sample, route)).json() for route in ("/verify", "", "/live-status"))
    assert {answer["status"] for answer in (verify, record, live)} == {status}
    assert (verify["valid"], live["valid"]) == (False, False)
    assert verify["statusAtIssue"] == record["payload"]["status"] == "APPROVED"


def test_the_record_has_the_payload_exactly_as_it_was_sealed(client: Client) -> None:
    record = client.get(of(ONE)).json()
    SealedPayload.model_validate_json(canonical_json(record["payload"]), strict=True)
    assert keccak256_hex(canonical_json(record["payload"])) == record["payloadHash"]
    assert record["manifest"] == record["payload"]["manifest"]


def test_the_record_has_every_verdict_with_its_findings(client: Client) -> None:
    (held,) = client.get(of(ONE)).json()["rounds"]
    assert (held["state"], held["outcome"]) == ("DECIDED", "APPROVED")
    assert [phase["phase"] for phase in held["phases"]] == [1, 2]
    for phase in held["phases"]:
        (seat,) = phase["seats"]
        assert (seat["validatorId"], seat["verdict"], seat["findings"]) == ("val_1", "SAFE", [FINDING])


def test_votes_of_a_round_that_is_not_decided_are_not_shown(client: Client) -> None:
    response = client.get(of(AUDITED_AGAIN))
    first, second = response.json()["rounds"]
    assert first["phases"] != []
    assert (second["state"], second["outcome"], second["phases"]) == ("PHASE_1", None, [])
    assert "UNSAFE" not in str(second)


def test_the_attestation_is_the_stored_bundle_and_verifies_offline(client: Client, kept: Deployment) -> None:
    response = client.get(of(ONE, "/attestation"))
    with kept.read_sessions() as session:
        digest = session.get_one(CertificateRow, ONE.id).bundle_sha256
    assert sha256_hex(response.content) == digest
    assert response.headers["content-type"] == "application/vnd.sigma.bundle.v1+json"
    keys = KeySet([TrustedKey(kept.signing_key.public_key, valid_from=ONE.issued_at - timedelta(days=1))])
    verified = verify_bundle(response.content, keys, at=ONE.issued_at)
    assert verified.payload.certificate_id == ONE.id
    assert Bundle.parse(response.content).round_id == ONE.round_id


def test_a_skill_has_nothing_to_monitor_and_an_api_was_not_checked_yet(client: Client) -> None:
    assert client.get(of(ONE, "/live-status")).json()["monitoring"] == "NOT_APPLICABLE"
    assert client.get(of(API, "/live-status")).json()["monitoring"] is None


def test_the_replay_document_is_served_as_it_was_kept(client: Client) -> None:
    response = client.get(f"{PUBLIC}/rounds/{ONE.round_id}/replay")
    assert (response.status_code, response.content) == (200, b'{"roundId":"1"}')
    assert response.headers["content-type"] == "application/json"


def test_what_an_operator_decided_about_a_round_is_shown_beside_its_outcome(
    own: Deployment, make_client: Callable[..., Client]
) -> None:
    keep_assembly(own)
    keep_certificates(own, [ONE])
    words = {"actor": "operator:ada", "reason": "steals tokens"}
    with own.sessions.begin() as session:
        session.add(
            RoundOverrideRow(round_id=ONE.round_id, number=1, outcome="REJECTED", overridden_at=utc_now(), **words)
        )
        session.flush()
        row = session.get_one(RoundRow, ONE.round_id)
        row.scored, row.truth, row.truth_source = True, "SAFE", "UNANIMOUS"
    resolve_round(own, ONE.round_id, Verdict.UNSAFE, **words)
    client = make_client(create_app(own))
    [told] = client.get(of(ONE)).json()["rounds"]
    assert told["outcome"] == "APPROVED"
    assert [(one["outcome"], one["actor"], one["reason"]) for one in told["overrides"]] == [
        ("REJECTED", "operator:ada", "steals tokens")
    ]
    assert [(one["truth"], one["truthSource"], one["actor"]) for one in told["truths"]] == [
        ("SAFE", "UNANIMOUS", None),
        ("UNSAFE", "OPERATOR", "operator:ada"),
    ]
    CertificateRecord.model_validate(client.get(of(ONE)).json())
    replayed = client.get(f"{PUBLIC}/rounds/{ONE.round_id}/replay").json()
    assert replayed["overrides"] == told["overrides"]


def test_an_undecided_round_has_no_replay(client: Client) -> None:
    identifier = AUDITED_AGAIN.round_id.removesuffix("_r1") + "_r2"
    assert_problem(client.get(f"{PUBLIC}/rounds/{identifier}/replay"), "not-found")


ODD_IDS = [
    "cert_unknown",
    "cert_" + "1" * 5_000,
    "%00",
    "%0a",
    ONE.id + "%0a",
    ONE.id.upper(),
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "'%20OR%20'1'='1",
    "%F0%9F%A6%80",
    "%ff%fe",
    "%",
    "*",
    "a%5cb",
    "{certificate_id}",
]


@pytest.mark.parametrize("identifier", ODD_IDS)
def test_an_id_that_nothing_has_is_not_found(client: Client, identifier: str) -> None:
    for route in ROUTES_OF_ONE:
        assert_problem(client.get(f"{PUBLIC}/certificates/{identifier}{route}"), "not-found")
    assert_problem(client.get(f"{PUBLIC}/rounds/{identifier}/replay"), "not-found")


def test_a_lost_bundle_is_our_fault_and_shows_no_path(own: Deployment, make_client: Callable[..., Client]) -> None:
    keep_assembly(own)
    keep_certificates(own, [ONE])
    _blob_file(own, ONE).unlink()
    for route in ROUTES_OF_ONE:
        assert_problem(make_client(create_app(own)).get(of(ONE, route)), "internal")


def test_a_changed_bundle_is_never_served(own: Deployment, make_client: Callable[..., Client]) -> None:
    keep_assembly(own)
    keep_certificates(own, [ONE])
    file = _blob_file(own, ONE)
    file.chmod(0o600)
    file.write_bytes(file.read_bytes().replace(b"ed", b"de", 1))
    for route in ROUTES_OF_ONE:
        assert_problem(make_client(create_app(own)).get(of(ONE, route)), "internal")


@pytest.mark.usefixtures("up_to_date")
def test_a_revocation_shows_in_the_next_snapshot(own: Deployment, make_client: Callable[..., Client]) -> None:
    keep_assembly(own)
    keep_certificates(own, [ONE])
    client = make_client(create_app(own))
    before = client.get(of(ONE, "/verify"))
    change_status(own, ONE.id, CertificateStatus.REVOKED, actor="operator:ada", reason="looked into")
    after = client.get(of(ONE, "/verify"), headers={"If-None-Match": before.headers["etag"]})
    assert (before.json()["valid"], after.status_code, after.json()["valid"]) == (True, 200, False)


@pytest.mark.usefixtures("up_to_date")
def test_live_status_tells_who_changed_it_and_why(own: Deployment, make_client: Callable[..., Client]) -> None:
    keep_assembly(own)
    keep_certificates(own, [ONE])
    client = make_client(create_app(own))
    assert client.get(of(ONE, "/live-status")).json()["statusChange"] is None
    change = change_status(own, ONE.id, CertificateStatus.SUSPENDED, actor="operator:ada", reason="looked into")
    told = client.get(of(ONE, "/live-status")).json()
    assert (told["status"], told["valid"], told["statusChange"]) == ("SUSPENDED", False, change.as_json())


def test_nothing_is_said_about_a_certificate_that_no_published_key_signed(
    own: Deployment, make_client: Callable[..., Client]
) -> None:
    """Whoever can write to database and blobs still cannot make SIGMA call something valid."""
    keep_assembly(own)
    keep_certificates(own, [ONE])
    other = load_or_create_signing_key(own.settings.home / "elsewhere" / "key.pem")
    with own.sessions.begin() as session:
        row = session.get_one(CertificateRow, ONE.id)
        payload = open_bundle(own.blobs.get(row.bundle_sha256), own.trusted_keys).payload
        row.bundle_sha256 = own.blobs.put(issue(payload, other).to_bytes())
    client = make_client(create_app(own))
    for path in ("", "/verify", "/live-status"):
        response = client.get(of(ONE, path))
        assert response.status_code == 500
        assert "valid" not in response.json()


def test_a_certificate_expires_by_itself(own: Deployment, make_client: Callable[..., Client]) -> None:
    keep_assembly(own)
    year = timedelta(days=365)
    keep_certificates(own, [Sample(1, issued_at=utc_now() - year, valid_for=year)])
    client = make_client(create_app(own))
    assert client.get(of(Sample(1), "/verify")).json()["status"] == "EXPIRED"
    assert client.get(f"{PUBLIC}/certificates").json()["items"] == []


def _blob_file(deployment: Deployment, sample: Sample) -> Path:
    with deployment.read_sessions() as session:
        digest = session.get_one(CertificateRow, sample.id).bundle_sha256
        assert session.get_one(RoundRow, sample.round_id).replay_sha256 != digest
    return deployment.settings.home / "blobs" / "sha256" / digest[:2] / digest
