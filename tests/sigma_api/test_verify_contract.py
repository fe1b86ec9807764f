"""Clients that were written against an earlier verify answer still read today's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from http_client import Client
from kept_records import API, AUDITED_AGAIN, EXPIRED, ORDINARY, REVOKED, SUSPENDED, Sample

from sigma_api.public.schemas import VerifyAnswer
from tests.verify_answer_contract import RECORDED, differences, missing


@pytest.mark.parametrize("product_type", RECORDED)
def test_the_recorded_answers_have_every_fixed_name(product_type: str) -> None:
    assert missing(RECORDED[product_type]) == []


@pytest.mark.parametrize("product_type", RECORDED)
def test_a_recorded_answer_is_still_what_the_document_says(product_type: str) -> None:
    VerifyAnswer.model_validate_json(json.dumps(RECORDED[product_type]), strict=True)


@pytest.mark.parametrize(
    "sample", [ORDINARY[0], API, SUSPENDED, REVOKED, EXPIRED, AUDITED_AGAIN], ids=lambda sample: sample.name
)
def test_todays_answer_has_every_field_with_its_type(client: Client, sample: Sample) -> None:
    today = client.get(f"/api/v1/public/certificates/{sample.id}/verify").json()
    assert missing(today) == []
    assert list(differences(RECORDED[sample.product_type.value], today)) == []


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"valid": "yes"}, "$.valid was bool and is str"),
        ({"roundNumber": True}, "$.roundNumber was int and is bool"),
        ({"manifest": {}}, "$.manifest.safety is gone"),
        ({"valid": None}, "$.valid was bool and is NoneType"),
        ({"apiDisclaimer": "text", "new": 1}, None),
    ],
)
def test_a_breaking_change_would_show(change: dict[str, Any], difference: str | None) -> None:
    found = list(differences(RECORDED["SKILL"], RECORDED["SKILL"] | change))
    assert (difference in found) if difference else found == []
