"""The sealed payload: names, shapes, hash, and what can never be sealed."""

from __future__ import annotations

import copy
import dataclasses
from datetime import timedelta, timezone
from typing import Any

import pytest
from certificate_samples import EXPIRES_AT, ISSUED_AT, SEAL, sample_facts, sample_package, sample_payload
from Crypto.Hash import keccak
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.canonical import NotCanonical, parse_canonical_json
from sigma_core.certificates.payload import Payload, PhaseVotes, tree_hash_of
from sigma_core.certificates.payload_shape import PayloadError
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.submissions.package import ProductType

SEALED_NAMES = {  # spec/surfaces.md, fixed
    *("review", "source", "manifest", "endpointReview", "roundId", "roundNumber", "roundType", "triggerSource"),
    *("status", "devNotes", "skillHash", "skillName", "skillVersion", "submissionId", "productType", "sourceRef"),
    *("sourceUrl", "smartContract", "sourceFacts"),
}
OURS = {
    *("schema", "notice", "certificateId", "treeHash", "files", "factsSha256", "policyHash", "rulePackHash"),
    *("weightsEpoch", "weightsMerkleRoot", "beacon", "assuranceLevel", "nEffPpm", "votes", "diversityDegraded"),
    *("issuedAt", "expiresAt", "statusList"),
}
NEVER_SEALED = {"onChain", "apiDisclaimer", "monitoring", "flags", "activeFlagCount", "views", "site", "valid"}


