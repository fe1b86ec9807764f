"""Engines and sessions on SQLite (default) and PostgreSQL, with the pragmas that make SQLite behave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.orm import Session, sessionmaker

from sigma_core.errors import SigmaError, Unavailable

BUSY_TIMEOUT_MS = 5_000
READ_ONLY = "sigma_read_only"
"""Execution option of an engine whose transactions only read: on SQLite they then never wait for a writer."""


def _translate(context: ExceptionContext) -> None:
    """Turn what an operator can act on (locked, full, unreachable) into `Unavailable`, in one place for every query."""
    text = str(context.original_exception).lower()
    if "database is locked" in text:
        message, hint = "the database is locked by another process", "wait for it to finish, then try again"
    elif "disk is full" in text or "no space left" in text:
        message, hint = "the disk that holds the database is full", "free some space; nothing was half-written"
    elif "unable to open database file" in text or "readonly database" in text or "disk i/o error" in text:
        message, hint = "the database file cannot be opened or written", "check SIGMA_HOME and its permissions"
    elif context.is_disconnect or "connection refused" in text:
        message, hint = "the database cannot be reached", "check that it runs and that its URL is right"
    else:
        return
    context.chained_exception = Unavailable(message, code="DATABASE_UNAVAILABLE", hint=hint)


def open_engine(url: str) -> Engine:
    """An engine for ``url``; ``postgresql://`` means psycopg 3.

    Raises SigmaError when the URL cannot be parsed or names another database, Unavailable (later, per query) when the
    database cannot be used.
    """
    try:
        parsed = make_url(url)
    except Exception:
        raise SigmaError("the database URL cannot be parsed", code="SETTINGS_INVALID") from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        engine = create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    elif backend == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            _make_folder(Path(parsed.database).parent)
        engine = create_engine(parsed)
        _configure_sqlite(engine)
    else:
        raise SigmaError(f"database {backend!r} is not supported: use sqlite or postgresql", code="SETTINGS_INVALID")
    event.listen(engine, "handle_error", _translate)
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Unavailable(f"{folder}: {error.strerror}", hint="check SIGMA_HOME and its permissions") from None


def _configure_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        # The driver's own transaction control is off: `begin` below starts every transaction.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A transaction that reads and then writes would otherwise fail with "database is locked" instead of waiting.
        reading = connection.get_execution_options().get(READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def session_factory(engine: Engine, *, read_only: bool = False) -> sessionmaker[Session]:
    """Sessions whose objects stay readable after commit; ``read_only`` ones never wait for a writer."""
    return sessionmaker(engine.execution_options(**{READ_ONLY: read_only}), expire_on_commit=False)
