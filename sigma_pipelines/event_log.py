"""Dagster's event log, at less cost: connections are kept, and a batch's materialisations stored in one transaction.

Dagster's SQLite event log makes an engine, opens a database, compiles the statement and closes the database again for every event, and
commits each one by itself: that was most of a round. `BatchingSqliteEventLogStorage` stores the same rows; the embedded
``dagster.yaml`` names it. PostgreSQL's storage batches by itself.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect, text

from sigma_core.storage.files import create_private

MAX_RUNS_OPEN = 8
"""Databases of runs that a process keeps open, beside the index over all runs."""


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """Dagster's SQLite event log, with its databases kept open and the materialisations of one run stored together."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[tuple[int, str], Engine] = {}
        self._known_tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "BatchingSqliteEventLogStorage":
        """As the parent's, which names its own class."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """A transaction on the database of a run, or on the index: one at a time, as the parent has it."""
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._begin_run(shard)
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        """As the parent's, which loads every migration to see that a database has its tables."""
        with engine.connect() as connection:
            if _has_its_tables(connection):
                return
        super()._initdb(engine, for_index_shard)

    def _begin_run(self, run: str) -> None:
        """Give a new run its database: a copy of an empty one, which is made once for each release of Dagster."""
        place, empty = Path(self.path_for_shard(run)), Path(self._base_dir, f"empty-{dg.__version__}.sqlite")
        if place.exists():
            return
        if not empty.exists():
            draft = empty.with_suffix(f".{os.getpid()}")
            engine = create_engine(f"sqlite:///{draft}", poolclass=NullPool)
            super()._initdb(engine)
            draft.replace(empty)
        create_private(place, empty.read_bytes())

    def _engine(self, shard: str) -> Engine:
        key = os.getpid(), shard  # a connection must not be used on the other side of a fork
        engine = self._engines.pop(key, None)
        if engine is None:
            connect_args = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
            engine = create_engine(self.conn_string_for_shard(shard), pool_size=1, connect_args=connect_args)
            event.listen(engine, "connect", write_ahead)
            runs = [other for other in self._engines if other[0] == key[0] and other[1] != INDEX_SHARD_NAME]
            if len(runs) >= MAX_RUNS_OPEN:
                self._engines.pop(runs[0]).dispose()
        self._engines[key] = engine  # the one that was used last stands last
        return engine

    def has_table(self, table_name: str) -> bool:
        """Whether the index has this table. None is ever dropped, so what was found once is not looked for again."""
        if table_name not in self._known_tables and super().has_table(table_name):
            self._known_tables.add(table_name)
        return table_name in self._known_tables

    def wipe(self) -> None:
        """As the parent's, which removes the files of runs."""
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Close what is open."""
        super().dispose()
        self._close()

    def _close(self) -> None:
        with self._db_lock:
            while self._engines:
                (process, _), engine = self._engines.popitem()
                engine.dispose(close=process == os.getpid())

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


def _has_its_tables(connection: Connection) -> bool:
    """Whether Dagster is done with making them: it writes the revision last."""
    made = inspect(connection).has_table("alembic_version")
    return made and connection.scalar(text("SELECT version_num FROM alembic_version")) is not None


def write_ahead(connection: Any, _record: Any) -> None:
    """As Dagster's databases are once their tables are made, but before that too, and with the disk waited for at checkpoints alone: no
    kill loses anything, and the last events, which a power cut may take, are nothing that a round needs."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


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
