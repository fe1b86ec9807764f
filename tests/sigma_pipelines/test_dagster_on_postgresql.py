"""With ``SIGMA_DAGSTER_DATABASE_URL`` Dagster keeps runs, events, partitions and sensors' states in PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from audit_world import ROUND_STAGES, World, metadata_of
from sqlalchemy.pool import QueuePool

from cli.dagster_home import prepare_dagster_home
from sigma_core.config import SettingsError, load_settings
from sigma_core.deployment import Deployment
from sigma_core.errors import Unavailable
from sigma_pipelines.materialisation import DEFER_EVENTS

VARIABLE = "SIGMA_DAGSTER_DATABASE_URL"


@pytest.fixture
def world(
    deployment: Deployment, new_postgres_url: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.setenv(VARIABLE, new_postgres_url())
    prepare_dagster_home(load_settings())
    with dg.DagsterInstance.get() as instance:
        yield World(deployment, instance, tmp_path)


def test_a_round_runs_and_its_events_are_there_alone(world: World) -> None:
    submission_id = world.submit()
    run = world.audit(submission_id)

    assert run.success
    assert world.stages_of(submission_id, run.run_id) == list(ROUND_STAGES)
    with psycopg.connect(os.environ[VARIABLE]) as connection:
        assert connection.execute("SELECT run_id, status FROM runs").fetchall() == [(run.run_id, "SUCCESS")]
        assert connection.execute("SELECT partition FROM dynamic_partitions").fetchall() == [(submission_id,)]
    home = world.deployment.settings.dagster_home
    assert [file.name for file in home.rglob("*.db")] == []


def test_a_batch_stores_a_materialisation_of_each_submission(world: World) -> None:
    first, second = world.submit(), world.submit()
    batch = world.audit(
        **DEFER_EVENTS,
        **{"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": second},
    )
    assert batch.success
    for submission_id in (first, second):
        assert world.stages_of(submission_id, batch.run_id) == list(ROUND_STAGES)
        assert metadata_of(world.materialisation("round_outcome", submission_id))


def test_connections_are_kept_and_the_password_is_in_no_file(world: World) -> None:
    for each in (world.instance.run_storage, world.instance.event_log_storage, world.instance.schedule_storage):
        assert isinstance(each._engine.pool, QueuePool)  # type: ignore[attr-defined]
        assert each._engine.url.drivername == "postgresql+psycopg2"  # type: ignore[attr-defined]
    yaml = (world.deployment.settings.dagster_home / "dagster.yaml").read_text()
    assert f"env: {VARIABLE}" in yaml
    assert "postgresql://" not in yaml


# What stands in the way


def test_a_store_that_was_made_on_sqlite_is_not_left_behind_without_a_word(
    home: Path, new_postgres_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_dagster_home(load_settings())
    monkeypatch.setenv(VARIABLE, new_postgres_url())
    with pytest.raises(SettingsError, match=rf"^{VARIABLE}: .*/dagster was made with a SQLite store"):
        prepare_dagster_home(load_settings())


def test_a_store_on_postgresql_needs_its_variable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(
        SettingsError, match=rf"^{VARIABLE}: not set, and .*/dagster/dagster.yaml keeps Dagster's store"
    ):
        prepare_dagster_home(load_settings())


def test_a_database_that_cannot_be_reached_is_named_before_anything_is_made(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"postgresql://sigma:hunter2@/dagster?host={home}")
    with pytest.raises(Unavailable, match="the database dagster at the local socket cannot be reached") as refusal:
        prepare_dagster_home(load_settings())
    assert "hunter2" not in str(refusal.value)
    assert not home.exists()


def test_another_kind_of_database_is_refused_by_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "mysql://sigma:hunter2@localhost/dagster")
    with pytest.raises(SettingsError, match=rf"^{VARIABLE}: .*postgresql://") as refusal:
        load_settings()
    assert "hunter2" not in str(refusal.value)
