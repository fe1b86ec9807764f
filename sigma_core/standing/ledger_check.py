"""Whether ledger lines may count at all: known validator and policy, a day that has come, a seat that could be drawn.

Points are decayed by the day, not by the row, so rows may come in any order; what must not be is a line that no booking of ours
writes. The first such line, in the order of the ledger, is refused with everything after it: weights are then not
published and the epoch before stays in force.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from sigma_core.standing.ledger import LedgerInvalid

LINE_COLUMNS = {
    "entry_key": pl.String,
    "validator_id": pl.String,
    "round_id": pl.String,
    "day": pl.Int64,
    "policy_hash": pl.String,
}
"""What is checked of a line of either ledger; ``round_id`` may be null in the reputation ledger."""

ROUND_COLUMNS = {"round_id": pl.String, "weights_epoch": pl.Int64, "known_day": pl.Int64}
"""``known_day`` is the UTC day on which the round's first truth became known, null before."""

DRAWN_FROM_COLUMNS = {"weights_epoch": pl.Int64, "validator_id": pl.String, "weight": pl.Int64}


@dataclass(frozen=True, slots=True)
class LedgerContext:
    """What lines are held against: ``rounds`` (`ROUND_COLUMNS`) and ``drawn_from``, the published weights of the epochs that drew
    them (`DRAWN_FROM_COLUMNS`); known validators and policies; ``today`` as a UTC day number."""

    rounds: pl.DataFrame
    drawn_from: pl.DataFrame
    validators: Collection[str]
    policies: Collection[str]
    today: int


def check_lines(ledger: str, lines: pl.DataFrame, context: LedgerContext) -> None:
    """Refuse the first of ``lines`` (`LINE_COLUMNS`, in ledger order) that cannot have been booked.

    ``ledger`` names the ledger in the message. Raises LedgerInvalid, naming line and rule.
    """
    known = (
        lines.with_row_index("at")
        .join(context.rounds, on="round_id", how="left", maintain_order="left")
        .join(context.drawn_from, on=["weights_epoch", "validator_id"], how="left", maintain_order="left")
    )
    of_round = pl.col("round_id").is_not_null()
    rules = (
        (
            pl.any_horizontal(pl.col("entry_key", "validator_id", "day", "policy_hash").is_null()),
            "has an empty value",
        ),
        (pl.col("entry_key").is_duplicated(), "is there twice"),
        (~pl.col("validator_id").is_in(sorted(context.validators)), "is of an unknown validator"),
        (~pl.col("policy_hash").is_in(sorted(context.policies)), "was set by a policy that is not on record here"),
        (pl.col("day") > context.today, f"is of a day that has not come: today is day {context.today}"),
        (of_round & pl.col("weights_epoch").is_null(), "is of an unknown round"),
        (of_round & pl.col("known_day").is_null(), "is of a round whose truth nobody knows yet"),
        (of_round & (pl.col("day") < pl.col("known_day")), "is of a day before the truth of its round was known"),
        (
            of_round & (pl.col("weight").fill_null(0) <= 0),
            "is of a validator without weight in the epoch that drew the round: suspended, or not there",
        ),
    )
    broken = known.with_columns(
        rule=pl.coalesce(pl.when(wrong.fill_null(value=False)).then(pl.lit(rule)) for wrong, rule in rules)
    ).filter(pl.col("rule").is_not_null())
    if broken.height:
        line = broken.sort("at").row(0, named=True)
        raise LedgerInvalid(
            f"{ledger} ledger: line {line['entry_key']} of validator {line['validator_id']}, day {line['day']}: {line['rule']}"
        )
