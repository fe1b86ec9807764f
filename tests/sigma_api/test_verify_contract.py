"""Clients that were written against an earlier verify answer still read today's: recorded answers, with values of our own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_client import Client
from kept_records import API, AUDITED_AGAIN, EXPIRED, ORDINARY, REVOKED, SUSPENDED, Sample

from sigma_api.public.schemas import VerifyAnswer

RECORDED: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("verify_answers.json").read_text(encoding="utf-8")
)
"""By product type; never recorded anew to make a test pass: a field that is missing here is missing to a client."""

FIXED = {
    "": "valid status summary activeFlagCount securityLevel sandboxRiskLevel skillName skillVersion certificateIssuedAt "
    "roundType retainedWarnings endpointStatus apiDisclaimer manifest endpointReview review source onChain roundId roundNumber "
    "triggerSource devNotes skillHash submissionId productType sourceRef sourceUrl signature smartContract sourceFacts",
    "review": "securityLevel retainedErrors retainedWarnings sandboxRiskLevel sandboxAnalyzedAt",
    "source": "entry sourceRef sourceUrl sourceType",
    "manifest": "safety capabilities externalCalls",
    "manifest.safety": "network filesystem",
    "manifest.externalCalls[]": "url auth method reason",
    "endpointReview": "analyzedAt analysisMode observedUrls observedHosts endpointStatus skippedEndpoints declaredEndpoints "
    "disclosureWarning",
    "endpointReview.skippedEndpoints[]": "path reason",
    "onChain": "network txHash explorerUrl committed codeVersion registryAddress immutableCommitmentScope",
    "sourceFacts": "externalHosts manifestMismatchCount blocked promptInjectionSignalCount realSecretSignalCount "
    "highRiskSignalCount",
}
"""The names that spec/surfaces.md fixes, by the object that holds them."""


def at(answer: Any, place: str) -> Any:
    """The object at ``place``; ``[]`` is the first of a list."""
    for step in place.split(".") if place else []:
        answer = answer[step.removesuffix("[]")]
        answer = answer[0] if step.endswith("[]") else answer
    return answer


def differences(recorded: Any, today: Any, place: str = "$") -> Iterator[str]:
    """What a client that reads ``recorded`` would miss in ``today``; null there may become something, additions do no harm."""
    if recorded is None:
        return
    if type(recorded) is not type(today):
        yield f"{place} was {type(recorded).__name__} and is {type(today).__name__}"
    elif isinstance(recorded, dict):
        for name, value in recorded.items():
            if name not in today:
                yield f"{place}.{name} is gone"
            else:
                yield from differences(value, today[name], f"{place}.{name}")
    elif isinstance(recorded, list) and recorded and today:
        yield from differences(recorded[0], today[0], f"{place}[]")


@pytest.mark.parametrize("place", FIXED)
@pytest.mark.parametrize("product_type", RECORDED)
def test_the_recorded_answers_have_every_fixed_name(product_type: str, place: str) -> None:
    assert set(FIXED[place].split()) <= at(RECORDED[product_type], place).keys()


@pytest.mark.parametrize("product_type", RECORDED)
def test_a_recorded_answer_is_still_what_the_document_says(product_type: str) -> None:
    VerifyAnswer.model_validate_json(json.dumps(RECORDED[product_type]), strict=True)


@pytest.mark.parametrize(
    "sample", [ORDINARY[0], API, SUSPENDED, REVOKED, EXPIRED, AUDITED_AGAIN], ids=lambda sample: sample.name
)
def test_todays_answer_has_every_field_with_its_type(client: Client, sample: Sample) -> None:
    recorded = dict(RECORDED[sample.product_type.value])
    today = client.get(f"/api/v1/public/certificates/{sample.id}/verify").json()
    assert list(differences(recorded, today)) == []


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"valid": "yes"}, "$.valid was bool and is str"),
        ({"roundNumber": True}, "$.roundNumber was int and is bool"),
        ({"manifest": {}}, "$.manifest.capabilities is gone"),
        ({"apiDisclaimer": "text", "new": 1}, None),
    ],
)
def test_a_breaking_change_would_show(change: dict[str, Any], difference: str | None) -> None:
    found = list(differences(RECORDED["SKILL"], RECORDED["SKILL"] | change))
    assert found[:1] == ([] if difference is None else [difference])
