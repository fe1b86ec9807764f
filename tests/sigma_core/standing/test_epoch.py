"""The published weights epoch."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from sigma_core.canonical import NotCanonical, canonical_json, parse_strict_json
from sigma_core.policy import PPM
from sigma_core.standing.epoch import WeightsEpoch
from sigma_core.standing.ledger import LedgerInvalid
from sigma_core.standing.weights import WEIGHT_COLUMNS, WeightTable

COMMON = {"policy_hash": "a" * 64, "merkle_root": "b" * 64}


def row(name: str, **changes: Any) -> dict[str, Any]:
    standing = {
        "validator_id": name, "operator": "op", "family": "fam", "stake_micro_usd": 10_000_000, "tier_ppm": PPM,
        "plugin_bonus_ppm": 0, "in_world_bonus_ppm": 0, "suspended": False, "accuracy_ppm": 700_000,
        "reputation_ppm": 500_000, "weight": 2_020_000, "capped": False,
    }  # fmt: skip
    return {**standing, **changes}


def table(*rows: dict[str, Any]) -> WeightTable:
    return WeightTable(pl.DataFrame(list(rows), schema=WEIGHT_COLUMNS), operator_cap_ppm=PPM, operator_level=9_999)


def epoch(number: int, weights: WeightTable, previous: WeightsEpoch | None = None, **changes: Any) -> WeightsEpoch:
    marks: dict[str, Any] = {
        "day": 20_000 + number,
        "accuracy_high_water": 10 * number,
        "reputation_high_water": number,
    }
    return WeightsEpoch.of(weights, epoch=number, previous=previous, **{**COMMON, **marks, **changes})


FIRST = epoch(1, table(row("ada"), row("bo")))


def explanation(**changes: Any) -> str:
    (change,) = epoch(2, table(row("ada", **changes), row("bo")), FIRST).changes
    assert change.validator_id == "ada"
    return change.explanation


def test_the_document_is_canonical_json_in_camel_case_and_reads_back_equal() -> None:
    document = parse_strict_json(FIRST.canonical_bytes)
    assert isinstance(document, dict)
    assert canonical_json(document) == FIRST.canonical_bytes
    assert document["schema"] == "sigma-weights-epoch-v1"
    assert document["totalWeight"] == "4040000"
    assert document["rows"][0]["stakeMicroUsd"] == 10_000_000
    assert WeightsEpoch.parse(FIRST.canonical_bytes) == FIRST


def test_every_row_of_the_first_epoch_joined() -> None:
    assert [(c.validator_id, c.weight_before, c.weight_after, c.explanation) for c in FIRST.changes] == [
        ("ada", None, 2_020_000, "joined"),
        ("bo", None, 2_020_000, "joined"),
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"accuracy_ppm": 679_000}, "accuracy −0.021, reputation unchanged, stake unchanged"),
        ({"reputation_ppm": 504_001}, "accuracy unchanged, reputation +0.004001, stake unchanged"),
        ({"stake_micro_usd": 22_500_000}, "accuracy unchanged, reputation unchanged, stake +12.5 USD"),
    ],
)
def test_a_change_is_explained_by_what_moved(changes: dict[str, Any], expected: str) -> None:
    assert explanation(**changes) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tier_ppm": 1_200_000, "plugin_bonus_ppm": 10_000}, "tier +0.2, plugin bonus +0.01"),
        ({"suspended": True, "weight": 0}, "suspended"),
        ({"operator": "new"}, "operator op → new"),
        ({"capped": True, "weight": 5}, "operator cap applies"),
    ],
)
def test_what_is_rare_is_named_only_when_it_moved(changes: dict[str, Any], expected: str) -> None:
    assert explanation(**changes) == f"accuracy unchanged, reputation unchanged, stake unchanged, {expected}"


def test_what_did_not_change_is_not_listed_and_who_left_is() -> None:
    second = epoch(2, table(row("bo")), FIRST)
    assert [(c.validator_id, c.weight_before, c.weight_after, c.explanation) for c in second.changes] == [
        ("ada", 2_020_000, None, "left")
    ]


def test_another_policy_is_part_of_the_explanation() -> None:
    second = epoch(2, table(row("ada", weight=1), row("bo")), FIRST, policy_hash="c" * 64)
    assert second.changes[0].explanation.endswith("stake unchanged, policy changed")


@pytest.mark.parametrize(
    ("number", "changes", "rule"),
    [
        (3, {}, "epoch 3: the epoch before it is 2, not 1"),
        (2, {"day": 20_000}, "its day or ledgers end before those of epoch 1"),
        (2, {"accuracy_high_water": 9}, "its day or ledgers end before those of epoch 1"),
    ],
)
def test_epochs_only_go_forward(number: int, changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(LedgerInvalid, match=rule):
        epoch(number, table(row("ada")), FIRST, **changes)


@pytest.mark.parametrize(
    ("old", "new", "error", "place"),
    [
        (b'"weight":', b'"wight":', LedgerInvalid, "rows.0.weight"),
        (b'"weight":2020000', b'"weight":"2020000"', LedgerInvalid, "rows.0.weight"),
        (b'"weight":2020000', b'"weight":2020000.0', NotCanonical, "2020000.0"),
        (b"-epoch-v1", b"-epoch-v2", LedgerInvalid, "schema"),
        (b'"day":', b'"day":1,"day":', NotCanonical, "twice"),
    ],
)
def test_a_damaged_document_is_refused(old: bytes, new: bytes, error: type[Exception], place: str) -> None:
    with pytest.raises(error, match=place):
        WeightsEpoch.parse(FIRST.canonical_bytes.replace(old, new))
