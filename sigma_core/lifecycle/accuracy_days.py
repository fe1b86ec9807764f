"""The accuracy ledger's day partitions (`sigma_core.lifecycle.day_files`), as NumPy files (`sigma_core.standing.day_partitions`).

`differing_days` holds them against the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from sqlalchemy import func, select, true

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.day_files import LINE_ID, LINES_AT_ONCE, DayFiles, alone_in, kept_index, write_days
from sigma_core.standing.day_partitions import DayPartition, DayReader, day_bytes, numbered, read_days
from sigma_core.standing.ledger import ACCURACY_COLUMNS, SIDES
from sigma_core.storage.protocol import AccuracyEntryRow


@dataclass(frozen=True, slots=True)
class AccuracyDays(DayFiles):
    """The partitions, and the validators in the order of their numbers."""

    suffix: ClassVar[str] = "npy"

    validators: tuple[str, ...]

    def between(self, after: int, until: int) -> Iterator[DayPartition]:
        """The partitions of the days after ``after``, up to ``until``, in order, each valid until the next is asked for."""
        return read_days(self.paths(after, until))

    def frames(self, until: int) -> Iterator[pl.DataFrame]:
        """All lines up to the day ``until`` as frames (`ACCURACY_COLUMNS`) of whole days, in order, of about `LINES_AT_ONCE`."""
        names = pl.Series(self.validators, dtype=pl.String)
        waiting: list[pl.DataFrame] = []
        for partition in self.between(-1, until):
            number, *sides = (row.astype(np.int64) for row in partition.lines)
            frame = pl.DataFrame({"validator_id": names.gather(number), **dict(zip(SIDES, sides, strict=True))})
            waiting.append(frame.with_columns(day=pl.lit(partition.day, pl.Int64)).select(*ACCURACY_COLUMNS))
            if sum(frame.height for frame in waiting) >= LINES_AT_ONCE:
                yield pl.concat(waiting)
                waiting = []
        if waiting:
            yield pl.concat(waiting)


@contextmanager
def accuracy_days(deployment: Deployment, up_to: int | None = None) -> Iterator[AccuracyDays]:
    """The partitions, after the lines that they lack, up to the line ``up_to``, have been added. Nobody else changes them meanwhile.

    They may hold lines after ``up_to`` from before. Raises LedgerInvalid for a line that a partition cannot hold, Unavailable when
    the lake cannot be written.
    """
    with alone_in(deployment, "accuracy_days") as folder:
        days = _kept(folder)
        with deployment.read_sessions() as session:
            if days.high_water > (session.scalar(select(func.max(AccuracyEntryRow.id))) or 0):
                # Another ledger than the one that they were made from.
                days = AccuracyDays(folder, 0, {}, ())
        while (lines := ledger_lines(deployment, days.high_water, up_to, LINES_AT_ONCE)).height:
            days = _with(days, lines)
        yield days


def ledger_lines(
    deployment: Deployment, after: int = 0, up_to: int | None = None, at_most: int | None = None
) -> pl.DataFrame:
    """The accuracy ledger after the line ``after``, up to the line ``up_to``: `ACCURACY_COLUMNS` and `LINE_ID`."""
    row = AccuracyEntryRow
    with deployment.read_sessions() as session:
        lines = session.execute(
            select(row.validator_id, row.day, row.aligned_q10, row.misaligned_q10, row.id)
            .where(row.id > after, row.id <= up_to if up_to is not None else true())
            .order_by(row.id)
            .limit(at_most)
        )
        return pl.DataFrame(
            [tuple(line) for line in lines], schema={**ACCURACY_COLUMNS, LINE_ID: pl.Int64}, orient="row"
        )


def differing_days(deployment: Deployment) -> list[str]:
    """Days and validators whose lines add up to something else in the partitions than in the ledger: must be empty.

    The database adds up; what is held against each other is the number of lines and both sums of each day and of each validator.
    """
    row = AccuracyEntryRow
    totals = (func.count(), func.sum(row.aligned_q10), func.sum(row.misaligned_q10))
    with accuracy_days(deployment) as days:
        by_validator = np.zeros((3, len(days.validators)), np.int64)
        kept: dict[str, tuple[int, ...]] = {}
        for partition in days.between(-1, days.last_day or 0):
            numbers, *sides = partition.lines
            np.add.at(by_validator[0], numbers, 1)
            for total, side in zip(by_validator[1:], sides, strict=True):
                np.add.at(total, numbers, side)
            kept[f"day {partition.day}"] = (numbers.size, *(int(side.sum(dtype=np.int64)) for side in sides))
        kept |= dict(
            zip(
                (f"validator {name}" for name in days.validators),
                map(tuple, by_validator.T.tolist()),
                strict=True,
            )
        )
        booked: dict[str, tuple[int, ...]] = {}
        with deployment.read_sessions() as session:
            for name, key in (("day", row.day), ("validator", row.validator_id)):
                statement = select(key, *totals).where(row.id <= days.high_water).group_by(key)
                booked |= {f"{name} {of}": tuple(map(int, sums)) for of, *sums in session.execute(statement)}
    return sorted({name for name, _ in kept.items() ^ booked.items()})


def _kept(folder: Path) -> AccuracyDays:
    """What the index names; nothing, so that all is written anew, where it or one of its partitions is gone or damaged."""
    index = kept_index(folder)
    if index is not None and isinstance(index.get("validators"), list):
        days = AccuracyDays(folder, index["highWater"], index["lastLines"], tuple(index["validators"]))
        if days.are_there:
            return days
    return AccuracyDays(folder, 0, {}, ())


def _with(days: AccuracyDays, lines: pl.DataFrame) -> AccuracyDays:
    """The partitions with ``lines`` added, which follow ``high_water``. Raises Unavailable and LedgerInvalid."""
    validators = tuple(dict.fromkeys((*days.validators, *lines["validator_id"].unique(maintain_order=True))))
    last = dict(lines.group_by("day").agg(pl.col(LINE_ID).max()).iter_rows())
    added = AccuracyDays(
        days.folder, int(lines[LINE_ID][-1]), dict(sorted((days.last_lines | last).items())), validators
    )
    reader = DayReader()
    written = {}
    for partition in numbered(lines.drop(LINE_ID), validators):
        day, content = partition.day, partition.lines
        if day in days.last_lines:
            content = np.concatenate([reader.read(days.path(day)), content], axis=1)
        written[day] = day_bytes(content)
    write_days(added, written, validators=validators)
    return added
