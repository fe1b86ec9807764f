"""Audit accuracy by Polars: ledger → daily sums → decayed state → ppm.

`advance` is both the daily increment and the full replay: it steps a state over calendar days, one floor multiplication for
each day with or without entries, as floor steps do not compose. The result depends on the sums only: not on the order of
rows, nor on how the days are cut into calls, nor on threads. A policy with another half-life applies from the day it is in force:
replay across such a change goes in segments, each with its own rules.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from sigma_core.policy import PPM, StandingRules
from sigma_core.standing.ledger import (
    ACCURACY_COLUMNS,
    INT64_END,
    SIDES,
    LedgerInvalid,
    day_limit_q10,
    prior_q10,
    state_limit_q10,
)

STATE_SCHEMA = {name: kind for name, kind in ACCURACY_COLUMNS.items() if name != "day"}


@dataclass(frozen=True, slots=True)
class AccuracyState:
    """Decayed points after ``day``'s entries: ``frame`` has validator_id (sorted, unique), aligned_q10 and misaligned_q10,
    for every validator that ever had an entry."""

    day: int
    frame: pl.DataFrame

    @classmethod
    def before(cls, day: int) -> AccuracyState:
        """Nothing yet, on the eve of ``day``."""
        return cls(day - 1, pl.DataFrame(schema=STATE_SCHEMA))


def daily_points(ledger: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Sums by validator and day, sorted by day and validator (`ACCURACY_COLUMNS`). Compensations count with their sign.

    Raises LedgerInvalid for missing columns or values, a day before 1970 and sums that might pass 64 bits.
    """
    check_columns(ledger.collect_schema().names())
    rows = ledger.lazy().select(pl.col(name).cast(kind) for name, kind in ACCURACY_COLUMNS.items())
    _check_sums_fit(rows)
    sums = rows.group_by("validator_id", "day").agg(pl.col(SIDES).sum()).sort("day", "validator_id")
    return sums.collect(engine="streaming")


def _check_sums_fit(rows: pl.LazyFrame) -> None:
    columns = list(ACCURACY_COLUMNS)
    profile = (
        rows.select(
            pl.len().alias("height"),
            pl.sum_horizontal(pl.col(columns).null_count()).alias("nulls"),
            pl.col("day").min(),
            pl.min_horizontal(pl.col(SIDES).min()).alias("lowest"),
            pl.max_horizontal(pl.col(SIDES).max()).alias("highest"),
        )
        .collect(engine="streaming")
        .row(0, named=True)
    )
    check_profile(**profile)


def check_columns(names: Collection[str]) -> None:
    """Refuse a ledger that lacks a column of `ACCURACY_COLUMNS`."""
    missing = [name for name in ACCURACY_COLUMNS if name not in names]
    if missing:
        raise LedgerInvalid(f"accuracy ledger: column {missing[0]!r} is missing")


def check_profile(height: int, nulls: int, day: int | None, lowest: int | None, highest: int | None) -> None:
    """Refuse a ledger by its profile, whichever engine took it: number of rows and empty values, first day, and the
    smallest and largest points."""
    if nulls:
        raise LedgerInvalid(f"accuracy ledger: {nulls} values are empty")
    if day is not None and day < 0:
        raise LedgerInvalid(f"accuracy ledger: day {day} is before 1970-01-01")
    largest = max(-(lowest or 0), highest or 0)
    if height * largest >= INT64_END:
        raise LedgerInvalid(f"accuracy ledger: {height} entries of up to {largest} q10 might sum past 64 bits")


def check_daily(state: AccuracyState, daily: pl.DataFrame, rules: StandingRules) -> None:
    """Refuse daily sums that `sigma_core.standing.ledger`'s proof does not cover, and days that are closed."""
    limit, day_limit = state_limit_q10(rules), day_limit_q10(rules)
    outside = pl.any_horizontal((pl.col(side) > day_limit) | (pl.col(side) < -limit) for side in SIDES)
    for broken, rule in (
        (daily.filter(pl.col("day") <= state.day), f"the state is of day {state.day}: a closed day takes no entries"),
        (daily.filter(outside), f"a day's sum is at most {day_limit} and at least −{limit} q10"),
    ):
        if broken.height:
            validator, day, aligned, misaligned = broken.sort("day", "validator_id").row(0)
            raise LedgerInvalid(
                f"accuracy ledger: validator {validator}, day {day}, aligned {aligned}, misaligned {misaligned}: {rule}"
            )


def advance(state: AccuracyState, daily: pl.DataFrame, day: int, rules: StandingRules) -> AccuracyState:
    """The state after ``day``, from an earlier state and the daily sums (`daily_points`) after it; sums after ``day`` wait.

    Raises LedgerInvalid for entries of a closed day, sums beyond the limits, and a side that compensations take below zero.
    """
    check_daily(state, daily, rules)
    daily = daily.filter(pl.col("day") <= day)
    validators = pl.concat([state.frame["validator_id"], daily["validator_id"]]).unique().sort()
    index = pl.DataFrame({"validator_id": validators}).with_row_index("at")
    start = index.join(state.frame, on="validator_id", how="left", maintain_order="left").fill_null(0)
    by_day = daily.join(index, on="validator_id").select("day", "at", *SIDES).partition_by("day", as_dict=True)
    stepped = {side: _step_days(start[side], side, state.day, day, by_day, validators, rules) for side in SIDES}
    return AccuracyState(day, pl.DataFrame({"validator_id": validators, **stepped}))


def _step_days(
    points: pl.Series,
    side: str,
    after: int,
    until: int,
    by_day: dict[tuple[object, ...], pl.DataFrame],
    validators: pl.Series,
    rules: StandingRules,
) -> pl.Series:
    """One side of every validator, from the end of day ``after`` to the end of day ``until``."""
    divisor = 1 << rules.decay_bits
    for day in range(after + 1, until + 1):
        points = points * rules.decay_per_day // divisor
        entries = by_day.get((day,))
        if entries is None:
            continue
        sums = points.gather(entries["at"]) + entries[side]
        lowest = sums.arg_min()
        if lowest is not None and sums[lowest] < 0:
            validator = validators[entries["at"][lowest]]
            raise LedgerInvalid(f"accuracy ledger: validator {validator}, day {day}: {side} falls below zero")
        points = points.scatter(entries["at"], sums)
    return points


def replay(ledger: pl.DataFrame | pl.LazyFrame, day: int, rules: StandingRules) -> AccuracyState:
    """The state after ``day`` from the whole ledger. Raises LedgerInvalid as `daily_points` and `advance` do."""
    daily = daily_points(ledger)
    first = daily["day"][0] if daily.height else day + 1
    return advance(AccuracyState.before(min(first, day + 1)), daily, day, rules)


def accuracy(state: AccuracyState, rules: StandingRules) -> pl.DataFrame:
    """The state's frame with ``accuracy_ppm`` = (A + K)·10^6 // (A + M + 2K), always within 1 … 999,999."""
    prior = prior_q10(rules)
    aligned, misaligned = pl.col("aligned_q10"), pl.col("misaligned_q10")
    return state.frame.with_columns(
        accuracy_ppm=(aligned + prior) * PPM // (aligned + misaligned + 2 * prior),
    )
