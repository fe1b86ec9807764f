"""The shape that clients of the verify answer rely on: recorded names and types, with values of our own.

After a change that is meant, write the record anew and read its difference (clients must be able to take it):

    SIGMA_WRITE_ANSWER_SHAPE=1 python -m pytest tests/sigma_core/certificates/test_verify_answer_shape.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from certificate_samples import NOW, logged_bundle, sample_bundle, sample_package

from sigma_core.certificates.answer import ChainCommitment, LiveState, verify_answer
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.submissions.package import ProductType

RECORD = Path(__file__).with_name("verify_answer_shape.json")
# Read while the module is collected: the fixtures take every SIGMA_ variable away.
WRITE = os.environ.get("SIGMA_WRITE_ANSWER_SHAPE") == "1"

# spec/surfaces.md, "Verify answers with": what existing clients read, to the letter.
FIXED = [
    "valid",
    "status",
    "summary",
    "activeFlagCount",
    "securityLevel",
    "sandboxRiskLevel",
    "skillName",
    "skillVersion",
    "certificateIssuedAt",
    "roundType",
    "retainedWarnings",
    "endpointStatus",
    "apiDisclaimer",
    "manifest",
    "endpointReview",
    "review",
    "source",
    "onChain",
    "roundId",
    "roundNumber",
    "triggerSource",
    "devNotes",
    "skillHash",
    "submissionId",
    "productType",
    "sourceRef",
    "sourceUrl",
    "signature",
    "smartContract",
    "sourceFacts",
]
FIXED_INSIDE = {
    "review": "securityLevel retainedErrors retainedWarnings sandboxRiskLevel sandboxAnalyzedAt",
    "source": "entry sourceRef sourceUrl sourceType",
    "manifest": "safety capabilities externalCalls",
    "endpointReview": "analyzedAt analysisMode observedUrls observedHosts endpointStatus skippedEndpoints declaredEndpoints "
    "disclosureWarning",
    "onChain": "network txHash explorerUrl committed codeVersion registryAddress",
    "sourceFacts": "externalHosts manifestMismatchCount blocked shell env process filesystem network wallet "
    "promptInjectionSignalCount realSecretSignalCount highRiskSignalCount",
}


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


def shape(values: list[Any]) -> Any:
    """Names and types of several values in one: ``str``, ``int | null``, an object's fields (``?`` where not in all), ``[item]``."""
    kinds = sorted({type(value).__name__ if value is not None else "null" for value in values})
    if kinds == ["dict"]:
        names = sorted({name for value in values for name in value})
        return {
            name + ("" if all(name in value for value in values) else "?"): shape(
                [value[name] for value in values if name in value]
            )
            for name in names
        }
    if kinds == ["list"]:
        return [shape([item for value in values for item in value])] if any(values) else []
    if "dict" in kinds and "null" in kinds:
        return {"nullable": shape([value for value in values if value is not None])}
    return " | ".join(kinds)


def test_the_answer_has_the_recorded_shape() -> None:
    found = shape(answers())
    if WRITE:
        RECORD.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(RECORD.read_text(encoding="utf-8"))


def test_every_fixed_name_is_in_every_answer() -> None:
    for answer in answers():
        assert set(FIXED) <= answer.keys()
        for name, inside in FIXED_INSIDE.items():
            assert set(inside.split()) <= answer[name].keys()


def test_an_uncommitted_certificate_says_what_a_commitment_will_cover() -> None:
    uncommitted, committed, _ = answers()
    assert "immutableCommitmentScope" in uncommitted["onChain"]
    assert committed["onChain"]["committed"] is True
