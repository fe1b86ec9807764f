"""The weights of the next epoch, from what the ledgers have (`sigma_core.lifecycle.booking`): checked, computed twice, published."""

from __future__ import annotations

import polars as pl
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sigma_core.assembly.weights import WeightRow, WeightsSnapshot
from sigma_core.canonical import sha256_of
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.epoch_tables import keep_epoch_table
from sigma_core.lifecycle.lake import write_parquet
from sigma_core.lifecycle.panels import load_snapshot
from sigma_core.lifecycle.standing_state import accuracy_today, check_booked_lines, reputation_today
from sigma_core.standing import weights, weights_duckdb
from sigma_core.standing.epoch import WeightsEpoch
from sigma_core.standing.ledger import LedgerInvalid
from sigma_core.storage.protocol import (
    AccuracyEntryRow,
    ReputationEntryRow,
    ValidatorRow,
    WeightEpochRow,
)
from sigma_core.timestamps import day_number, utc_now

ROUNDS_PER_TRANSACTION = 200

WEIGHTS_TABLE = {
    "epoch": pl.Int64,
    "day": pl.Int64,
    "validator_id": pl.String,
    "stake_micro_usd": pl.Int64,
    "accuracy_ppm": pl.Int64,
    "reputation_ppm": pl.Int64,
    "weight": pl.Int64,
    "capped": pl.Boolean,
}


class EnginesDisagree(SigmaError):
    """Polars and DuckDB gave different integers; nothing is published."""

    code = "ENGINES_DISAGREE"


def check_ledgers(deployment: Deployment) -> None:
    """Hold every line of both ledgers against what it rests on. Raises LedgerInvalid, naming the first broken one."""
    with deployment.read_sessions() as session:
        check_booked_lines(deployment, (0, 0), _high_water(session))


def _high_water(session: Session) -> tuple[int, int]:
    """Serial numbers of the last lines of the accuracy and the reputation ledger; 0 for none."""
    return (
        session.scalar(select(func.max(AccuracyEntryRow.id))) or 0,
        session.scalar(select(func.max(ReputationEntryRow.id))) or 0,
    )


def publish_weights(deployment: Deployment) -> WeightEpochRow:
    """Publish the next epoch, or return the newest when nothing that shapes the weights has changed since.

    Raises LedgerInvalid for a ledger line or a validator that breaks a rule, for a day before that of the newest epoch and when nobody
    has weight, and EnginesDisagree when the two engines differ: the previous epoch then stays in force.
    """
    policy = deployment.policy
    day = day_number(utc_now())
    with deployment.read_sessions() as session:
        high_water = _high_water(session)
        validators = _validators(session)
        newest = session.scalar(select(WeightEpochRow).order_by(WeightEpochRow.epoch.desc()).limit(1))
    weights.check_validators(validators, policy.standing)
    inputs_sha256 = sha256_of(
        {
            "day": day,
            "policyHash": policy.hash,
            "accuracyHighWater": high_water[0],
            "reputationHighWater": high_water[1],
            "validators": validators.to_dicts(),
        }
    )
    if newest is not None and newest.inputs_sha256 == inputs_sha256:
        return newest
    before = (newest.accuracy_high_water, newest.reputation_high_water) if newest is not None else (0, 0)
    if newest is not None and day < newest.day:
        raise LedgerInvalid(
            f"weights: today is day {day}, before day {newest.day} of epoch {newest.epoch}: check the clock"
        )
    check_booked_lines(deployment, before, high_water)
    accuracies = accuracy_today(deployment, high_water[0]).select("validator_id", "accuracy_ppm")
    reputations = reputation_today(deployment, high_water[1]).select("validator_id", "reputation_ppm")
    table = weights.governance_weights(validators, accuracies, reputations, policy.standing)
    second = weights_duckdb.governance_weights(validators, accuracies, reputations, policy.standing)
    if not table.frame.equals(second.frame) or table.operator_cap_ppm != second.operator_cap_ppm:
        raise EnginesDisagree("Polars and DuckDB disagree on the weights; the epoch is not published")
    if table.total_weight == 0:
        raise LedgerInvalid("weights: nobody has weight, so that no panel could be drawn; the epoch is not published")
    previous = WeightsEpoch.parse(deployment.blobs.get(newest.snapshot_sha256)) if newest is not None else None
    return _publish(deployment, previous, day, inputs_sha256, high_water, table)


