"""The embedded instance keeps its record of runs open; it is the one that Dagster's own class keeps."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.runs import SqliteRunStorage

from cli.dagster_home import prepare_dagster_home
from sigma_core.config import load_settings
from sigma_pipelines.run_storage import KeptSqliteRunStorage


@pytest.fixture
def storage(tmp_path: Path) -> KeptSqliteRunStorage:
    return KeptSqliteRunStorage.from_local(str(tmp_path))


def run(name: str) -> dg.DagsterRun:
    return dg.DagsterRun(job_name="audit_round", run_id=name)


def test_the_embedded_instance_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    prepare_dagster_home(load_settings())
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.run_storage, KeptSqliteRunStorage)
    assert (tmp_path / "home" / "dagster" / "history" / "runs.db").exists()


def test_dagsters_own_class_sees_the_same_runs(storage: KeptSqliteRunStorage, tmp_path: Path) -> None:
    theirs = SqliteRunStorage.from_local(str(tmp_path))
    storage.add_run(run("ours"))
    theirs.add_run(run("theirs"))
    assert {each.run_id for each in storage.get_runs()} == {each.run_id for each in theirs.get_runs()}
    assert storage.get_runs_count() == 2
    storage.dispose()


def test_a_child_of_the_process_has_connections_of_its_own(storage: KeptSqliteRunStorage) -> None:
    storage.add_run(run("parent"))
    child = os.fork()
    if child == 0:
        storage.add_run(run("child"))
        storage.dispose()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    storage.add_run(run("parent again"))
    assert storage.get_runs_count() == 3
    storage.dispose()


def test_it_can_be_used_after_it_was_closed(storage: KeptSqliteRunStorage) -> None:
    storage.add_run(run("one"))
    storage.dispose()
    assert storage.has_run("one")
    storage.dispose()
