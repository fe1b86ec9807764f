"""Audit accuracy by NumPy, over numbered day partitions: the same integers as `sigma_core.standing.accuracy`, near memory speed.

**Exact sums by floating point.** A day's sums by validator come from `numpy.bincount`, which adds float64. Both sides go in one
pass, as aligned·2^26 + misaligned. For lines without a negative value the result is exact if

1. every sum is below 2^53: partial sums only grow, and rounding never takes one from 2^53 or above to below it; and
2. the misaligned parts of all sums add up to the misaligned points of all lines: a carry into the aligned part would lack
   2^26 for each.

Both are checked after the fact. Days with compensations, or that fail a check, are summed side by side; there the magnitudes
of all lines must stay below 2^53 together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sigma_core.policy import PPM, StandingRules
from sigma_core.standing.accuracy import AccuracyState
from sigma_core.standing.day_partitions import INT32_END, DayPartition, Lines, numbered
from sigma_core.standing.ledger import SIDES, LedgerInvalid, day_limit_q10, prior_q10, state_limit_q10

Integers = NDArray[np.int64]

_SHIFT = 26
_EXACT = 1 << 53


@dataclass(frozen=True, slots=True)
class NumberedState:
    """Decayed points after ``day``, by validator number. `advance` works in place."""

    day: int
    aligned: Integers
    misaligned: Integers

    @classmethod
    def before(cls, day: int, validators: int) -> NumberedState:
        """Nothing yet, on the eve of ``day``."""
        return cls(day - 1, np.zeros(validators, np.int64), np.zeros(validators, np.int64))

    @classmethod
    def of(cls, state: AccuracyState, validators: Sequence[str]) -> NumberedState:
        """``state`` by the numbers of ``validators``; who is not in it has nothing yet."""
        numbers = pl.DataFrame({"validator_id": validators}, schema={"validator_id": pl.String})
        frame = numbers.join(state.frame, on="validator_id", how="left", maintain_order="left").fill_null(0)
        return cls(state.day, *(frame[side].to_numpy(writable=True) for side in SIDES))


class _DaySums:
    """Sums of one day after the other; its buffers are as large as the largest day."""

    def __init__(self, validators: int) -> None:
        self._validators = validators
        self._numbers = np.empty(0, np.intp)
        self._packed = np.empty(0, np.float64)
        self._misaligned = np.empty(0, np.float64)
        self.aligned = np.empty(validators, np.int64)
        self.misaligned = np.empty(validators, np.int64)

    def add_up(self, day: int, lines: Lines) -> None:
        """Set ``aligned`` and ``misaligned``. Raises LedgerInvalid for an unknown number, and sums that are not exact."""
        count = lines.shape[1]
        if count > self._numbers.size:
            # A fresh page costs more than adding a line, so the buffers stay.
            self._numbers = np.empty(count, np.intp)
            self._packed, self._misaligned = np.empty(count, np.float64), np.empty(count, np.float64)
        numbers, packed, misaligned = self._numbers[:count], self._packed[:count], self._misaligned[:count]
        # Unsigned, a negative value is 2^31 or more: one pass tells all.
        highest = lines.view(np.uint32).max(axis=1, initial=0)
        if highest[0] >= self._validators and count:
            raise LedgerInvalid(f"accuracy ledger: day {day}: a line is of an unknown validator")
        np.copyto(numbers, lines[0])
        if max(highest[1:]) >= INT32_END:
            self._side_by_side(day, lines, numbers)
            return
        np.copyto(packed, lines[1])
        np.copyto(misaligned, lines[2])
        np.multiply(packed, float(1 << _SHIFT), out=packed)
        np.add(packed, misaligned, out=packed)
        sums = np.bincount(numbers, packed, self._validators)
        if sums.max(initial=0) < _EXACT:
            np.copyto(self.misaligned, sums, casting="unsafe")
            np.right_shift(self.misaligned, _SHIFT, out=self.aligned)
            np.bitwise_and(self.misaligned, (1 << _SHIFT) - 1, out=self.misaligned)
            narrow = np.int32 if int(highest[2]) * count < INT32_END else np.int64
            if int(self.misaligned.sum()) == int(lines[2].sum(dtype=narrow)):
                return
        self._side_by_side(day, lines, numbers)

    def _side_by_side(self, day: int, lines: Lines, numbers: NDArray[np.intp]) -> None:
        for side, sums in ((lines[1], self.aligned), (lines[2], self.misaligned)):
            if int(np.abs(side, dtype=np.int64).sum()) >= _EXACT:
                raise LedgerInvalid(f"accuracy ledger: day {day}: its {side.size} lines might sum past 53 bits")
            np.copyto(sums, np.bincount(numbers, side, self._validators), casting="unsafe")


def advance(
    state: NumberedState,
    partitions: Iterable[DayPartition],
    day: int,
    rules: StandingRules,
    validators: Sequence[str] | None = None,
) -> NumberedState:
    """The state after ``day``, from an earlier one and the partitions after it, in order; partitions after ``day`` wait.

    The arrays of ``state`` are stepped in place. Raises LedgerInvalid as `accuracy.advance` does, naming validators by their id in
    ``validators``, else by number.
    """
    limit, day_limit = state_limit_q10(rules), day_limit_q10(rules)
    aligned, misaligned, today = state.aligned, state.misaligned, state.day
    sums = _DaySums(aligned.size)

    def name_of(number: int) -> str:
        return f"number {number}" if validators is None else validators[number]

    def decay(until: int) -> None:
        for _ in range(today, until):
            for side in (aligned, misaligned):
                np.multiply(side, rules.decay_per_day, out=side)
                np.right_shift(side, rules.decay_bits, out=side)

    for partition in partitions:
        if partition.day > day:
            break
        if partition.day <= today:
            raise LedgerInvalid(
                f"accuracy ledger: day {partition.day}: the state is of day {today}: a closed day takes no entries"
            )
        sums.add_up(partition.day, partition.lines)
        decay(partition.day)
        today = partition.day
        for name, points, added in (
            (SIDES[0], aligned, sums.aligned),
            (SIDES[1], misaligned, sums.misaligned),
        ):
            if added.size and (added.max() > day_limit or added.min() < -limit):
                number = int(added.argmax() if added.max() > day_limit else added.argmin())
                raise LedgerInvalid(
                    f"accuracy ledger: validator {name_of(number)}, day {today}, {name} {added[number]}: a day's sum is at most "
                    f"{day_limit} and at least −{limit} q10"
                )
            np.add(points, added, out=points)
            if points.size and points.min() < 0:
                raise LedgerInvalid(
                    f"accuracy ledger: validator {name_of(int(points.argmin()))}, day {today}: {name} falls below zero"
                )
    decay(day)
    return NumberedState(day, aligned, misaligned)


def replay(
    partitions: Iterable[DayPartition], validators: int, first_day: int, day: int, rules: StandingRules
) -> NumberedState:
    """The state of ``validators`` numbers after ``day`` from all ``partitions``, of which none is before ``first_day``."""
    return advance(NumberedState.before(min(first_day, day + 1), validators), partitions, day, rules)


def replay_lines(ledger: pl.DataFrame, day: int, rules: StandingRules) -> AccuracyState:
    """As `accuracy.replay`, of lines in memory: the state of every validator with a line up to ``day``."""
    validators = ledger.filter(pl.col("day") <= day)["validator_id"].unique().sort().to_list()
    partitions = numbered(ledger.filter(pl.col("day") <= day), validators)
    first = partitions[0].day if partitions else day + 1
    return named(replay(partitions, len(validators), first, day, rules), validators)


def named(state: NumberedState, validators: Sequence[str]) -> AccuracyState:
    """``state`` with the ids of ``validators``, sorted by id, as the other engines have it."""
    frame = pl.DataFrame(
        {"validator_id": validators, "aligned_q10": state.aligned, "misaligned_q10": state.misaligned},
        schema={"validator_id": pl.String, "aligned_q10": pl.Int64, "misaligned_q10": pl.Int64},
    )
    return AccuracyState(state.day, frame.sort("validator_id"))


def accuracy_ppm(state: NumberedState, rules: StandingRules) -> Integers:
    """(A + K)·10^6 // (A + M + 2K) by validator number."""
    prior = prior_q10(rules)
    exact: Integers = (state.aligned + prior) * PPM // (state.aligned + state.misaligned + 2 * prior)
    return exact
