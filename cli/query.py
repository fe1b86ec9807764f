"""``sigma query``: SQL over the marts of this deployment, to the terminal or to a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from cli.output import printable, stderr
from dbt_like_sql.desk import Answer, tables
from sigma_core.config import Settings
from sigma_core.errors import SigmaError
from sigma_core.storage.files import write_whole
from sigma_core.timestamps import iso_utc

TERMINAL_ROWS = 200
MAX_WIDTH = 4_000


@dataclass(frozen=True, slots=True)
class Exports:
    """Files to write the rows to."""

    csv: Path | None
    parquet: Path | None
    arrow: Path | None

    def write(self, frame: pl.DataFrame) -> list[Path]:
        """Write ``frame`` to each file, whole or not at all, and return them. Raises SigmaError for what a format cannot hold."""
        written = []
        for path, write in (
            (self.csv, frame.write_csv),
            (self.parquet, frame.write_parquet),
            (self.arrow, frame.write_ipc),
        ):
            if path is None:
                continue
            buffer = BytesIO()
            try:
                write(buffer)
            except pl.exceptions.PolarsError as error:
                raise SigmaError(f"{path}: the rows cannot be written so: {error}", code="EXPORT_FAILED") from None
            write_whole(path, buffer.getvalue())
            written.append(path)
        return written


def read_sql(sql: str, file: Path | None) -> str:
    """The query: the argument, or what stands in ``file``. Raises SigmaError for both or neither."""
    if bool(sql) == (file is not None):
        raise SigmaError("name either a query or --file", code="USAGE")
    return file.read_text(encoding="utf-8") if file is not None else sql


def as_json(answer: Answer) -> dict[str, Any]:
    """``{columns, rows[], cut}``; times in ISO 8601 UTC, whole numbers as such however large."""
    return {
        "columns": answer.frame.columns,
        "rows": [[_plain(value) for value in row] for row in answer.frame.iter_rows()],
        "cut": answer.cut,
    }


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return iso_utc(value) if value.tzinfo else value.isoformat()
        case date():
            return value.isoformat()
        case Decimal():
            return int(value) if value == value.to_integral_value() else str(value)
        case None | bool() | int() | str():
            return value
        case float():
            return value if value - value == 0 else str(value)  # JSON has no NaN and no infinity
    return str(value)


def print_answer(answer: Answer) -> None:
    """The rows as a table; a hint on stderr when there are more."""
    table = Table(show_edge=False)
    for name, kind in answer.frame.schema.items():
        table.add_column(printable(name), justify="right" if kind.is_numeric() else "left")
    for row in answer.frame.head(TERMINAL_ROWS).iter_rows():
        table.add_row(*("" if value is None else printable(str(_plain(value))) for value in row))
    # As wide as it is: a cell that is cut short can be neither read nor copied.
    Console(width=MAX_WIDTH, highlight=False).print(table, no_wrap=True)
    shown = min(answer.frame.height, TERMINAL_ROWS)
    if answer.cut or answer.frame.height > shown:
        stderr.print(f"[dim]{shown} rows shown; there are more (--limit, --csv, --json)[/]")


def listed_tables(settings: Settings) -> list[dict[str, Any]]:
    """Every table with its columns and number of rows."""
    listed = []
    for name, path in tables(settings.lake).items():
        schema = pl.read_parquet_schema(path)
        rows = pl.scan_parquet(path).select(pl.len()).collect().item()
        listed.append({"table": name, "rows": rows, "columns": list(schema)})
    return listed
