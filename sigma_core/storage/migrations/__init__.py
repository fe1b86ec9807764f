"""Migrations of the two databases: the same revisions run on SQLite and PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from sqlalchemy import Engine, inspect, text

from sigma_core.errors import SigmaError
from sigma_core.storage.engine import BUSY_TIMEOUT_MS as BUSY_TIMEOUT_MS

Database = Literal["protocol", "usage"]
FOLDER = Path(__file__).parent


class DatabaseNewer(SigmaError):
    """The database was migrated by a newer SIGMA than this one."""

    code = "DATABASE_NEWER"


def revisions(database: Database) -> list[str]:
    """Revision ids in order. Files are named by their revision: ``0001_initial.py``."""
    return sorted(path.stem for path in (FOLDER / database / "versions").glob("[0-9]*.py"))


def current_revision(engine: Engine) -> str | None:
    """The revision that the database is at, or None when it is empty."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(engine: Engine, database: Database) -> None:
    """Bring the database to the newest revision. Safe to call at every start, and from several processes at once.

    Raises DatabaseNewer when it is ahead of this code.
    """
    known = revisions(database)
    current = current_revision(engine)
    if current == known[-1]:
        return
    if current is not None and current not in known:
        raise DatabaseNewer(
            f"the {database} database is at revision {current}, which this version of SIGMA does not know",
            hint="upgrade SIGMA, or point it at another database",
        )
    # alembic takes a quarter of a second to import, and hardly any start needs it.
    from alembic import command  # noqa: PLC0415

    with engine.connect() as connection:
        # One writer migrates; the others wait here and then find nothing to do.
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('sigma migrations'))"))
        else:
            connection.execute(text("SELECT 1"))
        config = alembic_config(database)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def alembic_config(database: Database):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """The alembic configuration of one database; the caller puts a connection into ``attributes``."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(FOLDER / database).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
