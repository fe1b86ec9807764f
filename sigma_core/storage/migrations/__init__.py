"""Migrations of the two databases: the same revisions run on SQLite and PostgreSQL.

A revision is named after its database and its number (``protocol_0001``), so that one database is never taken for the
other.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Engine, inspect, text

from sigma_core.errors import SigmaError
from sigma_core.storage.engine import one_at_a_time, read_only_engine

if TYPE_CHECKING:
    from alembic.config import Config

Database = Literal["protocol", "usage"]
FOLDER = Path(__file__).parent

_alembic = threading.Lock()
"""Alembic keeps the migration that runs in module globals."""


class DatabaseNewer(SigmaError):
    """The database was migrated by a newer SIGMA than this one."""

    code = "DATABASE_NEWER"


def revisions(database: Database) -> list[str]:
    """Revision ids, oldest first."""
    return sorted(path.stem for path in (FOLDER / database / "versions").glob(f"{database}_*.py"))


def current_revision(engine: Engine) -> str | None:
    """The revision that the database is at, or None when it is empty."""
    with read_only_engine(engine).connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(engine: Engine, database: Database) -> None:
    """Bring the database to the newest revision, or leave it as it is. Safe at every start, and in several processes.

    Raises DatabaseNewer when it is ahead of this code, SigmaError when it is the other database, Unavailable when it cannot
    be used.
    """
    known = revisions(database)
    current = current_revision(engine)
    if current == known[-1]:
        return
    if current is not None and current not in known:
        raise _foreign(database, current)
    # alembic takes a quarter of a second to import, and hardly any start needs it.
    from alembic import command  # noqa: PLC0415

    # One thread of one process migrates; the others wait here and then find nothing to do.
    with _alembic, one_at_a_time(engine, "sigma migrations"), engine.connect() as connection:
        connection.execute(text("SELECT 1"))  # begins the one transaction that holds it all
        config = alembic_config(database)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def alembic_config(database: Database) -> Config:
    """The alembic configuration of one database; the caller puts a connection into ``attributes``."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(FOLDER / database).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s")
    config.set_main_option("path_separator", "os")
    return config


def _foreign(database: Database, current: str) -> SigmaError:
    if not current.startswith(f"{database}_"):
        return SigmaError(
            f"the {database} database is set to a database that holds other tables (revision {current})",
            code="SETTINGS_INVALID",
            hint="check SIGMA_DATABASE_URL and SIGMA_USAGE_DATABASE_URL",
        )
    return DatabaseNewer(
        f"the {database} database is at revision {current}, which this version of SIGMA does not know",
        hint="upgrade SIGMA, or point it at another database",
    )
