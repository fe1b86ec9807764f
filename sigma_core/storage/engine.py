"""Engines and sessions on SQLite (default) and PostgreSQL, with the pragmas that make SQLite behave."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.orm import Session, sessionmaker

from sigma_core.errors import SigmaError, Unavailable

BUSY_TIMEOUT_MS = 5_000
CONNECT_TIMEOUT_S = 10
READ_ONLY = "sigma_read_only"
"""Execution option of an engine whose transactions only read: on SQLite they then never wait for a writer."""


def open_engine(url: str) -> Engine:
    """An engine for ``url``; ``postgresql://`` means psycopg 3.

    Raises SigmaError when the URL cannot be parsed or names another kind of database. A database that cannot be used
    raises Unavailable, later, from the query that meets it.
    """
    try:
        parsed = make_url(url)
    except Exception:  # its message would quote the URL, password included
        raise _wrong_url("a database URL cannot be parsed") from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        engine = _open_postgresql(parsed)
    elif backend == "sqlite":
        engine = _open_sqlite(parsed)
    else:
        raise _wrong_url(f"database {backend!r} is not supported: use sqlite or postgresql")
    event.listen(engine, "handle_error", _translate)
    return engine


def session_factory(engine: Engine, *, read_only: bool = False) -> sessionmaker[Session]:
    """Sessions whose objects outlive the commit; ``read_only`` ones never wait for a writer and cannot write."""
    if read_only:
        engine = read_only_engine(engine)
    return sessionmaker(engine, expire_on_commit=False)


def read_only_engine(engine: Engine) -> Engine:
    """The same engine and pool, with transactions that only read."""
    return engine.execution_options(**{READ_ONLY: True, "postgresql_readonly": True})


@contextmanager
def one_at_a_time(engine: Engine, what: str) -> Iterator[None]:
    """Hold the database's lock of that name: whoever else asks for it, in any process, waits.

    SQLite has no such locks and needs none: its writing transactions take turns anyway.
    """
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))"), {"what": what})
        yield


def _wrong_url(message: str) -> SigmaError:
    return SigmaError(
        message,
        code="SETTINGS_INVALID",
        hint="check SIGMA_DATABASE_URL, SIGMA_USAGE_DATABASE_URL and SIGMA_DAGSTER_DATABASE_URL",
    )


def _open_postgresql(url: URL) -> Engine:
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
        )
    except ImportError:
        raise _wrong_url("PostgreSQL needs its driver: install sigma-verification[postgres]") from None


def _open_sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        folder = Path(url.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise Unavailable(f"{folder}: {error.strerror}", hint="check SIGMA_HOME and its permissions") from None
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        # The driver's own transaction control is off: `begin` below starts every transaction.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        _use_write_ahead_log(cursor)
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = _reads_only(connection)
        # A connection keeps it from one transaction to the next.
        if connection.info.get(READ_ONLY, False) is not reading:
            connection.exec_driver_sql(f"PRAGMA query_only={'ON' if reading else 'OFF'}")
            connection.info[READ_ONLY] = reading
        # A transaction that reads and then writes would otherwise fail with "database is locked" instead of waiting.
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _use_write_ahead_log(cursor: Any) -> None:
    """Switch to WAL, waiting for others: the switch of a fresh file is the one step that ignores SQLite's own busy timeout."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1_000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _translate(context: ExceptionContext) -> Unavailable | None:
    """What an operator can act on (locked, full, unreachable) as `Unavailable`, in one place for every query."""
    error = context.sqlalchemy_exception
    if not isinstance(error, DBAPIError) or isinstance(error, DataError | IntegrityError | ProgrammingError):
        return None  # about the statement or its values, which may quote anything
    reason = str(error.orig).lower()
    place = _place(context.dialect.name, context.engine.url if context.engine else None)
    if "database is locked" in reason:
        message, hint = f"{place} is locked by another process", "wait for it to finish, then try again"
    elif "disk is full" in reason or "no space left" in reason:
        message, hint = f"the disk that holds {place} is full", "free some space; nothing was half-written"
    elif "not a database" in reason or "malformed" in reason:
        message, hint = f"{place} is damaged or no database", "restore it from a backup, or move it away"
    elif "readonly database" in reason and _reads_only(context.connection):
        return None  # our own bug, not a matter of permissions
    elif "unable to open database file" in reason or "readonly database" in reason or "disk i/o error" in reason:
        message, hint = f"{place} cannot be opened or written", "check SIGMA_HOME and its permissions"
    elif context.is_disconnect or context.connection is None:
        message, hint = f"{place} cannot be reached", "check that it runs and that its URL is right"
    else:
        return None
    return Unavailable(message, code="DATABASE_UNAVAILABLE", hint=hint)


def _place(backend: str, url: URL | None) -> str:
    """The database by name; never the whole URL, which may hold a password in more places than one."""
    if url is None:
        return f"the {backend} database"
    if backend == "sqlite":
        return f"the database {url.database}"
    return f"the database {url.database} at {url.host or 'the local socket'}"


def _reads_only(connection: Connection | None) -> bool:
    return connection is not None and bool(connection.get_execution_options().get(READ_ONLY))
