"""The public verify answer: fixed names to the letter, sealed fields as signed, live state now."""

from __future__ import annotations

from base64 import b64decode
from datetime import datetime, timedelta
from typing import Any

import pytest
from certificate_samples import (
    EXPIRES_AT,
    ISSUED_AT,
    KEY,
    NOW,
    sample_bundle,
    sample_facts,
    sample_package,
    sample_payload,
)

from sigma_core.canonical import canonical_json
from sigma_core.certificates.answer import ChainCommitment, LiveState, verify_answer
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.submissions.package import ProductType

SHAPE: dict[str, type | tuple[type, ...]] = {  # every fixed name of spec/surfaces.md, with its JSON type
    "valid": bool,
    "status": str,
    "summary": str,
    "activeFlagCount": int,
    "securityLevel": str,
    "sandboxRiskLevel": str,
    "skillName": str,
    "skillVersion": (str, type(None)),
    "certificateIssuedAt": str,
    "roundType": str,
    "retainedWarnings": list,
    "endpointStatus": str,
    "apiDisclaimer": (str, type(None)),
    "manifest": dict,
    "endpointReview": dict,
    "review": dict,
    "source": dict,
    "onChain": dict,
    "roundId": str,
    "roundNumber": int,
    "triggerSource": str,
    "devNotes": str,
    "skillHash": (str, type(None)),
    "submissionId": str,
    "productType": str,
    "sourceRef": (str, type(None)),
    "sourceUrl": (str, type(None)),
    "signature": str,
    "smartContract": (dict, str, type(None)),
    "sourceFacts": dict,
}


def answer(
    status: CertificateStatus = CertificateStatus.APPROVED,
    *,
    at: datetime = NOW,
    flags: int = 0,
    commitment: ChainCommitment | None = None,
    **changes: Any,
) -> dict[str, Any]:
    live = LiveState(status=status, active_flag_count=flags, commitment=commitment)
    return verify_answer(sample_payload(**changes), sample_bundle(**changes), live, at=at)


@pytest.mark.parametrize("name", SHAPE)
def test_every_fixed_name_is_there_with_its_type(name: str) -> None:
    assert isinstance(answer()[name], SHAPE[name])


def test_sealed_fields_stand_as_they_were_signed() -> None:
    sealed = sample_payload().document
    told = answer(flags=3)
    assert {name: told[name] for name in sealed} == sealed


def test_the_answer_has_a_canonical_form_so_that_it_can_have_a_strong_etag() -> None:
    assert canonical_json(answer()) == canonical_json(answer())


def test_hash_label_signature_and_key_let_anyone_check_it() -> None:
    told, bundle = answer(), sample_bundle()
    assert told["payloadHash"] == sample_payload().hash
    assert told["payloadHashLabel"] == "keccak256-canonical-json-v1"
    assert told["signatureKeyId"] == KEY.key_id
    KEY.public_key.verify(b64decode(told["signature"]), bundle.envelope.signed_bytes)


def test_what_is_not_on_chain_says_what_a_commitment_would_cover() -> None:
    on_chain = answer()["onChain"]
    assert on_chain["committed"] is False
    assert on_chain["txHash"] is None
    assert "keccak256-canonical-json-v1" in on_chain["immutableCommitmentScope"]


def test_a_commitment_is_told_in_full() -> None:
    commitment = ChainCommitment("monad-testnet", "0xabc", "https://explorer.example/tx/0xabc", "1.0.0", "0xdef")
    assert answer(commitment=commitment)["onChain"] == {
        "network": "monad-testnet",
        "txHash": "0xabc",
        "explorerUrl": "https://explorer.example/tx/0xabc",
        "committed": True,
        "codeVersion": "1.0.0",
        "registryAddress": "0xdef",
    }


@pytest.mark.parametrize(
    ("status", "at", "shown", "valid"),
    [
        (CertificateStatus.APPROVED, NOW, "APPROVED", True),
        (CertificateStatus.APPROVED, ISSUED_AT, "APPROVED", True),
        (CertificateStatus.APPROVED, ISSUED_AT - timedelta(seconds=1), "APPROVED", False),
        (CertificateStatus.APPROVED, EXPIRES_AT, "EXPIRED", False),
        (CertificateStatus.SUSPENDED, NOW, "SUSPENDED", False),
        (CertificateStatus.SUSPENDED, EXPIRES_AT, "SUSPENDED", False),
        (CertificateStatus.REVOKED, NOW, "REVOKED", False),
    ],
)
def test_valid_means_approved_now(status: CertificateStatus, at: datetime, shown: str, valid: bool) -> None:
    told = answer(status, at=at)
    assert (told["status"], told["valid"], told["statusAtIssue"]) == (shown, valid, "APPROVED")


def test_what_was_not_sealed_as_approved_never_shows_as_approved() -> None:
    told = verify_answer(
        sample_payload(status=CertificateStatus.REJECTED),
        sample_bundle(status=CertificateStatus.REJECTED),
        LiveState(status=CertificateStatus.APPROVED),
        at=NOW,
    )
    assert (told["status"], told["valid"]) == ("REJECTED", False)


@pytest.mark.parametrize("status", CertificateStatus)
def test_the_summary_says_the_verdict_the_flags_and_what_it_is_not(status: CertificateStatus) -> None:
    summary = answer(status, flags=2)["summary"]
    assert summary.startswith("tide-table 1.4.0 was ")
    assert "Open flags: 2." in summary
    assert "not a proof that no vulnerability exists" in summary
    assert ("good until" in summary) == (status is CertificateStatus.APPROVED)


def test_only_what_has_an_api_carries_the_api_disclaimer() -> None:
    assert answer()["apiDisclaimer"] is None
    for product_type in (ProductType.API, ProductType.SKILL_API):
        package = sample_package()
        object.__setattr__(package, "product_type", product_type)
        assert "outside SIGMA" in answer(package=package)["apiDisclaimer"]


def test_warnings_and_endpoint_status_are_those_of_the_review() -> None:
    risk = {**sample_facts().document["risk"], "retainedWarnings": ["one", "two"], "securityLevel": "NOTICE"}
    told = answer(facts=sample_facts(risk=risk))
    assert told["retainedWarnings"] == told["review"]["retainedWarnings"] == ["one", "two"]
    assert told["securityLevel"] == "NOTICE"
    assert told["endpointStatus"] == told["endpointReview"]["endpointStatus"]
