"""Cost of standing: full replay, one day's increment, reputation and weights, beside the floor that memory sets.

The floor is one pass over as many bytes as the ledger's lines have as numbers (12 each), in memory, by `numpy.sum` of 64-bit integers.
Every figure comes from a process of its own: CPU seconds of all threads, and the most memory that it ever had. With BENCH_FULL=1
the ledger has up to 50 million lines (about two gigabytes of temporary files), else one million.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sigma_core.policy import PPM, load_policy
from sigma_core.standing import (
    accuracy,
    accuracy_duckdb,
    accuracy_numpy,
    reputation,
    reputation_duckdb,
    weights,
    weights_duckdb,
)
from sigma_core.standing.accuracy import AccuracyState
from sigma_core.standing.accuracy_numpy import NumberedState
from sigma_core.standing.day_partitions import DayPartition, DayReader, read_days, write_day
from sigma_core.standing.ledger import ReputationKind

RULES = load_policy().standing
DAYS = 365
LAST = DAYS - 1
SIZES = [(1_000_000, 10_000), (1_000_000, 100_000)]
FULL_SIZES = [*SIZES, (10_000_000, 10_000), (10_000_000, 100_000), (50_000_000, 10_000), (50_000_000, 100_000)]
ENGINES = {"Polars": accuracy, "DuckDB": accuracy_duckdb}


def name_of(number: pl.Expr) -> pl.Expr:
    """The id of a validator number; ids sort as numbers do."""
    return pl.format("val_{}", number.cast(pl.String).str.zfill(6))


def write_ledger(folder: Path, rows: int, validators: int) -> None:
    """A year of votes of 0.5 to 4 points, three of four aligned, with the seat tax: as numbered partitions, and as one Parquet file
    sorted by day, with ids as text."""
    source = np.random.default_rng(7)
    (folder / "days").mkdir()
    frames = []
    for day in range(DAYS):
        count = rows * (day + 1) // DAYS - rows * day // DAYS
        points = source.integers(512, 4096, count, dtype=np.int32)
        aligned = source.random(count) < 0.75
        lines = np.stack(
            [
                source.integers(0, validators, count, dtype=np.int32),
                np.where(aligned, points, 0).astype(np.int32),
                np.where(aligned, RULES.seat_tax_q10, points + RULES.seat_tax_q10).astype(np.int32),
            ]
        )
        write_day(folder / "days" / f"{day}.npy", lines)
        frame = pl.DataFrame({"number": lines[0], "aligned_q10": lines[1], "misaligned_q10": lines[2]})
        frames.append(
            frame.select(
                name_of(pl.col("number")).alias("validator_id"),
                pl.lit(day, pl.Int64).alias("day"),
                pl.col("aligned_q10", "misaligned_q10").cast(pl.Int64),
            )
        )
        if day % 30 == 29 or day == LAST:
            pl.concat(frames).write_parquet(folder / f"lines-{day:03}.parquet")
            frames.clear()
    parts = [pl.scan_parquet(path) for path in sorted(folder.glob("lines-*.parquet"))]
    pl.concat(parts).sink_parquet(folder / "lines.parquet")
    for path in folder.glob("lines-*.parquet"):
        path.unlink()


def day_files(folder: Path) -> list[tuple[int, Path]]:
    """Partitions with their days."""
    return [(day, folder / "days" / f"{day}.npy") for day in range(DAYS)]


def digest(state: AccuracyState) -> str:
    """Of the integers of validators with lines, whatever engine they come from."""
    frame = state.frame.filter((pl.col("aligned_q10") > 0) | (pl.col("misaligned_q10") > 0))
    content = b"".join(frame[side].to_numpy().tobytes() for side in ("aligned_q10", "misaligned_q10"))
    return hashlib.sha256(content + "".join(frame["validator_id"]).encode()).hexdigest()[:16]


def names(validators: int) -> list[str]:
    return [f"val_{number:06}" for number in range(validators)]


def eve_state(folder: Path, validators: int) -> NumberedState:
    """The state on the eve of the last day."""
    return accuracy_numpy.replay(read_days(day_files(folder)[:LAST]), validators, 0, LAST - 1, RULES)


def measured(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Least CPU seconds of some calls, all threads, and the last result."""
    seconds, result = [], None
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return min(seconds), result


def child(what: str, folder: Path, rows: int, validators: int) -> None:
    """Measure one thing and print CPU seconds, peak MB, and the digest of the state."""
    repeats = 3 if rows <= 10_000_000 else 1
    seconds, result = MEASURES[what](folder, rows, validators, repeats)
    # Not ru_maxrss, which a process inherits from the one that started it.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    state = accuracy_numpy.named(result, names(validators)) if isinstance(result, NumberedState) else result
    print(seconds, int(peak.split()[1]) / 1024, digest(state) if isinstance(state, AccuracyState) else "-")


