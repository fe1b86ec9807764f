"""Each weights epoch as a table, for those who page through standing: made with the epoch, and never changed.

The published document (`sigma_core.standing.epoch`) is the truth; the table is its rows in Parquet, in the lake, under a name with the
document's hash. Where the file is gone, the document is read instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.lake import write_parquet
from sigma_core.standing.epoch import WeightsEpoch
from sigma_core.storage.protocol import WeightEpochRow

EPOCH_TABLE = {
    "epoch": pl.Int64,
    "validator_id": pl.String,
    "operator": pl.String,
    "family": pl.String,
    "rank": pl.Int64,
    "weight": pl.Int64,
    "accuracy_ppm": pl.Int64,
    "reputation_ppm": pl.Int64,
    "tier_ppm": pl.Int64,
    "stake_micro_usd": pl.Int64,
    "capped": pl.Boolean,
    "suspended": pl.Boolean,
    "change": pl.String,
}
"""Sorted by validator id. ``rank`` is 1 for the largest weight, and equal weights share one; ``change`` says why the row differs from
that of the epoch before, null where it does not."""


def keep_epoch_table(deployment: Deployment, document: WeightsEpoch) -> None:
    """Write the table of ``document``. Raises Unavailable when the lake cannot be written."""
    write_parquet(_table(document), _path(deployment, document.epoch, document.sha256))


def epoch_table(deployment: Deployment, epoch: WeightEpochRow) -> pl.DataFrame:
    """The table of a published epoch (`EPOCH_TABLE`). Raises BlobMissing or BlobCorrupt when it is neither in the lake nor in the blobs."""
    return _scan(deployment, epoch).collect()


def validator_epochs(deployment: Deployment, epochs: Sequence[WeightEpochRow], validator_id: str) -> pl.DataFrame:
    """The rows of one validator in ``epochs`` (`EPOCH_TABLE`), newest first. Raises as `epoch_table`."""
    tables = [_scan(deployment, epoch).filter(pl.col("validator_id") == validator_id) for epoch in epochs]
    return pl.concat([pl.LazyFrame(schema=EPOCH_TABLE), *tables]).collect().sort("epoch", descending=True)


def _scan(deployment: Deployment, epoch: WeightEpochRow) -> pl.LazyFrame:
    path = _path(deployment, epoch.epoch, epoch.snapshot_sha256)
    if path.is_file():
        return pl.scan_parquet(path, hive_partitioning=False)
    return _table(WeightsEpoch.parse(deployment.blobs.get(epoch.snapshot_sha256))).lazy()


def _path(deployment: Deployment, epoch: int, sha256: str) -> Path:
    return deployment.settings.lake / "standing" / "epochs" / f"{epoch}-{sha256[:16]}.parquet"


def _table(document: WeightsEpoch) -> pl.DataFrame:
    changes = {change.validator_id: change.explanation for change in document.changes}
    rows = [
        {**row.model_dump(by_alias=False), "epoch": document.epoch, "change": changes.get(row.validator_id)}
        for row in document.rows
    ]
    frame = pl.DataFrame(rows, schema={name: kind for name, kind in EPOCH_TABLE.items() if name != "rank"})
    rank = pl.col("weight").rank("min", descending=True).cast(pl.Int64)
    return frame.with_columns(rank=rank).select(*EPOCH_TABLE).sort("validator_id")
