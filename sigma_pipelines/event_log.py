"""Storing a batch's materialisations: one transaction instead of three for each event.

Dagster's SQLite event log opens a connection and commits for every event, which is two thirds of the cost of a batched run.
`BatchingSqliteEventLogStorage` differs from it in `store_event_batch` alone, a method of its storage interface; the embedded
``dagster.yaml`` names it. PostgreSQL's storage batches by itself.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """Dagster's SQLite event log, with the materialisations of one run stored together."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "BatchingSqliteEventLogStorage":
        """As the parent's, which names its own class."""
        return cls(inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store ``events`` in the run's shard and in the index that asset pages read, or none of them."""
        one_asset = len({(event.run_id, event.get_dagster_event().asset_key) for event in events}) == 1
        if not one_asset or any(not event.get_dagster_event().is_step_materialization for event in events):
            super().store_event_batch(events)
            return
        inserts = [self.prepare_insert_event(event) for event in events]
        with self.run_connection(events[0].run_id) as connection:
            for insert in inserts:
                connection.execute(insert)
        with self.index_transaction() as connection:
            ids = [connection.execute(insert).lastrowid for insert in inserts]
            self._store_asset_event_tags(connection, events, ids)
            # The asset's own row keeps its last materialisation only.
            self._store_asset_event(connection, events[-1], ids[-1])


def store_materialisations(
    context: dg.AssetExecutionContext, materialisations: Sequence[dg.AssetMaterialization]
) -> None:
    """Store ``materialisations`` of this step's asset, as Dagster itself would have, in one go."""
    if not materialisations:
        return
    step_key = context.op_execution_context.get_step_execution_context().step.key
    entries = []
    for materialisation in materialisations:
        event = DagsterEvent(
            event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
            job_name=context.job_name,
            step_key=step_key,
            event_specific_data=StepMaterializationData(materialisation),
        )
        entries.append(
            EventLogEntry(  # type: ignore[no-untyped-call]
                error_info=None,
                user_message="",
                level=logging.INFO,
                run_id=context.run.run_id,
                timestamp=time.time(),
                step_key=step_key,
                job_name=context.job_name,
                dagster_event=event,
            )
        )
    context.instance.event_log_storage.store_event_batch(entries)
