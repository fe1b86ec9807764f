"""Lines that no booking writes: each is refused by name, and the first in the ledger's order is the one that is named."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest

from sigma_core.standing.ledger import LedgerInvalid
from sigma_core.standing.ledger_check import (
    DRAWN_FROM_COLUMNS,
    LINE_COLUMNS,
    ROUND_COLUMNS,
    LedgerContext,
    check_lines,
)

CONTEXT = LedgerContext(
    rounds=pl.DataFrame([("r1", 1, 100), ("r2", 2, 101), ("r3", 1, None)], schema=ROUND_COLUMNS, orient="row"),
    drawn_from=pl.DataFrame(
        [(1, "ada", 5), (1, "bo", 5), (2, "ada", 5), (2, "bo", 0)], schema=DRAWN_FROM_COLUMNS, orient="row"
    ),
    validators={"ada", "bo"},
    policies={"p"},
    today=110,
)


def line(**changes: Any) -> dict[str, Any]:
    return {
        "entry_key": "r1/1.1/score/0",
        "validator_id": "ada",
        "round_id": "r1",
        "day": 100,
        "policy_hash": "p",
        **changes,
    }


def lines(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=LINE_COLUMNS)


GOOD = [
    line(),
    line(entry_key="r1/1.2/score/0", validator_id="bo"),
    line(entry_key="r2/1.1/score/0", round_id="r2", day=103),
    line(entry_key="case-1", round_id=None, validator_id="bo", day=110),
]


def test_what_bookings_write_passes_in_any_order_of_rows() -> None:
    shuffled = GOOD * 1
    random.Random(5).shuffle(shuffled)
    for rows in ([], GOOD, GOOD[::-1], shuffled):
        check_lines("accuracy", lines(*rows), CONTEXT)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        pytest.param(line(), "is there twice", id="duplicated"),
        pytest.param(line(entry_key="k", validator_id="eve"), "is of an unknown validator", id="unknown validator"),
        pytest.param(line(entry_key="k", policy_hash="q"), "a policy that is not on record", id="foreign policy hash"),
        pytest.param(line(entry_key="k", day=111), "day that has not come: today is day 110", id="clock jumped ahead"),
        pytest.param(line(entry_key="k", day=99), "before the truth of its round was known", id="clock jumped back"),
        pytest.param(line(entry_key="k", round_id="r3"), "whose truth nobody knows yet", id="unresolved round"),
        pytest.param(line(entry_key="k", round_id="r9"), "is of an unknown round", id="unknown round"),
        pytest.param(
            line(entry_key="k", round_id="r2", day=101, validator_id="bo"),
            "without weight in the epoch that drew the round: suspended",
            id="after suspension",
        ),
        pytest.param(line(entry_key="k", day=None), "has an empty value", id="empty value"),
    ],
)
def test_refuses_a_line(broken: dict[str, Any], rule: str) -> None:
    with pytest.raises(LedgerInvalid, match=f"^accuracy ledger: line {broken['entry_key']} .*{rule}"):
        check_lines("accuracy", lines(*GOOD, broken), CONTEXT)


def test_the_first_broken_line_is_named() -> None:
    broken = [line(entry_key="b", day=400), line(entry_key="a", validator_id="eve")]
    with pytest.raises(LedgerInvalid, match="line b of validator ada, day 400"):
        check_lines("accuracy", lines(*GOOD, *broken), CONTEXT)
