"""The embedded Dagster instance: a folder with a ``dagster.yaml`` of ours, made on first use and never overwritten."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from sigma_core.config import Settings
from sigma_core.errors import Unavailable
from sigma_core.storage.files import write_whole

DAGSTER_YAML = """\
# Written by SIGMA on first use; yours to edit from now on.
telemetry:
  enabled: false
nux:
  enabled: false
event_log_storage:
  # Dagster's own, with a batch's events stored in one transaction.
  module: sigma_pipelines.event_log
  class: BatchingSqliteEventLogStorage
  config:
    base_dir: {runs}
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


def prepare_dagster_home(settings: Settings) -> None:
    """Make the instance where there is none, and point ``DAGSTER_HOME`` at it.

    Raises Unavailable when it cannot be written.
    """
    home = settings.dagster_home
    try:
        if not (home / "dagster.yaml").exists():
            _make(home)
    except OSError as error:
        raise Unavailable(f"{home}: {error.strerror}", hint="check SIGMA_HOME and its permissions") from None
    os.environ["DAGSTER_HOME"] = str(home)


def _make(home: Path) -> None:
    """Make the instance beside its place, with all its databases, and move it there whole.

    Dagster makes each database in several steps; killed in between, it would find half a database at the next start and refuse it.
    """
    from dagster import DagsterInstance

    home.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = Path(tempfile.mkdtemp(dir=home.parent, prefix=".dagster."))
    try:
        (draft / "dagster.yaml").write_text(_yaml(draft), encoding="utf-8")
        with DagsterInstance.from_config(str(draft)) as instance:
            # Each of the three stores is made at its first use.
            instance.get_runs_count()
            instance.get_dynamic_partitions("submission")
            instance.all_instigator_state()
        (draft / "dagster.yaml").write_text(_yaml(home), encoding="utf-8")
        try:
            draft.rename(home)
        except OSError:
            # Somebody else's instance is there since; a folder with other things in it gets the settings alone.
            if not (home / "dagster.yaml").exists():
                write_whole(home / "dagster.yaml", _yaml(home).encode())
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _yaml(home: Path) -> str:
    return DAGSTER_YAML.format(runs=json.dumps(str(home / "history" / "runs")))
