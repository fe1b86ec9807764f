"""The Dagster instance: a folder with a ``dagster.yaml`` of ours, made on first use and never overwritten.

Its store is SQLite in that folder, or the PostgreSQL database of ``SIGMA_DAGSTER_DATABASE_URL``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import tempfile
from pathlib import Path

from sigma_core.config import Settings, SettingsError
from sigma_core.errors import Unavailable
from sigma_core.storage.engine import open_engine
from sigma_core.storage.files import write_whole

DAGSTER_YAML = """\
# Written by SIGMA on first use; yours to edit from now on.
telemetry:
  enabled: false
nux:
  enabled: false
{storage}\
run_coordinator:
  module: dagster._core.run_coordinator.queued_run_coordinator
  class: QueuedRunCoordinator
  config:
    # Batches fill a run; more runs at once would only wait for the same database.
    max_concurrent_runs: 2
    dequeue_interval_seconds: 1
run_monitoring:
  # Ends runs whose worker or host died.
  enabled: true
  poll_interval_seconds: 30
  # Slots of a provider's pool that a dead run held.
  free_slots_after_run_end_seconds: 60
retention:
  sensor:
    purge_after_days:
      skipped: 1
      success: 30
"""

ON_SQLITE = """\
run_storage:
  # Dagster's own, kept open.
  module: sigma_pipelines.run_storage
  class: KeptSqliteRunStorage
  config:
    base_dir: {history}
event_log_storage:
  # Dagster's own, kept open, with a batch's events stored in one transaction.
  module: sigma_pipelines.event_log
  class: BatchingSqliteEventLogStorage
  config:
    base_dir: {runs}
"""
ON_POSTGRESQL = """\
storage:
  custom:
    # Dagster's own, with pooled connections.
    module: sigma_pipelines.postgresql_storage
    class: PooledPostgresStorage
    config:
      postgres_url:
        env: SIGMA_DAGSTER_DATABASE_URL
"""


def prepare_dagster_home(settings: Settings) -> None:
    """Make the instance where there is none, and point ``DAGSTER_HOME`` at it.

    Raises Unavailable when it cannot be written or its database be reached, and SettingsError when ``SIGMA_DAGSTER_DATABASE_URL`` was
    set or left out after the instance had been made otherwise.
    """
    home = settings.dagster_home
    if settings.dagster_database_url is not None:
        _reach(settings.dagster_database_url.get_secret_value())
    try:
        if not (home / "dagster.yaml").exists():
            _make(home, ON_SQLITE if settings.dagster_database_url is None else ON_POSTGRESQL)
        _refuse_another_store(home, settings)
    except OSError as error:
        raise Unavailable(f"{home}: {error.strerror}", hint="check SIGMA_HOME and its permissions") from None
    os.environ["DAGSTER_HOME"] = str(home)


def _reach(url: str) -> None:
    if importlib.util.find_spec("dagster_postgres") is None:
        raise Unavailable("Dagster needs its driver for PostgreSQL", hint="install sigma-verification[postgres]")
    engine = open_engine(url)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _refuse_another_store(home: Path, settings: Settings) -> None:
    """Else runs would go, without a word, where nobody looks for them. A file that was edited to yet another store is its editor's."""
    variable, yaml = "SIGMA_DAGSTER_DATABASE_URL", (home / "dagster.yaml").read_text(encoding="utf-8")
    if settings.dagster_database_url is None and variable in yaml:
        raise SettingsError(f"{variable}: not set, and {home}/dagster.yaml keeps Dagster's store there")
    if settings.dagster_database_url is not None and "BatchingSqliteEventLogStorage" in yaml:
        raise SettingsError(
            f"{variable}: {home} was made with a SQLite store, whose runs would be left behind",
            hint="move that folder away to begin anew, or unset the variable",
        )


def _make(home: Path, storage: str) -> None:
    """Make the instance beside its place, with all its databases, and move it there whole.

    Dagster makes each database in several steps; killed in between, it would find half a database at the next start and refuse it.
    """
    from dagster import DagsterInstance

    home.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = Path(tempfile.mkdtemp(dir=home.parent, prefix=".dagster."))
    try:
        (draft / "dagster.yaml").write_text(_yaml(draft, storage), encoding="utf-8")
        with DagsterInstance.from_config(str(draft)) as instance:
            # Each of the three stores is made at its first use.
            instance.get_runs_count()
            instance.get_dynamic_partitions("submission")
            instance.all_instigator_state()
        (draft / "dagster.yaml").write_text(_yaml(home, storage), encoding="utf-8")
        try:
            draft.rename(home)
        except OSError:
            # Somebody else's instance is there since; a folder with other things in it gets the settings alone.
            if not (home / "dagster.yaml").exists():
                write_whole(home / "dagster.yaml", _yaml(home, storage).encode())
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _yaml(home: Path, storage: str) -> str:
    history, runs = (json.dumps(str(folder)) for folder in (home / "history", home / "history" / "runs"))
    return DAGSTER_YAML.format(storage=storage.format(history=history, runs=runs))
