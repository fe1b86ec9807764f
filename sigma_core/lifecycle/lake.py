"""The lake: the tables that analysts read, as Parquet, written whole from the two databases.

Readers open these files with in-memory DuckDB or Polars; nobody shares a database file. A table is replaced by rename, so a
reader sees the old one or the new one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, sessionmaker

from sigma_core.deployment import Deployment
from sigma_core.errors import Unavailable
from sigma_core.storage.protocol import (
    AccuracyEntryRow,
    CertificateRow,
    ReputationEntryRow,
    RoundRow,
    SeatRow,
    SubmissionRow,
    ValidatorRow,
)
from sigma_core.storage.usage import CallAttemptRow

UTC_MS = pl.Datetime("ms", "UTC")
Schema = dict[str, Any]

ROWS_PER_FETCH = 10_000


class LakeTable:
    """One Parquet table: a statement whose columns are in the order of ``schema``."""

    def __init__(self, source: str, name: str, schema: Schema, statement: Callable[[], Select[Any]]) -> None:
        self.source = source
        self.name = name
        self.schema = schema
        self.statement = statement

    def path(self, lake: Path) -> Path:
        """``<lake>/<source>/<name>.parquet``."""
        return lake / self.source / f"{self.name}.parquet"


TEXT, INTEGER, BOOLEAN = pl.String, pl.Int64, pl.Boolean

LAKE_TABLES: tuple[LakeTable, ...] = (
    LakeTable(
        "protocol",
        "submissions",
        {
            "submission_id": TEXT,
            "name": TEXT,
            "version": TEXT,
            "product_type": TEXT,
            "source_type": TEXT,
            "tree_hash": TEXT,
            "skill_hash": TEXT,
            "state": TEXT,
            "submitted_at": UTC_MS,
        },
        lambda: select(
            SubmissionRow.id,
            SubmissionRow.name,
            SubmissionRow.version,
            SubmissionRow.product_type,
            SubmissionRow.source_type,
            SubmissionRow.tree_hash,
            SubmissionRow.skill_hash,
            SubmissionRow.state,
            SubmissionRow.submitted_at,
        ).order_by(SubmissionRow.id),
    ),
    LakeTable(
        "protocol",
        "rounds",
        {
            "round_id": TEXT,
            "submission_id": TEXT,
            "round_number": INTEGER,
            "round_type": TEXT,
            "trigger_source": TEXT,
            "state": TEXT,
            "outcome": TEXT,
            "with_rejection": BOOLEAN,
            "scored": BOOLEAN,
            "weights_epoch": INTEGER,
            "policy_hash": TEXT,
            "facts_sha256": TEXT,
            "n_eff_ppm": INTEGER,
            "assurance_level": INTEGER,
            "diversity_degraded": BOOLEAN,
            "opened_at": UTC_MS,
            "decided_at": UTC_MS,
        },
        lambda: select(
            RoundRow.id,
            RoundRow.submission_id,
            RoundRow.number,
            RoundRow.round_type,
            RoundRow.trigger_source,
            RoundRow.state,
            RoundRow.outcome,
            RoundRow.with_rejection,
            RoundRow.scored,
            RoundRow.weights_epoch,
            RoundRow.policy_hash,
            RoundRow.facts_sha256,
            RoundRow.n_eff_ppm,
            RoundRow.assurance_level,
            RoundRow.diversity_degraded,
            RoundRow.opened_at,
            RoundRow.decided_at,
        ).order_by(RoundRow.id),
    ),
    LakeTable(
        "protocol",
        "seats",
        {
            "round_id": TEXT,
            "phase": INTEGER,
            "seat_number": INTEGER,
            "validator_id": TEXT,
            "family": TEXT,
            "operator": TEXT,
            "ticket_index": INTEGER,
            "status": TEXT,
            "verdict": TEXT,
            "score_ppm": INTEGER,
            "finding_count": INTEGER,
        },
        lambda: select(
            SeatRow.round_id,
            SeatRow.phase,
            SeatRow.number,
            SeatRow.validator_id,
            SeatRow.family,
            SeatRow.operator,
            SeatRow.ticket_index,
            SeatRow.status,
            SeatRow.verdict,
            SeatRow.score_ppm,
            SeatRow.finding_count,
        ).order_by(SeatRow.round_id, SeatRow.phase, SeatRow.number),
    ),
    LakeTable(
        "protocol",
        "validators",
        {
            "validator_id": TEXT,
            "operator": TEXT,
            "family": TEXT,
            "stake_micro_usd": INTEGER,
            "tier_ppm": INTEGER,
            "status": TEXT,
            "joined_at": UTC_MS,
        },
        lambda: select(
            ValidatorRow.id,
            ValidatorRow.operator,
            ValidatorRow.family,
            ValidatorRow.stake_micro_usd,
            ValidatorRow.tier_ppm,
            ValidatorRow.status,
            ValidatorRow.joined_at,
        ).order_by(ValidatorRow.id),
    ),
    LakeTable(
        "protocol",
        "accuracy_ledger",
        {
            "entry_key": TEXT,
            "validator_id": TEXT,
            "round_id": TEXT,
            "day": INTEGER,
            "aligned_q10": INTEGER,
            "misaligned_q10": INTEGER,
            "reason": TEXT,
            "truth_source": TEXT,
            "policy_hash": TEXT,
        },
        lambda: select(
            AccuracyEntryRow.entry_key,
            AccuracyEntryRow.validator_id,
            AccuracyEntryRow.round_id,
            AccuracyEntryRow.day,
            AccuracyEntryRow.aligned_q10,
            AccuracyEntryRow.misaligned_q10,
            AccuracyEntryRow.reason,
            AccuracyEntryRow.truth_source,
            AccuracyEntryRow.policy_hash,
        ).order_by(AccuracyEntryRow.id),
    ),
    LakeTable(
        "protocol",
        "reputation_ledger",
        {"entry_key": TEXT, "validator_id": TEXT, "day": INTEGER, "kind": TEXT, "detail": TEXT},
        lambda: select(
            ReputationEntryRow.entry_key,
            ReputationEntryRow.validator_id,
            ReputationEntryRow.day,
            ReputationEntryRow.kind,
            ReputationEntryRow.round_id,
        ).order_by(ReputationEntryRow.id),
    ),
    LakeTable(
        "protocol",
        "certificates",
        {
            "certificate_id": TEXT,
            "submission_id": TEXT,
            "round_id": TEXT,
            "status": TEXT,
            "payload_hash": TEXT,
            "issued_at": UTC_MS,
            "expires_at": UTC_MS,
        },
        lambda: select(
            CertificateRow.id,
            CertificateRow.submission_id,
            CertificateRow.round_id,
            CertificateRow.status,
            CertificateRow.payload_hash,
            CertificateRow.issued_at,
            CertificateRow.expires_at,
        ).order_by(CertificateRow.id),
    ),
    LakeTable(
        "usage",
        "call_attempts",
        {
            "attempt_id": INTEGER,
            "call_key": TEXT,
            "round_id": TEXT,
            "submission_id": TEXT,
            "phase": INTEGER,
            "validator_id": TEXT,
            "purpose": TEXT,
            "provider": TEXT,
            "model": TEXT,
            "model_revision": TEXT,
            "attempt_number": INTEGER,
            "state": TEXT,
            "latency_us": INTEGER,
            "uncached_in": INTEGER,
            "cache_read": INTEGER,
            "cache_write": INTEGER,
            "tokens_out": INTEGER,
            "reasoning": INTEGER,
            "usage_source": TEXT,
            "cost_micro_usd": INTEGER,
            "cost_source": TEXT,
            "created_at": UTC_MS,
        },
        lambda: select(
            CallAttemptRow.id,
            CallAttemptRow.call_key,
            CallAttemptRow.round_id,
            CallAttemptRow.submission_id,
            CallAttemptRow.phase,
            CallAttemptRow.validator_id,
            CallAttemptRow.purpose,
            CallAttemptRow.provider,
            CallAttemptRow.model,
            CallAttemptRow.model_revision,
            CallAttemptRow.attempt_number,
            CallAttemptRow.state,
            CallAttemptRow.latency_us,
            CallAttemptRow.uncached_in,
            CallAttemptRow.cache_read,
            CallAttemptRow.cache_write,
            CallAttemptRow.tokens_out,
            CallAttemptRow.reasoning,
            CallAttemptRow.usage_source,
            CallAttemptRow.cost_micro_usd,
            CallAttemptRow.cost_source,
            CallAttemptRow.created_at,
        ).order_by(CallAttemptRow.id),
    ),
)


def write_table(deployment: Deployment, table: LakeTable) -> pl.DataFrame:
    """Export one table to the lake and return it. Raises Unavailable when the lake cannot be written."""
    sessions = deployment.usage_sessions if table.source == "usage" else deployment.read_sessions
    batches = list(_batches(sessions, table))
    frame = pl.concat(batches) if batches else pl.DataFrame(schema=table.schema)
    write_parquet(frame, table.path(deployment.settings.lake))
    return frame


def _batches(sessions: sessionmaker[Session], table: LakeTable) -> Iterator[pl.DataFrame]:
    with sessions() as session:
        for partition in session.execute(table.statement()).partitions(ROWS_PER_FETCH):
            yield pl.DataFrame([tuple(row) for row in partition], schema=table.schema, orient="row")


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Replace the Parquet file at ``path`` by ``frame``, whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.")
        os.close(handle)
        try:
            frame.write_parquet(name)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(
            f"{path}: {error.strerror or error}", hint="check space and permissions of the lake"
        ) from None
