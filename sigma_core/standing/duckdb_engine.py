"""The second engine: in-memory DuckDB over Parquet files or Polars frames, for results that must equal Polars' bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

Source = pl.DataFrame | Path
"""A table: a frame, or a Parquet file."""


class ArrowStream:
    """A frame or relation as nothing but an Arrow stream. DuckDB reads a class of Polars' own through pyarrow, which SIGMA does
    without; Polars asks DuckDB's own class for more than its rows, and the process then ends with complaints."""

    def __init__(self, rows: pl.DataFrame | duckdb.DuckDBPyRelation) -> None:
        self._rows = rows

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._rows.__arrow_c_stream__(requested_schema)


@contextmanager
def connect(tables: Mapping[str, Source], threads: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in which every source of ``tables`` stands under its name. Frames become tables, as a recursive query
    reads them once for each step; Parquet stays a view."""
    config: dict[str, Any] = {"threads": threads} if threads else {}
    with duckdb.connect(config=config) as connection:
        for name, source in tables.items():
            if isinstance(source, Path):
                connection.read_parquet(str(source)).create_view(name)
            else:
                connection.register(f"{name}_stream", ArrowStream(source))
                connection.execute(f"CREATE TABLE {name} AS FROM {name}_stream")
        yield connection


def fetch(connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any] | None = None) -> pl.DataFrame:
    """The rows of ``query``, read whole."""
    return pl.DataFrame(ArrowStream(connection.sql(query, params=parameters)))
