"""The four standard tests of a column, and the query whose rows are the failures."""

# ruff: noqa: S608 — every name in a query is from the project's own files and matches `documents.Name`; values are quoted.

from __future__ import annotations

from dataclasses import dataclass

from dbt_like_sql.compilation import sql_text
from dbt_like_sql.documents import ColumnTest

SAMPLE_ROWS = 10


@dataclass(frozen=True, slots=True)
class ModelTest:
    """One test of one column of ``model``; ``test`` says which kind and against what."""

    model: str
    column: str
    test: ColumnTest

    @property
    def name(self) -> str:
        """Unique in its model: ``not_null_round_id``."""
        return f"{self.test.kind}_{self.column}"

    @property
    def description(self) -> str:
        """What holds when the test passes."""
        return {
            "unique": f"No two rows have the same {self.column}.",
            "not_null": f"Every row has a {self.column}.",
            "accepted_values": f"{self.column} is one of {', '.join(self.test.values)}.",
            "relationships": f"Every {self.column} is a {self.test.field} of {self.test.to}.",
        }[self.test.kind]


@dataclass(frozen=True, slots=True)
class ModelTestResult:
    """``failures`` is the number of rows that the test's query returns, as in dbt: duplicated values for unique, distinct
    wrong values for accepted_values, rows for the others. ``sample`` is the first of them as text, in ``columns``."""

    failures: int
    columns: list[str]
    sample: list[tuple[str | None, ...]]


def failing_rows(test: ModelTest) -> str:
    """The query whose rows are the failures."""
    model, column = f'"models"."{test.model}"', f'"{test.column}"'
    if test.test.kind == "not_null":
        return f"SELECT * FROM {model} WHERE {column} IS NULL"
    if test.test.kind == "relationships":
        parents = f'SELECT "{test.test.field}" FROM "models"."{test.test.to}" WHERE "{test.test.field}" IS NOT NULL'
        return f"SELECT * FROM {model} WHERE {column} IS NOT NULL AND {column} NOT IN ({parents})"
    counted = f"SELECT {column}, count(*) AS rows FROM {model} WHERE {column} IS NOT NULL GROUP BY ALL"
    if test.test.kind == "unique":
        return f"{counted} HAVING count(*) > 1 ORDER BY ALL"
    accepted = ", ".join(sql_text(value) for value in test.test.values)
    return f"{counted} HAVING CAST({column} AS VARCHAR) NOT IN ({accepted}) ORDER BY ALL"
