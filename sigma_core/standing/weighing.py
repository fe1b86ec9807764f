"""The weights of a published epoch, computed again from what the epoch says that they rest on."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import polars as pl

from sigma_core.assembly.weights import WeightRow, WeightsError, WeightsSnapshot
from sigma_core.policy import StandingRules
from sigma_core.standing.epoch import StandingRow, WeightsEpoch
from sigma_core.standing.ledger import LedgerInvalid
from sigma_core.standing.weights import VALIDATOR_COLUMNS, governance_weights

UNCHECKED = "$.weights: the accuracies and reputations that they rest on are those of the ledgers of all rounds"


@lru_cache(maxsize=4)
def recomputed_weights(content: bytes, rules: StandingRules) -> dict[str, Any]:
    """The ``weights`` part of the replay documents of rounds drawn from an epoch (`WeightsSnapshot.as_json`), from the epoch's document
    and the rules of the policy that it was published under.

    Raises LedgerInvalid, naming the validator or the figure, when the document does not follow from its own inputs, and NotCanonical
    for what is no such document.
    """
    epoch = WeightsEpoch.parse(content)
    place = f"weights epoch {epoch.epoch}"
    inputs = pl.DataFrame([row.model_dump(by_alias=False) for row in epoch.rows], schema=_INPUTS, orient="row")
    table = governance_weights(
        inputs.select(*VALIDATOR_COLUMNS),
        inputs.select("validator_id", "accuracy_ppm"),
        inputs.select("validator_id", "reputation_ppm"),
        rules,
    )
    rows = [StandingRow(**row) for row in table.frame.iter_rows(named=True)]
    for stated, recomputed in zip(epoch.rows, rows, strict=True):
        if stated != recomputed:
            raise LedgerInvalid(
                f"{place}: {stated.validator_id} has weight {stated.weight}; from its stake and standing follows {recomputed.weight}"
            )
    figures = (epoch.operator_cap_ppm, epoch.operator_level, epoch.total_weight)
    follow = (table.operator_cap_ppm, str(table.operator_level), str(table.total_weight))
    if figures != follow:
        raise LedgerInvalid(f"{place}: operator cap, level and total are {figures}; from the rows follow {follow}")
    try:
        snapshot = WeightsSnapshot.of(
            epoch.epoch,
            epoch.policy_hash,
            (WeightRow(row.validator_id, row.operator, row.family, row.weight, row.reputation_ppm) for row in rows),
        )
    except WeightsError as error:
        raise LedgerInvalid(f"{place}: {error.message}") from None
    if snapshot.merkle_root != epoch.merkle_root:
        raise LedgerInvalid(f"{place}: its Merkle root is not that of its rows")
    return snapshot.as_json()


_INPUTS = {**VALIDATOR_COLUMNS, "accuracy_ppm": pl.Int64, "reputation_ppm": pl.Int64}
