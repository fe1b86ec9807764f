"""The NumPy engine over day partitions: the same integers, exactly, also where its fast path does not hold."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_accuracy import Row, ledger, ledgers, random_ledger, stepped_by_hand

from sigma_core.policy import load_policy
from sigma_core.standing import accuracy, accuracy_numpy
from sigma_core.standing.accuracy_numpy import NumberedState
from sigma_core.standing.day_partitions import DayPartition, numbered, read_days, write_day
from sigma_core.standing.ledger import LedgerInvalid, day_limit_q10, state_limit_q10

RULES = load_policy().standing


@settings(max_examples=40, deadline=None)
@given(ledgers(), st.integers(95, 170))
def test_a_replay_equals_the_recurrence_by_hand(rows: list[Row], until: int) -> None:
    state = accuracy_numpy.replay_lines(ledger(rows), until, RULES)
    assert state.day == until
    assert state.frame.rows() == stepped_by_hand(rows, until)


@settings(max_examples=20, deadline=None)
@given(ledgers(), st.lists(st.integers(95, 170), min_size=1, max_size=4, unique=True).map(sorted))
def test_increments_equal_the_full_replay(rows: list[Row], cuts: list[int]) -> None:
    names = sorted({row[0] for row in rows})
    partitions = numbered(ledger(rows), names)
    state = NumberedState.before(90, len(names))
    for day in cuts:
        state = accuracy_numpy.advance(state, [part for part in partitions if part.day > state.day], day, RULES)
    whole = accuracy_numpy.replay(partitions, len(names), 90, cuts[-1], RULES)
    assert state.aligned.tolist() == whole.aligned.tolist()
    assert state.misaligned.tolist() == whole.misaligned.tolist()


def test_partitions_on_disk_give_what_lines_in_memory_give(tmp_path: Path) -> None:
    frame = random_ledger(20_000)
    names = frame["validator_id"].unique().sort().to_list()
    paths = []
    for part in numbered(frame, names):
        paths.append((part.day, tmp_path / f"{part.day}.npy"))
        write_day(paths[-1][1], part.lines)
    random.Random(1).shuffle(paths)
    state = accuracy_numpy.replay(read_days(paths), len(names), 0, 210, RULES)
    expected = accuracy.replay(frame, 210, RULES)
    assert accuracy_numpy.named(state, names).frame.equals(expected.frame)
    by_polars = accuracy.accuracy(expected, RULES)["accuracy_ppm"].to_list()
    assert accuracy_numpy.accuracy_ppm(state, RULES).tolist() == by_polars


class TestExactSums:
    """Each day's lines below break one of the fast path's two conditions, or neither by one unit."""

    def sums(self, aligned: list[int], misaligned: list[int]) -> tuple[int, int]:
        lines = np.array([[0] * len(aligned), aligned, misaligned], np.int32)
        sums = accuracy_numpy._DaySums(1)
        sums.add_up(1, lines)
        return int(sums.aligned[0]), int(sums.misaligned[0])

    @pytest.mark.parametrize("extra", [0, 1, 2])
    def test_a_carry_out_of_the_misaligned_part(self, extra: int) -> None:
        misaligned = [(1 << 25), (1 << 25) - 1, extra]
        assert self.sums([7, 8, 9], misaligned) == (24, sum(misaligned))

    @pytest.mark.parametrize("extra", [0, 1, 2])
    def test_a_sum_of_two_to_the_53(self, extra: int) -> None:
        aligned = [(1 << 26), (1 << 26) - 1, extra]
        assert self.sums(aligned, [3, 0, 5]) == (sum(aligned), 8)

    def test_a_carry_that_a_second_one_seems_to_undo(self) -> None:
        lines = np.array([[0, 1, 1], [0, 1, 0], [1 << 26, 5, 7]], np.int32)
        sums = accuracy_numpy._DaySums(2)
        sums.add_up(1, lines)
        assert (sums.aligned.tolist(), sums.misaligned.tolist()) == ([0, 1], [1 << 26, 12])

    @given(
        st.lists(
            st.tuples(st.integers(0, 3), st.integers(-(2**31) + 1, 2**31 - 1), st.integers(-(2**31) + 1, 2**31 - 1)),
            max_size=40,
        )
    )
    def test_any_32_bit_lines(self, rows: list[tuple[int, int, int]]) -> None:
        lines = np.array(rows, np.int32).reshape(-1, 3).T
        sums = accuracy_numpy._DaySums(4)
        sums.add_up(1, lines)
        for number in range(4):
            mine = [row for row in rows if row[0] == number]
            assert int(sums.aligned[number]) == sum(row[1] for row in mine)
            assert int(sums.misaligned[number]) == sum(row[2] for row in mine)


class TestRefusals:
    def test_an_unknown_validator(self) -> None:
        with pytest.raises(LedgerInvalid, match=r"line \('w', 1, 5, 5\) is of an unknown validator"):
            numbered(ledger([("v", 1, 5, 5), ("w", 1, 5, 5)]), ["v"])
        part = DayPartition(1, np.array([[1], [5], [5]], np.int32))
        with pytest.raises(LedgerInvalid, match="day 1: a line is of an unknown validator"):
            accuracy_numpy.replay([part], 1, 1, 2, RULES)

    @pytest.mark.parametrize(
        ("row", "rule"),
        [
            (("v", -1, 1, 1), "before 1970"),
            (("v", 1, 1 << 31, 1), "beyond 32 bits"),
            (("v", 1, None, 1), "has an empty value"),
        ],
    )
    def test_a_line(self, row: tuple[str, int, int, int], rule: str) -> None:
        with pytest.raises(LedgerInvalid, match=rule):
            numbered(ledger([row]), ["v"])

    def test_a_day_beyond_its_limit_and_a_side_below_zero(self) -> None:
        limit = day_limit_q10(RULES)
        with pytest.raises(LedgerInvalid, match=f"number 0, day 1, aligned_q10 {limit + 1}: .* at most {limit}"):
            accuracy_numpy.replay_lines(ledger([("v", 1, limit, 0), ("v", 1, 1, 0)]), 1, RULES)
        with pytest.raises(LedgerInvalid, match="day 2: misaligned_q10 falls below zero"):
            accuracy_numpy.replay_lines(ledger([("v", 1, 9, 9), ("v", 2, 0, -20), ("v", 3, 0, 90)]), 3, RULES)

    def test_an_entry_of_a_closed_day(self) -> None:
        with pytest.raises(LedgerInvalid, match="the state is of day 7: a closed day takes no entries"):
            accuracy_numpy.advance(NumberedState.before(8, 1), numbered(ledger([("v", 7, 1, 1)]), ["v"]), 9, RULES)

    @pytest.mark.parametrize("damage", ["cut", "other kind", "no header", "other shape"])
    def test_a_file_that_is_no_partition(self, tmp_path: Path, damage: str) -> None:
        path = tmp_path / "1.npy"
        write_day(path, np.zeros((3, 100), np.int32))
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:-1])
        elif damage == "other kind":
            np.save(path, np.zeros((3, 4), np.int64))
        elif damage == "no header":
            path.write_bytes(b"validator,day\n")
        else:
            np.save(path, np.zeros((2, 4), np.int32))
        with pytest.raises(LedgerInvalid, match=r"1\.npy: "):
            list(read_days([(1, path)]))


def test_the_largest_days_for_years_never_pass_the_state_limit() -> None:
    limit, day_limit = state_limit_q10(RULES), day_limit_q10(RULES)
    state = NumberedState(0, np.array([limit]), np.array([0]))
    days = (DayPartition(day, np.array([[0], [day_limit], [day_limit]], np.int32)) for day in range(1, 801))
    after = accuracy_numpy.advance(state, days, 800, RULES)
    assert limit - 50 < after.aligned[0] <= limit
    exact = 0
    for _ in range(800):
        exact = (exact * RULES.decay_per_day >> 30) + day_limit
    assert after.misaligned[0] == exact


def test_nobody_is_no_row() -> None:
    empty = accuracy_numpy.replay_lines(ledger([]), 5, RULES)
    assert empty.day == 5
    assert empty.frame.equals(pl.DataFrame(schema=empty.frame.schema))
