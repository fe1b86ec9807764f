"""The verify answer as the core builds it has what clients rely on (`tests.verify_answer_contract`)."""

from __future__ import annotations

import json
from typing import Any

from certificate_samples import NOW, logged_bundle, sample_bundle, sample_package

from sigma_core.certificates.answer import ChainCommitment, LiveState, verify_answer
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.submissions.package import ProductType
from tests.verify_answer_contract import RECORDED, differences, missing


def answers() -> list[dict[str, Any]]:
    """Answers that differ in everything that may be absent or null."""
    committed = ChainCommitment("monad-testnet", "0x01", "https://explorer.example/0x01", "1", "0x02")
    api = sample_package()
    object.__setattr__(api, "product_type", ProductType.SKILL_API)
    chosen = [
        (logged_bundle(), LiveState(status=CertificateStatus.APPROVED)),
        (sample_bundle(), LiveState(status=CertificateStatus.SUSPENDED, active_flag_count=2, commitment=committed)),
        (sample_bundle(package=api, status_list=None), LiveState(status=CertificateStatus.APPROVED)),
    ]
    found = []
    for bundle, live in chosen:
        payload = Payload.of(json.loads(bundle.envelope.body)["predicate"]["sigmaCertificate"])
        found.append(json.loads(json.dumps(verify_answer(payload, bundle, live, at=NOW))))
    return found


def test_every_answer_has_the_fixed_names_and_the_recorded_types() -> None:
    for answer in answers():
        assert missing(answer) == []
        recorded = RECORDED["API" if answer["apiDisclaimer"] else "SKILL"]
        assert list(differences(recorded, answer)) == []


def test_an_uncommitted_certificate_says_what_a_commitment_will_cover() -> None:
    uncommitted, committed, _ = answers()
    assert "immutableCommitmentScope" in uncommitted["onChain"]
    assert committed["onChain"]["committed"] is True
