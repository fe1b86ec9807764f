"""The embedded event log stores what Dagster's own stores, and keeps its databases open."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage

from sigma_pipelines import event_log
from sigma_pipelines.event_log import MAX_RUNS_OPEN, BatchingSqliteEventLogStorage


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[BatchingSqliteEventLogStorage]:
    opened = BatchingSqliteEventLogStorage(str(tmp_path))
    yield opened
    opened.dispose()


def said(run: str, words: str) -> EventLogEntry:
    return EventLogEntry(  # type: ignore[no-untyped-call]
        error_info=None, level=logging.INFO, user_message=words, run_id=run, timestamp=1.0
    )


def words_of(storage: SqliteEventLogStorage, run: str) -> list[str]:
    return [entry.user_message for entry in storage.get_logs_for_run(run)]


def test_dagsters_own_class_reads_what_was_stored_for_many_runs(
    storage: BatchingSqliteEventLogStorage, tmp_path: Path
) -> None:
    runs = [f"run-{number}" for number in range(MAX_RUNS_OPEN + 3)]
    for words in ("first", "second"):
        for run in runs:
            storage.store_event(said(run, words))
    assert len(storage._engines) <= MAX_RUNS_OPEN + 1
    theirs = SqliteEventLogStorage(str(tmp_path))
    for run in runs:
        assert words_of(storage, run) == words_of(theirs, run) == ["first", "second"]


def test_what_another_process_stores_or_a_child_of_this_one_is_seen_at_once(
    storage: BatchingSqliteEventLogStorage, tmp_path: Path
) -> None:
    storage.store_event(said("run", "ours"))
    SqliteEventLogStorage(str(tmp_path)).store_event(said("run", "theirs"))
    child = os.fork()
    if child == 0:
        storage.store_event(said("run", "the child's"))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    storage.store_event(said("run", "ours again"))
    assert words_of(storage, "run") == ["ours", "theirs", "the child's", "ours again"]


def test_partitions_are_kept_and_the_storage_can_be_used_after_it_was_closed(
    storage: BatchingSqliteEventLogStorage, tmp_path: Path
) -> None:
    storage.add_dynamic_partitions("submission", ["a", "b"])
    storage.dispose()
    assert storage._engines == {}
    assert storage.get_dynamic_partitions("submission") == ["a", "b"]
    assert SqliteEventLogStorage(str(tmp_path)).has_dynamic_partition("submission", "b")


def test_a_wipe_leaves_nothing_and_the_storage_usable(storage: BatchingSqliteEventLogStorage) -> None:
    storage.store_event(said("run", "gone"))
    storage.wipe()
    assert words_of(storage, "run") == []
    storage.store_event(said("run", "new"))
    assert words_of(storage, "run") == ["new"]


def test_the_empty_database_that_runs_begin_with_is_no_run(
    storage: BatchingSqliteEventLogStorage, tmp_path: Path
) -> None:
    for run in ("one", "two"):
        storage.store_event(said(run, "begun"))
    [empty] = tmp_path.glob("empty-*.sqlite")
    assert sorted(storage.get_all_run_ids()) == ["one", "two"]
    storage.dispose()
    with sqlite3.connect(empty) as connection:
        assert connection.execute("SELECT count(*) FROM event_logs").fetchone() == (0,)


def test_a_run_whose_database_was_left_half_made_is_finished(storage: BatchingSqliteEventLogStorage) -> None:
    with sqlite3.connect(storage.path_for_shard("killed")) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    storage.store_event(said("killed", "gone on"))
    assert words_of(storage, "killed") == ["gone on"]


def test_a_table_that_is_not_there_is_looked_for_again(
    storage: BatchingSqliteEventLogStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert storage.has_table("dynamic_partitions")
    assert not storage.has_table("no_such_table")
    monkeypatch.setattr(event_log.SqliteEventLogStorage, "has_table", lambda *_: True)
    assert storage.has_table("no_such_table")
