"""Issuing: the statement inside, the envelope around it, the file that comes out."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from datetime import timedelta
from typing import Any

from certificate_samples import (
    EXPIRES_AT,
    KEY,
    NOW,
    SKILL_MD,
    key_set,
    sample_bundle,
    sample_package,
    sample_payload,
    signing_key,
)
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.canonical import parse_canonical_json
from sigma_core.certificates.bundle import MAX_BUNDLE_BYTES, MAX_PUNCTUATION, MEDIA_TYPE, Bundle, issue
from sigma_core.certificates.envelope import Envelope, pae
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.payload_shape import MAX_PAYLOAD_BYTES
from sigma_core.certificates.statement import statement_bytes
from sigma_core.certificates.verify import verify_bundle
from sigma_core.certificates.vocabulary import CertificateStatus


def statement(**changes: Any) -> dict[str, Any]:
    document = parse_canonical_json(statement_bytes(sample_payload(**changes)))
    assert isinstance(document, dict)
    return document


def test_the_pre_authentication_encoding_is_that_of_the_dsse_specification() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(st.text(max_size=8), st.binary(max_size=8), st.text(max_size=8), st.binary(max_size=8))
def test_no_two_typed_bodies_are_signed_as_the_same_bytes(a: str, x: bytes, b: str, y: bytes) -> None:
    assert (pae(a, x) == pae(b, y)) == ((a, x) == (b, y))


def test_the_statement_is_an_in_toto_statement_about_the_package() -> None:
    document = statement()
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "https://in-toto.io/attestation/svr/v0.2"
    assert document["subject"] == [
        {"name": "tide-table", "digest": {"sha256": sample_package().tree_hash}},
        {"name": "tide-table/SKILL.md", "digest": {"sha256": hashlib.sha256(SKILL_MD).hexdigest()}},
    ]


def test_the_predicate_is_a_simple_verification_result_that_carries_the_payload() -> None:
    predicate = statement()["predicate"]
    assert predicate["verifier"]["id"] == "urn:sigma:verifier:v1"
    assert [policy["digest"]["sha256"] for policy in predicate["verifier"]["policies"]] == ["22" * 32, "11" * 32]
    assert predicate["timeCreated"] == "2026-11-21T03:52:00.000Z"
    assert predicate["properties"] == ["SIGMA_APPROVED", "SIGMA_ASSURANCE_LEVEL_1", "SIGMA_SECURITY_LEVEL_CLEAR"]
    assert predicate["sigmaCertificate"] == sample_payload().document


def test_a_package_that_was_not_approved_has_no_verified_properties() -> None:
    assert statement(status=CertificateStatus.REJECTED)["predicate"]["properties"] == []


def test_the_bundle_file_has_these_fields_and_no_others() -> None:
    document = json.loads(sample_bundle().to_bytes())
    assert document.keys() == {"mediaType", "envelope", "payloadHash", "payloadHashLabel", "replay"}
    assert document["mediaType"] == MEDIA_TYPE == "application/vnd.sigma.bundle.v1+json"
    assert document["payloadHash"] == sample_payload().hash
    assert document["payloadHashLabel"] == "keccak256-canonical-json-v1"
    assert document["replay"] == {"roundId": "round_01"}
    envelope = document["envelope"]
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert [signature["keyid"] for signature in envelope["signatures"]] == [KEY.key_id]
    assert b64decode(envelope["payload"]) == statement_bytes(sample_payload())


def test_issuing_again_gives_the_same_bytes() -> None:
    assert sample_bundle().to_bytes() == sample_bundle().to_bytes()


def test_the_golden_bundle_keeps_its_bytes() -> None:
    """A change here means that bundles issued before no longer verify: make a new media type or schema label instead."""
    assert (
        hashlib.sha256(sample_bundle().to_bytes()).hexdigest()
        == "931c3dbd8eccb7f3b8a1e4cbe348c4c984cadac8c6a1712a799e18fde64ede76"
    )


def test_a_bundle_survives_its_file() -> None:
    bundle = sample_bundle()
    assert Bundle.parse(bundle.to_bytes()) == bundle


def test_anyone_can_check_the_signature_with_an_ed25519_library_and_the_public_key() -> None:
    envelope = json.loads(sample_bundle().to_bytes())["envelope"]
    body = b64decode(envelope["payload"])
    signed = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(body), body)
    KEY.public_key.verify(b64decode(envelope["signatures"][0]["sig"]), signed)


def test_the_punctuation_limit_leaves_room_whatever_is_certified() -> None:
    data = sample_bundle(expires_at=EXPIRES_AT + timedelta(days=1)).to_bytes()
    assert sum(map(data.count, (b"{", b"[", b","))) == 12 < MAX_PUNCTUATION


def test_the_largest_payload_fits_a_bundle() -> None:
    document = dict(sample_payload().document)
    room = MAX_PAYLOAD_BYTES - len(sample_payload().canonical_bytes)
    hosts = ["h" * 60_000] * ((room - 60_000) // 60_003)
    payload = Payload.of(document | {"sourceFacts": document["sourceFacts"] | {"externalHosts": hosts}})
    data = issue(payload, KEY).to_bytes()
    assert len(data) < MAX_BUNDLE_BYTES
    assert verify_bundle(data, key_set(), at=NOW).payload.hash == payload.hash


def test_another_key_signs_the_same_payload_otherwise() -> None:
    one, two = sample_bundle(), issue(sample_payload(), signing_key(2))
    assert one.envelope.body == two.envelope.body
    assert one.envelope.signature != two.envelope.signature
    assert one.payload_hash == two.payload_hash


def test_secrets_are_in_no_repr() -> None:
    bundle = sample_bundle()
    assert repr(bundle.envelope) == (f"Envelope(payload_type='application/vnd.in-toto+json', key_id='{KEY.key_id}')")
    assert isinstance(bundle.envelope, Envelope)
