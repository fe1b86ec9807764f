"""The lake: the tables that analysts read, as Parquet, written whole from the two databases.

Readers open these files with in-memory DuckDB or Polars; nobody shares a database file. A table is replaced by rename, so a
reader sees the old one or the new one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy import Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session, sessionmaker

from sigma_core.deployment import Deployment
from sigma_core.errors import Unavailable
from sigma_core.storage.protocol import (
    AccuracyEntryRow,
    CertificateRow,
    PayoutEntryRow,
    PlantedCanaryRow,
    PluginUsageRow,
    ReputationEntryRow,
    RoundOverrideRow,
    RoundResolutionRow,
    RoundRow,
    SeatRow,
    SubmissionRow,
    ValidatorRow,
    ValidatorSkillUsageRow,
)
from sigma_core.storage.usage import CallAttemptRow

UTC_MS = pl.Datetime("ms", "UTC")
Schema = dict[str, Any]

ROWS_PER_FETCH = 10_000


class LakeTable:
    """One Parquet table: its columns by name, each with its type and where it comes from, in the order of ``order``."""

    def __init__(
        self,
        source: str,
        name: str,
        columns: Mapping[str, tuple[Any, InstrumentedAttribute[Any]]],
        *,
        order: tuple[InstrumentedAttribute[Any], ...],
    ) -> None:
        self.source = source
        self.name = name
        self.schema: Schema = {column: kind for column, (kind, _) in columns.items()}
        self.statement: Select[Any] = select(*(origin for _, origin in columns.values())).order_by(*order)

    def path(self, lake: Path) -> Path:
        """``<lake>/<source>/<name>.parquet``."""
        return lake / self.source / f"{self.name}.parquet"


TEXT, INTEGER, BOOLEAN = pl.String, pl.Int64, pl.Boolean

LAKE_TABLES: tuple[LakeTable, ...] = (
    LakeTable(
        "protocol",
        "submissions",
        {
            "submission_id": (TEXT, SubmissionRow.id),
            "name": (TEXT, SubmissionRow.name),
            "version": (TEXT, SubmissionRow.version),
            "product_type": (TEXT, SubmissionRow.product_type),
            "source_type": (TEXT, SubmissionRow.source_type),
            "tree_hash": (TEXT, SubmissionRow.tree_hash),
            "skill_hash": (TEXT, SubmissionRow.skill_hash),
            "state": (TEXT, SubmissionRow.state),
            "submitted_at": (UTC_MS, SubmissionRow.submitted_at),
        },
        order=(SubmissionRow.id,),
    ),
    LakeTable(
        "protocol",
        "rounds",
        {
            "round_id": (TEXT, RoundRow.id),
            "submission_id": (TEXT, RoundRow.submission_id),
            "round_number": (INTEGER, RoundRow.number),
            "round_type": (TEXT, RoundRow.round_type),
            "trigger_source": (TEXT, RoundRow.trigger_source),
            "state": (TEXT, RoundRow.state),
            "outcome": (TEXT, RoundRow.outcome),
            "with_rejection": (BOOLEAN, RoundRow.with_rejection),
            "scored": (BOOLEAN, RoundRow.scored),
            "truth": (TEXT, RoundRow.truth),
            "truth_source": (TEXT, RoundRow.truth_source),
            "weights_epoch": (INTEGER, RoundRow.weights_epoch),
            "policy_hash": (TEXT, RoundRow.policy_hash),
            "facts_sha256": (TEXT, RoundRow.facts_sha256),
            "n_eff_ppm": (INTEGER, RoundRow.n_eff_ppm),
            "assurance_level": (INTEGER, RoundRow.assurance_level),
            "diversity_degraded": (BOOLEAN, RoundRow.diversity_degraded),
            "opened_at": (UTC_MS, RoundRow.opened_at),
            "decided_at": (UTC_MS, RoundRow.decided_at),
        },
        order=(RoundRow.id,),
    ),
    LakeTable(
        "protocol",
        "round_resolutions",
        {
            "round_id": (TEXT, RoundResolutionRow.round_id),
            "number": (INTEGER, RoundResolutionRow.number),
            "truth": (TEXT, RoundResolutionRow.truth),
            "truth_source": (TEXT, RoundResolutionRow.truth_source),
            "actor": (TEXT, RoundResolutionRow.actor),
            "reason": (TEXT, RoundResolutionRow.reason),
            "resolved_at": (UTC_MS, RoundResolutionRow.resolved_at),
        },
        order=(RoundResolutionRow.round_id, RoundResolutionRow.number),
    ),
    LakeTable(
        "protocol",
        "round_overrides",
        {
            "round_id": (TEXT, RoundOverrideRow.round_id),
            "number": (INTEGER, RoundOverrideRow.number),
            "outcome": (TEXT, RoundOverrideRow.outcome),
            "actor": (TEXT, RoundOverrideRow.actor),
            "reason": (TEXT, RoundOverrideRow.reason),
            "overridden_at": (UTC_MS, RoundOverrideRow.overridden_at),
        },
        order=(RoundOverrideRow.round_id, RoundOverrideRow.number),
    ),
    LakeTable(
        "protocol",
        "seats",
        {
            "round_id": (TEXT, SeatRow.round_id),
            "phase": (INTEGER, SeatRow.phase),
            "seat_number": (INTEGER, SeatRow.number),
            "validator_id": (TEXT, SeatRow.validator_id),
            "family": (TEXT, SeatRow.family),
            "operator": (TEXT, SeatRow.operator),
            "ticket_index": (INTEGER, SeatRow.ticket_index),
            "status": (TEXT, SeatRow.status),
            "verdict": (TEXT, SeatRow.verdict),
            "score_ppm": (INTEGER, SeatRow.score_ppm),
            "finding_count": (INTEGER, SeatRow.finding_count),
        },
        order=(
            SeatRow.round_id,
            SeatRow.phase,
            SeatRow.number,
        ),
    ),
    LakeTable(
        "protocol",
        "planted_canaries",
        {
            "round_id": (TEXT, PlantedCanaryRow.round_id),
            "phase": (INTEGER, PlantedCanaryRow.phase),
            "seat_number": (INTEGER, PlantedCanaryRow.seat_number),
            "validator_id": (TEXT, PlantedCanaryRow.validator_id),
            "family": (TEXT, PlantedCanaryRow.family),
            "item": (TEXT, PlantedCanaryRow.item),
            "answer": (TEXT, PlantedCanaryRow.answer),
        },
        order=(PlantedCanaryRow.round_id, PlantedCanaryRow.phase, PlantedCanaryRow.seat_number),
    ),
    LakeTable(
        "protocol",
        "plugin_usages",
        {
            "round_id": (TEXT, PluginUsageRow.round_id),
            "phase": (INTEGER, PluginUsageRow.phase),
            "seat_number": (INTEGER, PluginUsageRow.seat_number),
            "plugin_id": (TEXT, PluginUsageRow.plugin_id),
            "validator_id": (TEXT, PluginUsageRow.validator_id),
            "submission_id": (TEXT, PluginUsageRow.submission_id),
            "plugin_type": (TEXT, PluginUsageRow.plugin_type),
            "product_type": (TEXT, PluginUsageRow.product_type),
            "slot": (INTEGER, PluginUsageRow.slot),
            "verdict": (TEXT, PluginUsageRow.verdict),
            "used_at": (UTC_MS, PluginUsageRow.used_at),
        },
        order=(
            PluginUsageRow.round_id,
            PluginUsageRow.phase,
            PluginUsageRow.seat_number,
            PluginUsageRow.plugin_id,
        ),
    ),
    LakeTable(
        "protocol",
        "validator_skill_usages",
        {
            "round_id": (TEXT, ValidatorSkillUsageRow.round_id),
            "phase": (INTEGER, ValidatorSkillUsageRow.phase),
            "seat_number": (INTEGER, ValidatorSkillUsageRow.seat_number),
            "skill_id": (TEXT, ValidatorSkillUsageRow.skill_id),
            "validator_id": (TEXT, ValidatorSkillUsageRow.validator_id),
            "used_at": (UTC_MS, ValidatorSkillUsageRow.used_at),
        },
        order=(
            ValidatorSkillUsageRow.round_id,
            ValidatorSkillUsageRow.phase,
            ValidatorSkillUsageRow.seat_number,
            ValidatorSkillUsageRow.skill_id,
        ),
    ),
    LakeTable(
        "protocol",
        "validators",
        {
            "validator_id": (TEXT, ValidatorRow.id),
            "operator": (TEXT, ValidatorRow.operator),
            "family": (TEXT, ValidatorRow.family),
            "stake_micro_usd": (INTEGER, ValidatorRow.stake_micro_usd),
            "tier_ppm": (INTEGER, ValidatorRow.tier_ppm),
            "status": (TEXT, ValidatorRow.status),
            "joined_at": (UTC_MS, ValidatorRow.joined_at),
        },
        order=(ValidatorRow.id,),
    ),
    LakeTable(
        "protocol",
        "accuracy_ledger",
        {
            "entry_key": (TEXT, AccuracyEntryRow.entry_key),
            "validator_id": (TEXT, AccuracyEntryRow.validator_id),
            "round_id": (TEXT, AccuracyEntryRow.round_id),
            "day": (INTEGER, AccuracyEntryRow.day),
            "aligned_q10": (INTEGER, AccuracyEntryRow.aligned_q10),
            "misaligned_q10": (INTEGER, AccuracyEntryRow.misaligned_q10),
            "reason": (TEXT, AccuracyEntryRow.reason),
            "truth_source": (TEXT, AccuracyEntryRow.truth_source),
            "policy_hash": (TEXT, AccuracyEntryRow.policy_hash),
        },
        order=(AccuracyEntryRow.id,),
    ),
    LakeTable(
        "protocol",
        "reputation_ledger",
        {
            "entry_key": (TEXT, ReputationEntryRow.entry_key),
            "validator_id": (TEXT, ReputationEntryRow.validator_id),
            "day": (INTEGER, ReputationEntryRow.day),
            "kind": (TEXT, ReputationEntryRow.kind),
            "detail": (TEXT, ReputationEntryRow.round_id),
        },
        order=(ReputationEntryRow.id,),
    ),
    LakeTable(
        "protocol",
        "payout_ledger",
        {
            "entry_key": (TEXT, PayoutEntryRow.entry_key),
            "round_id": (TEXT, PayoutEntryRow.round_id),
            "validator_id": (TEXT, PayoutEntryRow.validator_id),
            "day": (INTEGER, PayoutEntryRow.day),
            "kind": (TEXT, PayoutEntryRow.kind),
            "amount_micro_usd": (INTEGER, PayoutEntryRow.amount_micro_usd),
            "policy_hash": (TEXT, PayoutEntryRow.policy_hash),
        },
        order=(PayoutEntryRow.id,),
    ),
    LakeTable(
        "protocol",
        "certificates",
        {
            "certificate_id": (TEXT, CertificateRow.id),
            "submission_id": (TEXT, CertificateRow.submission_id),
            "round_id": (TEXT, CertificateRow.round_id),
            "status": (TEXT, CertificateRow.status),
            "payload_hash": (TEXT, CertificateRow.payload_hash),
            "issued_at": (UTC_MS, CertificateRow.issued_at),
            "expires_at": (UTC_MS, CertificateRow.expires_at),
        },
        order=(CertificateRow.id,),
    ),
    LakeTable(
        "usage",
        "call_attempts",
        {
            "attempt_id": (INTEGER, CallAttemptRow.id),
            "call_key": (TEXT, CallAttemptRow.call_key),
            "round_id": (TEXT, CallAttemptRow.round_id),
            "submission_id": (TEXT, CallAttemptRow.submission_id),
            "phase": (INTEGER, CallAttemptRow.phase),
            "validator_id": (TEXT, CallAttemptRow.validator_id),
            "purpose": (TEXT, CallAttemptRow.purpose),
            "provider": (TEXT, CallAttemptRow.provider),
            "model": (TEXT, CallAttemptRow.model),
            "model_revision": (TEXT, CallAttemptRow.model_revision),
            "attempt_number": (INTEGER, CallAttemptRow.attempt_number),
            "state": (TEXT, CallAttemptRow.state),
            "latency_us": (INTEGER, CallAttemptRow.latency_us),
            "uncached_in": (INTEGER, CallAttemptRow.uncached_in),
            "cache_read": (INTEGER, CallAttemptRow.cache_read),
            "cache_write": (INTEGER, CallAttemptRow.cache_write),
            "tokens_out": (INTEGER, CallAttemptRow.tokens_out),
            "reasoning": (INTEGER, CallAttemptRow.reasoning),
            "usage_source": (TEXT, CallAttemptRow.usage_source),
            "cost_micro_usd": (INTEGER, CallAttemptRow.cost_micro_usd),
            "cost_source": (TEXT, CallAttemptRow.cost_source),
            "created_at": (UTC_MS, CallAttemptRow.created_at),
        },
        order=(CallAttemptRow.id,),
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
        for partition in session.execute(table.statement).partitions(ROWS_PER_FETCH):
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
