"""Cost of standing, in CPU seconds: full replay and one day's increment, Polars and DuckDB, beside a memory floor.

The floor is one sum over each of the ledger's integer columns, in the same run: what reading the points once costs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl

from sigma_core.policy import PPM, load_policy
from sigma_core.standing import accuracy, accuracy_duckdb, reputation, weights, weights_duckdb
from sigma_core.standing.accuracy import AccuracyState
from sigma_core.standing.ledger import ReputationKind

RULES = load_policy().standing
DAYS = 365
REPEATS = 3


def drawn(rows: int, below: int, stream: int) -> pl.Expr:
    """``rows`` pseudo-random integers below ``below``, the same in each run."""
    return pl.int_range(rows, dtype=pl.UInt64).hash(stream) % below


def ledger_of(rows: int, validators: int) -> pl.DataFrame:
    """Entries of a year: votes of 0.5 to 4 points, three of four aligned, and the seat tax."""
    points, aligned = 512 + drawn(rows, 3584, 3).cast(pl.Int64), drawn(rows, 4, 4) > 0
    return pl.select(
        validator_id=pl.format("val_{}", drawn(rows, validators, 1).cast(pl.String).str.zfill(6)),
        day=drawn(rows, DAYS, 2).cast(pl.Int64),
        aligned_q10=pl.when(aligned).then(points).otherwise(0),
        misaligned_q10=pl.when(aligned).then(RULES.seat_tax_q10).otherwise(points + RULES.seat_tax_q10),
    )


def population_of(validators: int) -> pl.DataFrame:
    """Validators of a tenth as many operators, stakes up to the cap."""
    return pl.select(
        validator_id=pl.format("val_{}", pl.int_range(validators).cast(pl.String).str.zfill(6)),
        operator=pl.format("op_{}", drawn(validators, validators // 10, 5)),
        family=pl.lit("family"),
        stake_micro_usd=drawn(validators, RULES.stake_cap_micro_usd, 6).cast(pl.Int64),
        tier_ppm=pl.lit(PPM, pl.Int64),
        plugin_bonus_ppm=pl.lit(0, pl.Int64),
        in_world_bonus_ppm=pl.lit(0, pl.Int64),
        suspended=pl.lit(value=False),
    )


def best(work: Callable[[], Any]) -> tuple[float, Any]:
    """Least CPU seconds of some calls, all threads, and the last result."""
    seconds, result = [], None
    for _ in range(REPEATS):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return min(seconds), result


def bench_accuracy(rows: int, validators: int) -> pl.DataFrame:
    """Print the table, check that all results are equal, and return the accuracies."""
    ledger, last = ledger_of(rows, validators), DAYS - 1
    floor, _ = best(lambda: ledger.select(pl.col("day", "aligned_q10", "misaligned_q10").sum()))
    print(f"accuracy: {rows:,} rows, {validators:,} validators, {DAYS} days; best of {REPEATS}")

    def line(what: str, seconds: float) -> None:
        print(f"  {what:<42} {seconds:8.4f} CPU s {seconds / floor:8.0f} × floor")

    line("memory floor: sum of the columns", floor)
    today = ledger.filter(pl.col("day") == last)
    earlier = accuracy.daily_points(ledger.filter(pl.col("day") < last))
    yesterday = accuracy.advance(AccuracyState.before(0), earlier, last - 1, RULES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.parquet"
        ledger.write_parquet(path)
        engines: list[tuple[str, ModuleType, Any]] = [
            ("Polars", accuracy, pl.scan_parquet(path)),
            ("DuckDB", accuracy_duckdb, path),
        ]
        results = []
        for name, engine, scanned in engines:

            def increment(engine: ModuleType = engine) -> AccuracyState:
                return engine.advance(yesterday, engine.daily_points(today), last, RULES)  # type: ignore[no-any-return]

            for what, work in (
                ("daily sums, frame", lambda engine=engine: engine.daily_points(ledger)),
                ("full replay, frame", lambda engine=engine: engine.replay(ledger, last, RULES)),
                ("full replay, Parquet", lambda engine=engine, scanned=scanned: engine.replay(scanned, last, RULES)),
                (f"one day's increment, {today.height:,} rows", increment),
            ):
                seconds, result = best(work)
                line(f"{name} {what}", seconds)
                if isinstance(result, AccuracyState):
                    results.append(result.frame)
    if not all(result.equals(results[0]) for result in results):
        raise AssertionError("the engines disagree")
    print(f"  all {len(results)} states are equal")
    return accuracy.accuracy(AccuracyState(last, results[0]), RULES)


def bench_reputation(rows: int, validators: int) -> pl.DataFrame:
    """Print the cost of a full replay of as many events, one of ten bad, and return the reputations."""
    events = pl.select(
        validator_id=pl.format("val_{}", drawn(rows, validators, 7).cast(pl.String).str.zfill(6)),
        day=drawn(rows, DAYS, 8).cast(pl.Int64),
        kind=pl.when(drawn(rows, 10, 9) > 0)
        .then(pl.lit(ReputationKind.CONSTRUCTIVE.value))
        .otherwise(pl.lit(ReputationKind.LOW_QUALITY.value)),
        ceiling_ppm=pl.lit(None, pl.Int64),
    )
    seconds, state = best(lambda: reputation.replay(events, DAYS - 1, RULES))
    print(f"reputation: {rows:,} events, {validators:,} validators, {DAYS} days, full replay")
    print(f"  {'Polars':<42} {seconds:8.4f} CPU s")
    return state.frame  # type: ignore[no-any-return]


def bench_weights(validators: int, accuracies: pl.DataFrame, reputations: pl.DataFrame) -> None:
    """Print the cost of one epoch's weights on both engines."""
    population = population_of(validators)
    print(f"weights: {validators:,} validators, {validators // 10:,} operators")
    tables = []
    for name, engine in (("Polars", weights), ("DuckDB", weights_duckdb)):

        def weigh(engine: ModuleType = engine) -> Any:
            return engine.governance_weights(population, accuracies, reputations, RULES)

        seconds, table = best(weigh)
        tables.append(table.frame)
        print(f"  {name:<42} {seconds:8.4f} CPU s")
    if not tables[0].equals(tables[1]):
        raise AssertionError("the engines disagree")


def main() -> None:
    """Run at a million ledger rows and ten thousand validators."""
    rows, validators = 1_000_000, 10_000
    accuracies = bench_accuracy(rows, validators)
    reputations = bench_reputation(rows, validators)
    bench_weights(validators, accuracies, reputations)


if __name__ == "__main__":
    main()
