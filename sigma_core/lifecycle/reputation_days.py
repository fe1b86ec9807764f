"""The reputation ledger's day partitions (`sigma_core.lifecycle.day_files`), as Parquet: what each validator's events of a day amount to.

A day's events enter a reputation by these figures only, so that the order of lines within a day cannot matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import ClassVar

import polars as pl
from sqlalchemy import func, select, true

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.day_files import LINE_ID, LINES_AT_ONCE, DayFiles, alone_in, kept_index, write_days
from sigma_core.standing.ledger import AMOUNTS, LedgerInvalid
from sigma_core.standing.reputation import (
    DAILY_COLUMNS,
    EVENT_COLUMNS,
    ReputationState,
    added_counts,
    check_events,
    daily_counts,
)
from sigma_core.storage.protocol import ReputationEntryRow


@dataclass(frozen=True, slots=True)
class ReputationDays(DayFiles):
    """The partitions."""

    suffix: ClassVar[str] = "parquet"

    def between(self, after: int, until: int) -> pl.DataFrame:
        """What the events of the days after ``after``, up to ``until``, amount to (`DAILY_COLUMNS`), sorted by day and validator."""
        frames = [_read(path) for _, path in self.paths(after, until)]
        return pl.concat([pl.DataFrame(schema=DAILY_COLUMNS), *frames])


@contextmanager
def reputation_days(deployment: Deployment, up_to: int | None = None) -> Iterator[ReputationDays]:
    """The partitions, after the lines that they lack, up to the line ``up_to``, have been added. Nobody else changes them meanwhile.

    They may hold lines after ``up_to`` from before. Raises LedgerInvalid for a line that no engine is meant to see, Unavailable when
    the lake cannot be written.
    """
    with alone_in(deployment, "reputation_days") as folder:
        days = _kept(folder)
        with deployment.read_sessions() as session:
            if days.high_water > (session.scalar(select(func.max(ReputationEntryRow.id))) or 0):
                # Another ledger than the one that they were made from.
                days = ReputationDays(folder, 0, {})
        while (lines := reputation_lines(deployment, days.high_water, up_to, LINES_AT_ONCE)).height:
            days = _with(days, lines)
        yield days


def reputation_lines(
    deployment: Deployment, after: int = 0, up_to: int | None = None, at_most: int | None = None
) -> pl.DataFrame:
    """The reputation ledger after the line ``after``, up to the line ``up_to``: `EVENT_COLUMNS` and `LINE_ID`."""
    row = ReputationEntryRow
    with deployment.read_sessions() as session:
        lines = session.execute(
            select(row.validator_id, row.day, row.kind, row.detail, row.id)
            .where(row.id > after, row.id <= up_to if up_to is not None else true())
            .order_by(row.id)
            .limit(at_most)
        )
        return pl.DataFrame(
            [
                (line.validator_id, line.day, line.kind, line.detail.get(AMOUNTS.get(line.kind, "")), line.id)
                for line in lines
            ],
            schema={**EVENT_COLUMNS, LINE_ID: pl.Int64},
            orient="row",
        )


def _kept(folder: Path) -> ReputationDays:
    """What the index names; nothing, so that all is written anew, where it or one of its partitions is gone or damaged."""
    index = kept_index(folder)
    if index is not None:
        days = ReputationDays(folder, index["highWater"], index["lastLines"])
        if days.are_there:
            return days
    return ReputationDays(folder, 0, {})


def _with(days: ReputationDays, lines: pl.DataFrame) -> ReputationDays:
    """The partitions with ``lines`` added, which follow ``high_water``. Raises Unavailable and LedgerInvalid."""
    events = lines.drop(LINE_ID)
    check_events(ReputationState.before(0), events)
    last = dict(lines.group_by("day").agg(pl.col(LINE_ID).max()).iter_rows())
    added = ReputationDays(days.folder, int(lines[LINE_ID][-1]), dict(sorted((days.last_lines | last).items())))
    written = {}
    for (day,), counts in daily_counts(events).partition_by("day", as_dict=True).items():
        earlier = [_read(days.path(day))] if day in days.last_lines else []
        file = BytesIO()
        added_counts(pl.concat([*earlier, counts])).write_parquet(file)
        written[day] = file.getvalue()
    write_days(added, written)
    return added


def _read(path: Path) -> pl.DataFrame:
    """One partition. Raises LedgerInvalid for a file that is none."""
    try:
        frame = pl.read_parquet(path, hive_partitioning=False)
    except pl.exceptions.PolarsError as error:
        raise LedgerInvalid(f"{path}: not a partition of the ledger: {error}") from None
    if dict(frame.schema) != DAILY_COLUMNS:
        raise LedgerInvalid(f"{path}: not a partition of the ledger: its columns are {', '.join(frame.columns)}")
    return frame
