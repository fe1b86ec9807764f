"""The weights of a published epoch follow from its rows, and whatever is changed in it is named."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from sigma_core.assembly.weights import WeightRow, WeightsSnapshot
from sigma_core.canonical import NotCanonical, canonical_json
from sigma_core.errors import SigmaError
from sigma_core.policy import load_policy
from sigma_core.standing.epoch import WeightsEpoch
from sigma_core.standing.ledger import LedgerInvalid
from sigma_core.standing.weighing import recomputed_weights
from sigma_core.standing.weights import VALIDATOR_COLUMNS, governance_weights

POLICY = load_policy()


def published() -> WeightsEpoch:
    """An epoch of twelve operators, one of them above its cap, one validator suspended."""
    validators = pl.DataFrame(
        [
            (f"val_{n:02}", f"op_{n // 2}", "rules_taint", (n + 1) * 10**9 * (40 if n > 21 else 1), 10**6, 0, 0, n == 3)
            for n in range(24)
        ],
        schema=VALIDATOR_COLUMNS,
        orient="row",
    )
    standing = pl.DataFrame({"validator_id": ["val_01", "val_22"], "accuracy_ppm": [640_000, 910_000]})
    reputation = pl.DataFrame({"validator_id": ["val_02"], "reputation_ppm": [730_000]})
    table = governance_weights(validators, standing, reputation, POLICY.standing)
    snapshot = WeightsSnapshot.of(
        1,
        POLICY.hash,
        (
            WeightRow(row["validator_id"], row["operator"], row["family"], row["weight"], row["reputation_ppm"])
            for row in table.frame.iter_rows(named=True)
        ),
    )
    return WeightsEpoch.of(
        table,
        epoch=1,
        day=20_778,
        policy_hash=POLICY.hash,
        accuracy_high_water=2,
        reputation_high_water=1,
        merkle_root=snapshot.merkle_root,
        previous=None,
    )


EPOCH = published()


def test_the_weights_that_rounds_are_drawn_by_follow_from_stakes_and_standing() -> None:
    assert any(row.capped for row in EPOCH.rows)
    part = recomputed_weights(EPOCH.canonical_bytes, POLICY.standing)
    assert (part["epoch"], part["policyHash"], part["merkleRoot"]) == (1, POLICY.hash, EPOCH.merkle_root)
    assert [row["weight"] for row in part["rows"]] == [row.weight for row in EPOCH.rows]


def test_every_input_of_every_kind_that_is_changed_is_named() -> None:
    document: dict[str, Any] = json.loads(EPOCH.canonical_bytes)
    silent = set()
    for name, value in document["rows"][0].items():
        changed = json.loads(EPOCH.canonical_bytes)
        other = not value if isinstance(value, bool) else value + 77_777 if isinstance(value, int) else value + "x"
        changed["rows"][0][name] = other
        try:
            recomputed_weights(canonical_json(changed), POLICY.standing)
        except SigmaError:
            continue
        silent.add(name)
    assert silent == set()
    for name in ("merkleRoot", "operatorCapPpm", "operatorLevel", "totalWeight", "policyHash", "epoch"):
        value = document[name]
        other = value + 1 if isinstance(value, int) else ("1" if value[0] != "1" else "2") + value[1:]
        with pytest.raises(LedgerInvalid):
            recomputed_weights(canonical_json(document | {name: other}), POLICY.standing)


def test_a_row_that_is_there_twice_or_out_of_order_and_what_is_no_epoch_are_refused() -> None:
    document: dict[str, Any] = json.loads(EPOCH.canonical_bytes)
    for rows in ([*document["rows"], document["rows"][0]], document["rows"][::-1]):
        with pytest.raises(LedgerInvalid):
            recomputed_weights(canonical_json(document | {"rows": rows}), POLICY.standing)
    for content in (b"", b"{}", b'{"epoch": 1, "epoch": 2}', b"[" * 100_000):
        with pytest.raises((LedgerInvalid, NotCanonical)):
            recomputed_weights(content, POLICY.standing)
