"""The accuracy ledger by day, with validators as numbers: the form in which tens of millions of lines are replayed.

One partition is one UTC day. On disk it is a NumPy file of int32 with the rows (validator number, aligned q10, misaligned q10),
read into one buffer that is used again for each day. Numbers index `validators`, in order of first appearance, so that they
never change. Within a day the order of lines does not matter to a sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sigma_core.standing.accuracy import check_columns
from sigma_core.standing.ledger import ACCURACY_COLUMNS, SIDES, LedgerInvalid

INT32_END = 1 << 31

Lines = NDArray[np.int32]
"""Shape (3, lines): validator numbers, aligned and misaligned q10."""


@dataclass(frozen=True, slots=True)
class DayPartition:
    """The lines of one day. ``lines`` may be a buffer that the next partition overwrites."""

    day: int
    lines: Lines


def numbered(ledger: pl.DataFrame, validators: Sequence[str]) -> list[DayPartition]:
    """``ledger`` (`ACCURACY_COLUMNS`) by day, in the order of days, validators as indices of ``validators``.

    Raises LedgerInvalid for missing columns or values, a day before 1970, points beyond 32 bits and a validator that is not there.
    """
    check_columns(ledger.columns)
    rows = ledger.select(*ACCURACY_COLUMNS)
    numbers = pl.DataFrame({"validator_id": validators}, schema={"validator_id": pl.String}).with_row_index("number")
    rows = rows.join(numbers, on="validator_id", how="left", maintain_order="left")
    for broken, rule in (
        (pl.any_horizontal(pl.col(list(ACCURACY_COLUMNS)).is_null()), "has an empty value"),
        (pl.col("day") < 0, "is of a day before 1970-01-01"),
        (pl.any_horizontal(pl.col(side).abs() >= INT32_END for side in SIDES), "has points beyond 32 bits"),
        (pl.col("number").is_null(), "is of an unknown validator"),
    ):
        found = rows.filter(broken)
        if found.height:
            raise LedgerInvalid(f"accuracy ledger: line {found.drop('number').row(0)} {rule}")
    by_day = rows.select("day", pl.col("number", *SIDES).cast(pl.Int32)).partition_by("day", as_dict=True)
    return [
        DayPartition(day, np.stack([frame[name].to_numpy() for name in ("number", *SIDES)]))
        for (day,), frame in sorted(by_day.items())
    ]


def day_bytes(lines: Lines) -> bytes:
    """The file of one day's lines."""
    file = BytesIO()
    np.save(file, np.ascontiguousarray(lines, dtype=np.int32), allow_pickle=False)
    return file.getvalue()


def write_day(path: Path, lines: Lines) -> None:
    """Write one day's lines to ``path``, as they stand."""
    path.write_bytes(day_bytes(lines))


class DayReader:
    """Reads partitions one after the other into one buffer."""

    def __init__(self) -> None:
        self._buffer = np.empty(0, np.int32)

    def read(self, path: Path) -> Lines:
        """The lines in ``path``, until the next call. Raises LedgerInvalid for a file that `write_day` did not write."""
        with path.open("rb") as file:
            try:
                version = np.lib.format.read_magic(file)
                shape, fortran, kind = np.lib.format.read_array_header_1_0(file)
            except ValueError as error:
                raise LedgerInvalid(f"{path}: not a partition of the ledger: {error}") from None
            if version != (1, 0) or fortran or kind != np.int32 or len(shape) != 2 or shape[0] != 3:
                raise LedgerInvalid(f"{path}: not a partition of the ledger: {kind} of shape {shape}")
            size = 3 * shape[1]
            if self._buffer.size < size:
                self._buffer = np.empty(size + size // 4, np.int32)
            lines = self._buffer[:size]
            if file.readinto(lines.data) != lines.nbytes:
                raise LedgerInvalid(f"{path}: the file ends before its {shape[1]} lines do")
        return lines.reshape(shape)


def read_days(paths: Sequence[tuple[int, Path]]) -> Iterator[DayPartition]:
    """The partitions in (day, file) order of ``paths``, each valid until the next is asked for."""
    reader = DayReader()
    for day, path in sorted(paths):
        yield DayPartition(day, reader.read(path))
