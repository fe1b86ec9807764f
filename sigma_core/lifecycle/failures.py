"""Submissions that failed a stage of a batched run, until a run of their own has shown it; and those whose beacon round no relay gave,
until one does."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, true

from sigma_core.deployment import Deployment
from sigma_core.storage.protocol import StageFailureRow
from sigma_core.timestamps import utc_now

MAX_ERROR_CHARACTERS = 2_000
BEACON_STAGE = "beacon"
"""Not an asset: the wait of a round for its beacon."""


def note_failure(deployment: Deployment, *, submission_id: str, stage: str, run_key: str, error: str) -> None:
    """Record that a submission failed ``stage`` in the run ``run_key`` (once)."""
    with deployment.sessions.begin() as session:
        known = session.scalar(
            select(StageFailureRow.id).where(
                StageFailureRow.submission_id == submission_id,
                StageFailureRow.stage == stage,
                StageFailureRow.run_key == run_key,
            )
        )
        if known is None:
            session.add(
                StageFailureRow(
                    submission_id=submission_id,
                    stage=stage,
                    run_key=run_key,
                    error=error[:MAX_ERROR_CHARACTERS],
                    failed_at=utc_now(),
                )
            )


def failed_in_run(deployment: Deployment, run_key: str) -> frozenset[str]:
    """Submissions that some stage of this run has left out."""
    with deployment.read_sessions() as session:
        return frozenset(
            session.scalars(select(StageFailureRow.submission_id).where(StageFailureRow.run_key == run_key))
        )


def failures_after(
    deployment: Deployment, last_id: int, limit: int, *, stage: str | None = None, before: datetime | None = None
) -> list[tuple[int, str, str]]:
    """Failures newer than ``last_id`` and noted ``before``: (id, submission id, run key), oldest first; of ``stage``, or of every asset."""
    of_stage = StageFailureRow.stage != BEACON_STAGE if stage is None else StageFailureRow.stage == stage
    with deployment.read_sessions() as session:
        rows = session.execute(
            select(StageFailureRow.id, StageFailureRow.submission_id, StageFailureRow.run_key)
            .where(StageFailureRow.id > last_id, of_stage)
            .where(StageFailureRow.failed_at < before if before is not None else true())
            .order_by(StageFailureRow.id)
            .limit(limit)
        )
        return [(row.id, row.submission_id, row.run_key) for row in rows]