def floor(_folder: Path, rows: int, _validators: int, _repeats: int) -> tuple[float, Any]:
    lines = np.ones(rows * 12 // 8, np.int64)
    return measured(lambda: int(lines.sum()), 5)


def numpy_full(folder: Path, _rows: int, validators: int, repeats: int) -> tuple[float, Any]:
    return measured(
        lambda: accuracy_numpy.replay(read_days(day_files(folder)), validators, 0, LAST, RULES), max(repeats, 3)
    )


def numpy_day(folder: Path, _rows: int, validators: int, _repeats: int) -> tuple[float, Any]:
    before = eve_state(folder, validators)

    def increment() -> NumberedState:
        state = NumberedState(before.day, before.aligned.copy(), before.misaligned.copy())
        partition = DayPartition(LAST, DayReader().read(folder / "days" / f"{LAST}.npy"))
        return accuracy_numpy.advance(state, [partition], LAST, RULES)

    return measured(increment, 5)


def engine_full(engine: str) -> Callable[..., tuple[float, Any]]:
    def work(folder: Path, _rows: int, _validators: int, repeats: int) -> tuple[float, Any]:
        path = folder / "lines.parquet"
        ledger = pl.scan_parquet(path) if engine == "Polars" else path
        return measured(lambda: ENGINES[engine].replay(ledger, LAST, RULES), repeats)

    return work


def engine_day(engine: str) -> Callable[..., tuple[float, Any]]:
    def work(folder: Path, _rows: int, validators: int, _repeats: int) -> tuple[float, Any]:
        module = ENGINES[engine]
        state = accuracy_numpy.named(eve_state(folder, validators), names(validators))
        today = pl.scan_parquet(folder / "lines.parquet").filter(pl.col("day") == LAST).collect()
        return measured(lambda: module.advance(state, module.daily_points(today), LAST, RULES), 5)

    return work


MEASURES: dict[str, Callable[..., tuple[float, Any]]] = {
    "memory floor": floor,
    "NumPy, partitions, full": numpy_full,
    "Polars, Parquet, full": engine_full("Polars"),
    "DuckDB, Parquet, full": engine_full("DuckDB"),
    "NumPy, one day": numpy_day,
    "Polars, one day": engine_day("Polars"),
    "DuckDB, one day": engine_day("DuckDB"),
}


def bench_accuracy(rows: int, validators: int) -> None:
    """Print the table of one size; fails when two engines end in different integers."""
    print(f"accuracy: {rows:,} lines, {validators:,} validators, {DAYS} days")
    with tempfile.TemporaryDirectory(prefix="sigma-bench-") as made:
        folder = Path(made)
        write_ledger(folder, rows, validators)
        floor_seconds, digests = 0.0, {}
        for what in MEASURES:
            command = [sys.executable, "-m", "tests.bench.standing", what, made, str(rows), str(validators)]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            seconds, peak = float(told[0]), float(told[1])
            floor_seconds = floor_seconds or seconds
            print(
                f"  {what:<26} {seconds:9.4f} CPU s {seconds / floor_seconds:8.1f} × floor {peak:8.0f} MB", flush=True
            )
            if told[2] != "-":
                digests[what] = told[2]
    if len(set(digests.values())) != 1:
        raise AssertionError(f"the engines disagree: {digests}")
    print(f"  all {len(digests)} states are equal")


def drawn(rows: int, below: int, stream: int) -> pl.Expr:
    """``rows`` pseudo-random integers below ``below``, the same in each run."""
    return pl.int_range(rows, dtype=pl.UInt64).hash(stream) % below


def bench_reputation(rows: int, validators: int) -> pl.DataFrame:
    """Print the cost of a full replay of as many events, one of ten bad, on both engines, and return the reputations."""
    events = pl.select(
        validator_id=name_of(drawn(rows, validators, 7)),
        day=drawn(rows, DAYS, 8).cast(pl.Int64),
        kind=pl.when(drawn(rows, 10, 9) > 0)
        .then(pl.lit(ReputationKind.CONSTRUCTIVE.value))
        .otherwise(pl.lit(ReputationKind.LOW_QUALITY.value)),
        amount_ppm=pl.lit(None, pl.Int64),
    )
    print(f"reputation: {rows:,} events, {validators:,} validators, {DAYS} days, full replay")
    states = []
    for name, engine in (("Polars", reputation), ("DuckDB", reputation_duckdb)):
        seconds, state = measured(lambda engine=engine: engine.replay(events, LAST, RULES), 2)
        print(f"  {name:<26} {seconds:9.4f} CPU s", flush=True)
        states.append(state.frame)
    if not states[0].equals(states[1]):
        raise AssertionError("the engines disagree")
    return states[0]  # type: ignore[no-any-return]


def population_of(validators: int) -> pl.DataFrame:
    """Validators of a tenth as many operators, stakes up to the cap."""
    return pl.select(
        validator_id=name_of(pl.int_range(validators)),
        operator=pl.format("op_{}", drawn(validators, validators // 10, 5)),
        family=pl.lit("family"),
        stake_micro_usd=drawn(validators, RULES.stake_cap_micro_usd, 6).cast(pl.Int64),
        tier_ppm=pl.lit(PPM, pl.Int64),
        plugin_bonus_ppm=pl.lit(0, pl.Int64),
        in_world_bonus_ppm=pl.lit(0, pl.Int64),
        suspended=pl.lit(value=False),
    )


def bench_weights(validators: int, reputations: pl.DataFrame) -> None:
    """Print the cost of one epoch's weights on both engines."""
    population = population_of(validators)
    accuracies = population.select("validator_id", accuracy_ppm=drawn(validators, 900_000, 8).cast(pl.Int64) + 50_000)
    print(f"weights: {validators:,} validators, {validators // 10:,} operators")
    tables = []
    for name, engine in (("Polars", weights), ("DuckDB", weights_duckdb)):
        seconds, table = measured(
            lambda engine=engine: engine.governance_weights(population, accuracies, reputations, RULES), 3
        )
        tables.append(table.frame)
        print(f"  {name:<26} {seconds:9.4f} CPU s")
    if not tables[0].equals(tables[1]):
        raise AssertionError("the engines disagree")


def main() -> None:
    """Every size, then reputation and weights of ten thousand validators."""
    for rows, validators in FULL_SIZES if os.environ.get("BENCH_FULL") == "1" else SIZES:
        bench_accuracy(rows, validators)
    bench_weights(10_000, bench_reputation(1_000_000, 10_000))


if __name__ == "__main__":
    child(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
