"""The embedded Dagster instance: a folder with a ``dagster.yaml`` of ours, made on first use and never overwritten."""

from __future__ import annotations

import json
import os

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
retention:
  sensor:
    purge_after_days:
      skipped: 1
      success: 30
"""


def prepare_dagster_home(settings: Settings) -> None:
    """Make the folder and its ``dagster.yaml`` where they are missing, and point ``DAGSTER_HOME`` at it.

    Raises Unavailable when it cannot be written.
    """
    home = settings.dagster_home
    config = home / "dagster.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not config.exists():
            write_whole(config, DAGSTER_YAML.format(runs=json.dumps(str(home / "history" / "runs"))).encode())
    except OSError as error:
        raise Unavailable(f"{home}: {error.strerror}", hint="check SIGMA_HOME and its permissions") from None
    os.environ["DAGSTER_HOME"] = str(home)
