"""A ledger's day partitions in the lake: what the engines replay, so that nobody reads a whole ledger line by line.

Under ``<lake>/standing/<ledger>_days`` are the partitions, ``<day>-<last line>.<suffix>``, and ``index.json``, which names those that
count. A day that has more lines, late ones too, is written whole under a new name, then the index is, then what it no longer
names goes: a kill leaves the old partitions or the new ones. The ledger stays the truth: the folder may be removed at any time.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import orjson

from sigma_core.deployment import Deployment
from sigma_core.errors import Unavailable
from sigma_core.storage.files import write_whole

LINES_AT_ONCE = 200_000
INDEX = "index.json"
LINE_ID = "line_id"
"""The column with a ledger line's serial number."""


@dataclass(frozen=True, slots=True)
class DayFiles:
    """The ledger up to the line ``high_water`` (0 = empty): the serial number of the last line of each day."""

    suffix: ClassVar[str]

    folder: Path
    high_water: int
    last_lines: dict[int, int]

    @property
    def first_day(self) -> int | None:
        """The earliest day with lines."""
        return min(self.last_lines, default=None)

    @property
    def last_day(self) -> int | None:
        """The latest day with lines."""
        return max(self.last_lines, default=None)

    def last_line(self, day: int) -> int:
        """The serial number of the last line of all days up to ``day``; 0 for none."""
        return max((line for of, line in self.last_lines.items() if of <= day), default=0)

    def path(self, day: int) -> Path:
        """The partition of ``day``."""
        return self.folder / f"{day}-{self.last_lines[day]}.{self.suffix}"

    def paths(self, after: int, until: int) -> list[tuple[int, Path]]:
        """The days after ``after``, up to ``until``, in order, with their partitions."""
        return [(day, self.path(day)) for day in sorted(self.last_lines) if after < day <= until]

    @property
    def are_there(self) -> bool:
        """Whether no partition that counts is gone."""
        present = set(self.folder.iterdir())
        return all(self.path(day) in present for day in self.last_lines)


@contextmanager
def alone_in(deployment: Deployment, name: str) -> Iterator[Path]:
    """The folder ``<lake>/standing/<name>``, which nobody else changes meanwhile. Raises Unavailable when the lake cannot be written."""
    folder = deployment.settings.lake / "standing" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)


def kept_index(folder: Path) -> dict[str, Any] | None:
    """What ``index.json`` says: ``highWater``, ``lastLines`` as [day, line] pairs and whatever else was kept; None where it is gone or
    damaged."""
    try:
        index = orjson.loads((folder / INDEX).read_bytes())
        return {**index, "highWater": int(index["highWater"]), "lastLines": dict(index["lastLines"])}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def write_days(days: DayFiles, written: Mapping[int, bytes], **also: Any) -> None:
    """Write the partitions of the days ``written``, then the index of ``days`` with what else is to be kept, then remove what it does
    not name. Raises Unavailable when the lake cannot be written."""
    try:
        for day, content in written.items():
            write_whole(days.path(day), content)
        index = {"highWater": days.high_water, **also, "lastLines": list(days.last_lines.items())}
        write_whole(days.folder / INDEX, orjson.dumps(index))
        # Replaced partitions, and drafts of a killed run.
        for path in {*days.folder.iterdir()} - {days.folder / INDEX, *map(days.path, days.last_lines)}:
            path.unlink()
    except OSError as error:
        raise _unwritable(days.folder, error) from None


def _unwritable(folder: Path, error: OSError) -> Unavailable:
    return Unavailable(f"{folder}: {error.strerror or error}", hint="check space and permissions of the lake")
