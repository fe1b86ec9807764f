"""The job ``transparency``: log and status lists published, and the monitor that notices what was changed."""

from __future__ import annotations

import dagster as dg
import pytest
from audit_world import World, checks_of
from sqlalchemy import select

from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.lifecycle.status_lists import list_file
from sigma_core.lifecycle.transparency import newest_checkpoint
from sigma_core.storage.protocol import LogCheckpointRow, LogEntryRow
from sigma_pipelines.defs.rounds.jobs import batch_tags


def run(world: World) -> dg.ExecuteInProcessResult:
    from sigma_pipelines.definitions import defs

    return defs.resolve_job_def("transparency").execute_in_process(
        instance=world.instance, run_config={"loggers": {"progress": {}}}, raise_on_error=False
    )


@pytest.fixture(scope="module")
def batch(world: World) -> list[str]:
    """Three submissions audited in one run."""
    submissions = sorted(world.submit() for _ in range(3))
    assert world.audit(**batch_tags(submissions[0], submissions[-1])).success
    return submissions


def test_a_batch_is_logged_under_one_checkpoint(world: World, batch: list[str]) -> None:
    newest = newest_checkpoint(world.deployment)
    assert newest is not None
    with world.deployment.read_sessions() as session:
        entries = list(session.scalars(select(LogEntryRow.subject).order_by(LogEntryRow.index)))
        checkpoints = list(session.scalars(select(LogCheckpointRow.size)))
    assert len(entries) == newest.size == 3
    assert checkpoints == [3]


def test_the_job_publishes_and_its_checks_pass(world: World, batch: list[str]) -> None:
    result = run(world)
    assert result.success
    assert checks_of(result) == {"log_is_whole": True, "status_lists_agree": True}
    assert list_file(world.deployment.settings.status_lists, 0, CertificateStatus.REVOKED).exists()


def test_a_tampered_log_and_a_tampered_list_are_noticed(world: World, batch: list[str]) -> None:
    run(world)
    entries = world.deployment.settings.transparency_log / "tile" / "entries" / "000.p" / "3"
    suspension = list_file(world.deployment.settings.status_lists, 0, CertificateStatus.SUSPENDED)
    kept = entries.read_bytes()
    entries.write_bytes(kept.replace(b"cert_", b"cret_", 1))
    try:
        noticed = checks_of(run(world))
    finally:
        entries.write_bytes(kept)
    assert noticed == {"log_is_whole": False, "status_lists_agree": True}
    suspension.write_bytes(b"{}")
    assert checks_of(run(world)) == {"log_is_whole": True, "status_lists_agree": True}  # publishing mended it