def _validators(session: Session) -> pl.DataFrame:
    rows = session.scalars(select(ValidatorRow).order_by(ValidatorRow.id)).all()
    return pl.DataFrame(
        # Bonuses come with plugins and worlds; until a validator has any, both are zero.
        [(v.id, v.operator, v.family, v.stake_micro_usd, v.tier_ppm, 0, 0, v.status != "ACTIVE") for v in rows],
        schema=weights.VALIDATOR_COLUMNS,
        orient="row",
    )


def _publish(
    deployment: Deployment,
    previous: WeightsEpoch | None,
    day: int,
    inputs_sha256: str,
    high_water: tuple[int, int],
    table: weights.WeightTable,
) -> WeightEpochRow:
    number = previous.epoch + 1 if previous is not None else 1
    snapshot = WeightsSnapshot.of(
        number,
        deployment.policy.hash,
        (
            WeightRow(row["validator_id"], row["operator"], row["family"], row["weight"], row["reputation_ppm"])
            for row in table.frame.iter_rows(named=True)
        ),
    )
    document = WeightsEpoch.of(
        table,
        epoch=number,
        day=day,
        policy_hash=deployment.policy.hash,
        accuracy_high_water=high_water[0],
        reputation_high_water=high_water[1],
        merkle_root=snapshot.merkle_root,
        previous=previous,
    )
    keep_epoch_table(deployment, document)
    published = WeightEpochRow(
        epoch=number,
        day=day,
        policy_hash=deployment.policy.hash,
        inputs_sha256=inputs_sha256,
        accuracy_high_water=high_water[0],
        reputation_high_water=high_water[1],
        merkle_root=snapshot.merkle_root,
        total_weight=snapshot.total_weight,
        validator_count=len(document.rows),
        snapshot_sha256=deployment.blobs.put(document.canonical_bytes),
        published_at=utc_now(),
    )
    try:
        with deployment.sessions.begin() as session:
            session.add(published)
    except IntegrityError:
        # Another process has published this number meanwhile: that is the epoch, and ours is what the next call makes.
        with deployment.read_sessions() as session:
            return session.get_one(WeightEpochRow, number)
    return published


def newest_snapshot(deployment: Deployment) -> WeightsSnapshot:
    """The weights in force, checked against their published Merkle root. Raises SigmaError when they do not have it."""
    with deployment.read_sessions() as session:
        epoch = session.scalar(select(func.max(WeightEpochRow.epoch)))
    if epoch is None:
        raise SigmaError("no weights have been published", code="WEIGHTS_MISSING")
    return load_snapshot(deployment, epoch)


def write_weights_table(deployment: Deployment) -> int:
    """Export the weights of every epoch to the lake; returns the number of rows. A published epoch never changes, so only those that
    the file does not have yet are read. Raises Unavailable when the lake cannot be written."""
    path = deployment.settings.lake / "protocol" / "weights.parquet"
    kept = pl.DataFrame(schema=WEIGHTS_TABLE)
    if path.is_file() and dict(pl.read_parquet_schema(path)) == WEIGHTS_TABLE:
        kept = pl.read_parquet(path)
    with deployment.read_sessions() as session:
        epochs = session.execute(
            select(WeightEpochRow.epoch, WeightEpochRow.day, WeightEpochRow.snapshot_sha256)
            .where(WeightEpochRow.epoch > (kept["epoch"].max() or 0))
            .order_by(WeightEpochRow.epoch)
        ).all()
    frames = [
        pl.DataFrame(
            [
                (
                    epoch,
                    day,
                    row.validator_id,
                    row.stake_micro_usd,
                    row.accuracy_ppm,
                    row.reputation_ppm,
                    row.weight,
                    row.capped,
                )
                for row in WeightsEpoch.parse(deployment.blobs.get(sha256)).rows
            ],
            schema=WEIGHTS_TABLE,
            orient="row",
        )
        for epoch, day, sha256 in epochs
    ]
    frame = pl.concat([kept, *frames])
    if frames or not path.is_file():
        write_parquet(frame, path)
    return frame.height
