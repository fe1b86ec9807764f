"""Dagster's record of runs on SQLite, with its database kept open.

Dagster's class makes an engine and opens the database for each question, and waits for the disk when it closes it again. The embedded
``dagster.yaml`` names `KeptSqliteRunStorage`.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event

from sigma_pipelines.event_log import write_ahead


class KeptSqliteRunStorage(SqliteRunStorage):
    """The same rows in the same file, over connections that are pooled."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[int, Engine] = {}
        super().__init__(conn_string, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "KeptSqliteRunStorage":
        """As the parent's, which names its own class."""
        return cls.from_local(inst_data=inst_data, **config_value)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A transaction."""
        process = os.getpid()  # a connection must not be used on the other side of a fork
        if process not in self._engines:
            engine = create_engine(self._conn_string, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
            event.listen(engine, "connect", write_ahead)
            self._engines[process] = engine
        with self._engines[process].connect() as connection, connection.begin():
            yield connection

    def dispose(self) -> None:
        """Close what is open."""
        super().dispose()
        while self._engines:
            process, engine = self._engines.popitem()
            engine.dispose(close=process == os.getpid())
