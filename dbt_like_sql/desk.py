"""The analyst's desk: SQL over the built models, which can read them and nothing else.

A query runs in an in-memory DuckDB of its own, whose file access is limited to the models' Parquet files and whose network access and
extensions are off; that configuration is locked before the query is parsed. One SELECT (or EXPLAIN) statement, a limit on
rows, time, memory and threads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from dbt_like_sql.compilation import sql_text
from sigma_core.errors import ExitCode, SigmaError
from sigma_core.standing.duckdb_engine import ArrowStream

ROWS, SECONDS, MEMORY, THREADS = 10_000, 30.0, "1GB", 2
"""Limits of one query unless it is given others."""

_READS = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}


class QueryRefused(SigmaError):
    """A query that is no single SELECT, fails, or wants what the desk does not give; names the reason."""

    code = "QUERY_REFUSED"


class QueryTooLong(SigmaError):
    """A query that ran into its time limit."""

    code = "QUERY_TOO_LONG"
    exit_code = ExitCode.NEGATIVE


class NothingBuilt(SigmaError):
    """There is no built model to ask."""

    code = "MODELS_MISSING"
    exit_code = ExitCode.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a query; ``cut`` when there were more than its limit."""

    frame: pl.DataFrame
    cut: bool


def tables(lake: Path) -> dict[str, Path]:
    """Name and file of each built model, by name. Raises NothingBuilt when there is none."""
    found = {path.stem: path for path in sorted((lake / "models").glob("[!.]*.parquet"))}
    if not found:
        raise NothingBuilt(
            f"{lake / 'models'}: no model is built", hint="run the Dagster job `standing`, as `sigma up` does"
        )
    return found


def query(lake: Path, sql: str, *, rows: int = ROWS, seconds: float = SECONDS) -> Answer:
    """The first ``rows`` rows of ``sql`` over the models of ``lake``.

    Raises QueryRefused, QueryTooLong after ``seconds``, NothingBuilt.
    """
    with _connection(tables(lake)) as connection:
        interrupt = threading.Timer(seconds, connection.interrupt)
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type not in _READS:
                raise QueryRefused("a query is one SELECT statement")
            interrupt.start()
            relation = connection.sql(sql)
            if relation is None:
                raise QueryRefused("a query is one SELECT statement")
            frame = pl.DataFrame(ArrowStream(relation.limit(rows + 1)))
        except duckdb.InterruptException:
            raise QueryTooLong(
                f"the query took more than {seconds:g} s", hint="ask for less, or raise --seconds"
            ) from None
        except duckdb.Error as error:
            raise QueryRefused(str(error).strip()) from None
        except pl.exceptions.PolarsError as error:
            raise QueryRefused(f"the result has a type that is not supported: {error}") from None
        finally:
            interrupt.cancel()
    return Answer(frame.head(rows), frame.height > rows)


@contextmanager
def _connection(models: dict[str, Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
        "memory_limit": MEMORY,
        "threads": THREADS,
    }
    with duckdb.connect(config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET temp_directory = ''")
        paths = ", ".join(sql_text(path) for path in models.values())
        for name, path in models.items():
            try:
                connection.execute(f'CREATE VIEW "{name}" AS FROM read_parquet({sql_text(path)})')
            except duckdb.Error as error:
                first_line = str(error).partition("\n")[0]
                raise QueryRefused(f"model {name}: {path}: {first_line}", hint="build it again") from None
        connection.execute(f"SET allowed_paths = [{paths}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
