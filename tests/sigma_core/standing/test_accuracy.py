"""Accuracy: the same integers on both engines, in any order of rows, in any cut of days, on any number of threads."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.policy import PPM, load_policy
from sigma_core.standing import accuracy, accuracy_duckdb
from sigma_core.standing.accuracy import AccuracyState
from sigma_core.standing.ledger import (
    ACCURACY_COLUMNS,
    LedgerInvalid,
    day_limit_q10,
    decayed_q10,
    prior_q10,
    state_limit_q10,
)

RULES = load_policy().standing
ENGINES = [pytest.param(accuracy, id="polars"), pytest.param(accuracy_duckdb, id="duckdb")]

Row = tuple[str, int, int, int]


def ledger(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=ACCURACY_COLUMNS, orient="row")


def stepped_by_hand(rows: list[Row], day: int) -> list[tuple[str, int, int]]:
    """The spec's recurrence on Python's unbounded integers, one calendar day after the other."""
    result = []
    for validator in sorted({row[0] for row in rows if row[1] <= day}):
        mine = [row for row in rows if row[0] == validator]
        aligned = misaligned = 0
        for today in range(min(row[1] for row in mine), day + 1):
            aligned = (aligned * RULES.decay_per_day >> 30) + sum(row[2] for row in mine if row[1] == today)
            misaligned = (misaligned * RULES.decay_per_day >> 30) + sum(row[3] for row in mine if row[1] == today)
        result.append((validator, aligned, misaligned))
    return result


@st.composite
def ledgers(draw: st.DrawFn) -> list[Row]:
    """Votes on days 100 to 140, some of them taken back later, in any order."""
    rows: list[Row] = []
    for _ in range(draw(st.integers(0, 30))):
        validator = draw(st.sampled_from(["ada", "bo", "ci", "Zoë", "z"]))
        day = draw(st.integers(100, 140))
        aligned, misaligned = draw(st.integers(0, 6144)), draw(st.integers(0, 6144))
        rows.append((validator, day, aligned, misaligned))
        if draw(st.booleans()):
            later = draw(st.integers(0, 20))
            rows.append(
                (validator, day + later, -decayed_q10(aligned, later, RULES), -decayed_q10(misaligned, later, RULES))
            )
    return draw(st.permutations(rows))


@settings(max_examples=25, deadline=None)
@given(ledgers(), st.integers(95, 170), st.lists(st.integers(95, 170), max_size=3), st.sampled_from([1, 2, 4]))
def test_increments_equal_the_full_replay_and_the_recurrence_by_hand_on_both_engines(
    rows: list[Row], until: int, cuts: list[int], threads: int
) -> None:
    expected = stepped_by_hand(rows, until)
    frame = ledger(rows)
    assert accuracy.replay(frame, until, RULES).frame.rows() == expected
    assert accuracy_duckdb.replay(frame, until, RULES, threads=threads).frame.rows() == expected

    polars_state = duckdb_state = AccuracyState.before(95)
    for day in [*sorted(cut for cut in cuts if cut < until), until]:
        new = frame.filter(pl.col("day") > polars_state.day)
        polars_state = accuracy.advance(polars_state, accuracy.daily_points(new), day, RULES)
        duckdb_state = accuracy_duckdb.advance(duckdb_state, accuracy_duckdb.daily_points(new), day, RULES, threads)
    assert polars_state.frame.rows() == duckdb_state.frame.rows() == expected
    assert accuracy.accuracy(polars_state, RULES).equals(accuracy_duckdb.accuracy(duckdb_state, RULES))


def random_ledger(height: int) -> pl.DataFrame:
    source = random.Random(7)
    return ledger(
        [
            (f"v{source.randrange(500)}", source.randrange(200), source.randrange(6144), source.randrange(6144))
            for _ in range(height)
        ]
    )


def test_thread_counts_and_parquet_change_nothing(tmp_path: Path) -> None:
    frame = random_ledger(20_000)
    path = tmp_path / "ledger.parquet"
    frame.write_parquet(path, row_group_size=1_000)
    expected = accuracy.replay(frame, 210, RULES).frame
    assert accuracy.replay(pl.scan_parquet(path), 210, RULES).frame.equals(expected)
    for threads in (1, 3):
        assert accuracy_duckdb.replay(path, 210, RULES, threads).frame.equals(expected)
    # Polars fixes its threads when it is imported.
    program = (
        "import sys, polars as pl\n"
        "from sigma_core.policy import load_policy\n"
        "from sigma_core.standing.accuracy import replay\n"
        "replay(pl.scan_parquet(sys.argv[1]), 210, load_policy().standing).frame.write_ipc(sys.argv[2])\n"
    )
    other = tmp_path / "one-thread.arrow"
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program, path, other], check=True, env=environment)
    assert pl.read_ipc(other).equals(expected)


class TestAccuracy:
    @pytest.mark.parametrize("engine", ENGINES)
    def test_is_one_half_without_points(self, engine: ModuleType) -> None:
        state = AccuracyState(5, pl.DataFrame({"validator_id": ["new"], "aligned_q10": [0], "misaligned_q10": [0]}))
        assert engine.accuracy(state, RULES)["accuracy_ppm"].to_list() == [500_000]

    @pytest.mark.parametrize("engine", ENGINES)
    def test_of_no_validator_is_no_row(self, engine: ModuleType) -> None:
        empty = engine.replay(ledger([]), 5, RULES)
        assert empty.day == 5
        assert engine.accuracy(empty, RULES).rows() == []
        assert engine.accuracy(empty, RULES).schema["accuracy_ppm"] == pl.Int64

    @given(st.data())
    def test_lies_within_zero_and_one_and_is_monotone_in_both_sides(self, data: st.DataObject) -> None:
        side = st.integers(0, state_limit_q10(RULES))
        aligned, more_aligned = sorted((data.draw(side), data.draw(side)))
        misaligned, more_misaligned = sorted((data.draw(side), data.draw(side)))
        frame = pl.DataFrame(
            {
                "validator_id": ["as it is", "more aligned", "more misaligned"],
                "aligned_q10": [aligned, more_aligned, aligned],
                "misaligned_q10": [misaligned, misaligned, more_misaligned],
            }
        )
        plain, better, worse = accuracy.accuracy(AccuracyState(1, frame), RULES)["accuracy_ppm"]
        assert 0 < worse <= plain <= better < PPM
        prior = prior_q10(RULES)
        assert plain == (aligned + prior) * PPM // (aligned + misaligned + 2 * prior)

    @pytest.mark.parametrize("engine", ENGINES)
    def test_stays_within_zero_and_one_at_the_state_limit(self, engine: ModuleType) -> None:
        limit = state_limit_q10(RULES)
        state = AccuracyState(
            1,
            pl.DataFrame({"validator_id": ["best", "worst"], "aligned_q10": [limit, 0], "misaligned_q10": [0, limit]}),
        )
        assert engine.accuracy(state, RULES)["accuracy_ppm"].to_list() == [999_999, 1]


class TestBitLengths:
    def test_the_largest_product_of_the_recurrence_fits_63_bits(self) -> None:
        assert (state_limit_q10(RULES) * RULES.decay_per_day).bit_length() <= 63

    @pytest.mark.parametrize("engine", ENGINES)
    def test_the_largest_days_for_years_never_pass_the_state_limit(self, engine: ModuleType) -> None:
        limit, day_limit = state_limit_q10(RULES), day_limit_q10(RULES)
        state = AccuracyState(0, pl.DataFrame({"validator_id": ["v"], "aligned_q10": [limit], "misaligned_q10": [0]}))
        daily = ledger([("v", day, day_limit, day_limit) for day in range(1, 801)])
        after = engine.advance(state, daily, 800, RULES).frame.row(0)
        assert after[0] == "v"
        assert limit - 50 < after[1] <= limit
        assert limit // 2 < after[2] <= limit
        exact = 0
        for _ in range(800):
            exact = (exact * RULES.decay_per_day >> 30) + day_limit
        assert after[2] == exact

    def test_a_finer_scale_lowers_the_limit_instead_of_overflowing(self) -> None:
        # The scale of 2^20 at which all engines agreed on an overflow (design/measured/protocol.md, section 5).
        rules = RULES.model_copy(update={"decay_bits": 40, "decay_per_day": 1_049_217_527 << 10})
        assert state_limit_q10(rules) == 1 << 23
        assert (state_limit_q10(rules) * rules.decay_per_day).bit_length() <= 63

    @pytest.mark.parametrize(
        "changes",
        [{"decay_bits": 62, "decay_per_day": 1 << 61}, {"accuracy_prior_points": 10**13}, {"decay_per_day": 1 << 30}],
    )
    def test_a_policy_that_64_bits_cannot_hold_is_refused(self, changes: dict[str, int]) -> None:
        with pytest.raises(LedgerInvalid, match="64 bits"):
            state_limit_q10(RULES.model_copy(update=changes))


@pytest.mark.parametrize("engine", ENGINES)
class TestRefusals:
    def refuse(self, match: str, work: Callable[[], object]) -> None:
        with pytest.raises(LedgerInvalid, match=match):
            work()

    def test_a_sum_beyond_the_days_limit(self, engine: ModuleType) -> None:
        limit = day_limit_q10(RULES)
        engine.replay(ledger([("v", 1, limit, 0)]), 1, RULES)
        rows = ledger([("v", 1, limit, 0), ("v", 1, 1, 0)])
        self.refuse(
            f"validator v, day 1, aligned {limit + 1}, .* at most {limit}", lambda: engine.replay(rows, 1, RULES)
        )

    def test_sums_that_might_pass_64_bits(self, engine: ModuleType) -> None:
        rows = ledger([("v", 1, 2**62, 0), ("v", 1, 2**62, 0)])
        self.refuse("2 entries of up to 4611686018427387904 q10", lambda: engine.daily_points(rows))

    @pytest.mark.parametrize("taken", [(-100, 0), (0, -100)])
    def test_a_side_that_falls_below_zero_even_if_it_recovers(self, engine: ModuleType, taken: tuple[int, int]) -> None:
        rows = ledger([("v", 1, 100, 100), ("v", 2, *taken), ("v", 3, 5000, 5000)])
        self.refuse("validator v, .*below zero", lambda: engine.replay(rows, 3, RULES))

    def test_an_entry_of_a_closed_day(self, engine: ModuleType) -> None:
        state = AccuracyState.before(8)
        self.refuse(
            "validator v, day 7, .* closed day takes no entries",
            lambda: engine.advance(state, ledger([("v", 7, 1, 1)]), 9, RULES),
        )

    def test_a_day_before_1970_and_an_empty_value(self, engine: ModuleType) -> None:
        self.refuse("day -1 is before 1970", lambda: engine.daily_points(ledger([("v", -1, 1, 1)])))
        rows = ledger([("v", 1, 1, 1)]).with_columns(aligned_q10=pl.lit(None, pl.Int64))
        self.refuse("1 values are empty", lambda: engine.daily_points(rows))

    def test_a_ledger_without_a_column(self, engine: ModuleType) -> None:
        self.refuse("column 'day' is missing", lambda: engine.daily_points(ledger([]).drop("day")))

    def test_entries_after_the_day_wait(self, engine: ModuleType) -> None:
        rows = [("v", 1, 100, 0), ("w", 9, 100, 0), ("v", 9, 100, 0)]
        assert engine.replay(ledger(rows), 8, RULES).frame.rows() == stepped_by_hand(rows[:1], 8)


def test_after_a_half_life_half_is_left() -> None:
    left = decayed_q10(10**9, RULES.half_life_days, RULES)
    assert 5 * 10**8 - 50 < left <= 5 * 10**8
