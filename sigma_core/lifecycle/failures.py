"""Submissions that failed a stage of a batched run, until a run of their own has shown it."""

from __future__ import annotations

from sqlalchemy import select

from sigma_core.deployment import Deployment
from sigma_core.storage.protocol import StageFailureRow
from sigma_core.timestamps import utc_now

MAX_ERROR_CHARACTERS = 2_000


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


def failures_after(deployment: Deployment, last_id: int, limit: int) -> list[tuple[int, str, str]]:
    """Failures newer than ``last_id``: (id, submission id, run key), oldest first."""
    with deployment.read_sessions() as session:
        rows = session.execute(
            select(StageFailureRow.id, StageFailureRow.submission_id, StageFailureRow.run_key)
            .where(StageFailureRow.id > last_id)
            .order_by(StageFailureRow.id)
            .limit(limit)
        )
        return [(row.id, row.submission_id, row.run_key) for row in rows]
