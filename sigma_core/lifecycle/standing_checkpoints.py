"""States of closed days, kept in the lake so that a day's update does not replay years.

A checkpoint is a cache, by ledger and by the rules that it was computed under: the state after a closed day and the serial number
of the last line in it. Nobody relies on one: the check ``engines_agree`` replays everything without.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sigma_core.canonical import sha256_of
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.lake import write_parquet

_KEPT = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state ``frame`` after ``day``, of the lines with a serial number up to ``high_water``."""

    day: int
    high_water: int
    frame: pl.DataFrame


def _folder(deployment: Deployment, ledger: str) -> Path:
    rules = sha256_of(deployment.policy.standing.model_dump(mode="json"))
    return deployment.settings.lake / "standing" / f"{ledger}_state" / rules[:16]


def _place(path: Path) -> tuple[int, int]:
    """Day and serial number that a checkpoint's file is named after."""
    day, _, high_water = path.stem.partition("-")
    return int(day), int(high_water)


def newest_checkpoint(deployment: Deployment, ledger: str) -> Checkpoint | None:
    """The newest checkpoint; None when there is none."""
    found = [(*_place(path), path) for path in _folder(deployment, ledger).glob("*-*.parquet")]
    if not found:
        return None
    day, high_water, path = max(found)
    return Checkpoint(day, high_water, pl.read_parquet(path, hive_partitioning=False))


def keep_checkpoint(deployment: Deployment, ledger: str, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint`` and drop all but the newest few. Raises Unavailable when the lake cannot be written."""
    folder = _folder(deployment, ledger)
    path = folder / f"{checkpoint.day}-{checkpoint.high_water}.parquet"
    if path.exists():
        return
    write_parquet(checkpoint.frame, path)
    for old in sorted(folder.glob("*-*.parquet"), key=_place)[:-_KEPT]:
        old.unlink(missing_ok=True)