def sealed(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(dict(sample_payload(**changes).document))


def test_every_fixed_name_is_sealed_and_nothing_that_may_change() -> None:
    names = set(sample_payload().document)
    assert names == SEALED_NAMES | OURS
    assert not names & NEVER_SEALED


def test_nested_fixed_names_are_those_of_the_specification() -> None:
    document = sample_payload().document
    assert set(document["review"]) == {
        *("securityLevel", "retainedErrors", "retainedWarnings", "sandboxRiskLevel", "sandboxAnalyzedAt")
    }
    assert set(document["source"]) == {"entry", "sourceRef", "sourceUrl", "sourceType"}
    assert set(document["manifest"]) == {"safety", "capabilities", "externalCalls"}
    assert set(document["manifest"]["externalCalls"][0]) == {"url", "auth", "method", "reason"}
    assert set(document["endpointReview"]) == {
        *("analyzedAt", "analysisMode", "observedUrls", "observedHosts", "endpointStatus", "skippedEndpoints"),
        *("declaredEndpoints", "disclosureWarning"),
    }


def test_the_hash_is_keccak_256_of_the_canonical_bytes() -> None:
    payload = sample_payload()
    expected = keccak.new(digest_bits=256, data=payload.canonical_bytes).hexdigest()
    assert payload.hash == f"0x{expected}"
    assert parse_canonical_json(payload.canonical_bytes) == payload.document


def test_the_golden_payload_keeps_its_hash() -> None:
    """A change here means that certificates issued before no longer verify: make a new schema label instead."""
    assert sample_payload().hash == "0x86429ce9d2a2828a9293158a8c0d2ede076692f5f93329baa808a933fca59e9b"


def test_the_tree_hash_follows_from_the_sealed_file_list() -> None:
    payload = sample_payload()
    assert tree_hash_of(payload.document["files"]) == sample_package().tree_hash == payload.document["treeHash"]


def test_it_says_that_it_is_no_proof() -> None:
    assert "not a proof that no vulnerability exists" in sample_payload().document["notice"]


def test_times_are_utc_with_milliseconds_wherever_they_were_taken() -> None:
    tokyo = timezone(timedelta(hours=9))
    payload = sample_payload(issued_at=ISSUED_AT.astimezone(tokyo) + timedelta(microseconds=999))
    assert payload.document["issuedAt"] == "2026-11-21T03:52:00.000Z"
    assert payload.issued_at == ISSUED_AT
    assert payload.expires_at == EXPIRES_AT


@pytest.mark.parametrize(
    "facts",
    [
        sample_facts(coverage={"complete": False, "files": [], "incidents": []}),
        sample_facts(
            risk={
                **sample_facts().document["risk"],
                "blockingSignals": [{"kind": "TAMPER", "ruleId": "r", "reason": "x", "file": "a", "line": 1}],
            }
        ),
    ],
    ids=["incomplete facts", "blocking signal"],
)
def test_an_approval_against_the_facts_is_never_sealed(facts: Any) -> None:
    with pytest.raises(PayloadError, match="APPROVED is impossible"):
        sample_payload(facts=facts)
    assert sample_payload(facts=facts, status=CertificateStatus.ESCALATED).status is CertificateStatus.ESCALATED


def test_facts_of_another_package_are_never_sealed() -> None:
    with pytest.raises(PayloadError, match="another package"):
        sample_payload(facts=sample_facts(package={"treeHash": "66" * 32}))


@pytest.mark.parametrize("status", [CertificateStatus.SUSPENDED, CertificateStatus.REVOKED, CertificateStatus.EXPIRED])
def test_a_status_that_comes_after_issue_is_never_sealed(status: CertificateStatus) -> None:
    with pytest.raises(PayloadError, match=r"payload\.status"):
        sample_payload(status=status)


def test_only_an_api_package_has_no_skill_hash() -> None:
    api = sample_package({"openapi.yaml": b"openapi: 3.1.0\n"})
    with pytest.raises(PayloadError, match="skillHash"):
        sample_payload(package=api)
    object.__setattr__(api, "product_type", ProductType.API)
    assert sample_payload(package=api).document["skillHash"] is None


def _without(name: str) -> Any:
    return lambda document: document.pop(name)


def _with(value: Any, *path: Any) -> Any:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (_without("review"), "payload: expected the field review"),
        (_with(1, "onChain"), "payload: expected fields of this schema only, found 'onChain'"),
        (_with("sigma-certificate-v2", "schema"), "payload.schema"),
        (_with("", "certificateId"), "payload.certificateId"),
        (_with("a,b", "roundId"), "payload.roundId"),
        (_with("é", "submissionId"), "payload.submissionId"),
        (_with("x" * 129, "roundId"), "payload.roundId"),
        (_with("A" * 64, "treeHash"), "payload.treeHash"),
        (_with("0x" + "a" * 62, "policyHash"), "payload.policyHash"),
        (_with(True, "roundNumber"), "payload.roundNumber"),
        (_with(0, "roundNumber"), "payload.roundNumber"),
        (_with(4, "assuranceLevel"), "payload.assuranceLevel"),
        (_with("1", "nEffPpm"), "payload.nEffPpm"),
        (_with(1, "diversityDegraded"), "payload.diversityDegraded"),
        (_with("2026-11-21T03:52:00Z", "issuedAt"), "payload.issuedAt"),
        (_with("2026-11-21T05:52:00.000+02:00", "issuedAt"), "payload.issuedAt"),
        (_with("2025-11-21T03:52:00.000Z", "expiresAt"), "payload.expiresAt: must be later"),
        (_with([], "files"), "payload.files"),
        (_with(-1, "files", 0, "size"), "payload.files[0].size"),
        (_with("x", "files", 1, "owner"), "payload.files[1]: expected fields of this schema only, found 'owner'"),
        (_with("SKILLS", "productType"), "payload.productType"),
        (_with("other.zip", "sourceRef"), "payload.source"),
        (_with(None, "sourceFacts"), "payload.sourceFacts"),
        (_with("zero", "sourceFacts", "highRiskSignalCount"), "payload.sourceFacts.highRiskSignalCount"),
        (_with("FINE", "review", "securityLevel"), "payload.review.securityLevel"),
        (_with([], "votes"), "payload.votes"),
        (_with(2, "votes", 0, "phase"), "payload.votes: phases"),
        (_with({"uri": "u"}, "statusList"), "payload.statusList: expected the field index"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_field_that_breaks_its_rule_is_named(change: Any, place: str) -> None:
    document = sealed()
    change(document)
    with pytest.raises(PayloadError) as refused:
        Payload.of(document)
    assert refused.value.message.startswith(place)
    assert refused.value.code == "PAYLOAD_INVALID"


def test_votes_of_every_panel_are_counted_in_order() -> None:
    seal = dataclasses.replace(SEAL, votes=[PhaseVotes(1, 5, 0, 0), PhaseVotes(2, 4, 1, 0), PhaseVotes(3, 5, 0, 0)])
    votes = sample_payload(round_seal=seal).document["votes"]
    assert [(entry["phase"], entry["SAFE"], entry["UNSAFE"], entry["ABSTAIN"]) for entry in votes] == [
        *((1, 5, 0, 0), (2, 4, 1, 0), (3, 5, 0, 0))
    ]


@pytest.mark.parametrize("value", [1.5, float("nan"), 2**53, "\ud800", b"bytes", {1: 2}, {"ü": 1}], ids=repr)
def test_what_has_no_canonical_form_is_not_sealed(value: Any) -> None:
    document = sealed()
    document["smartContract"] = value
    with pytest.raises(NotCanonical, match=r"\$\.smartContract"):
        Payload.of(document)


def test_a_payload_beyond_its_limit_is_not_sealed() -> None:
    document = sealed()
    document["sourceFacts"]["externalHosts"] = ["h" * 60_000] * 40
    with pytest.raises(PayloadError, match="bytes, more than"):
        Payload.of(document)


@given(st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_any_text_survives_sealing(name: str, notes: str) -> None:
    document = sealed()
    document["skillName"], document["devNotes"] = name, notes
    assert parse_canonical_json(Payload.of(document).canonical_bytes) == document
