"""SQL models in dbt's dialect on DuckDB and Parquet: ``ref()``, ``source()``, ``config()``, ``is_incremental()``, and the standard tests.

A model is ``models/<layer>/<name>.sql`` and its entry in a YAML file. Its SQL does not depend on the lake, so Jinja runs once, when
the project is loaded: ``ref('x')`` becomes ``"models"."x"`` and ``source('a', 'b')`` ``"a"."b"``. Building puts views over the
lake's Parquet files under these names, in an in-memory DuckDB, and writes ``<lake>/models/<name>.parquet``, whole or not at all.

An incremental model is built whole the first time, and again when its SQL is another than the one its file was built by (a hash
in the file's metadata says so); else its new rows replace those of the same key. Its file is in the order of that key.
"""

# ruff: noqa: S608 — every name in a query is from the project's own files and matches `documents.Name`; paths are quoted.

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import duckdb

from dbt_like_sql.column_tests import SAMPLE_ROWS, ModelTest, ModelTestResult, failing_rows
from dbt_like_sql.compilation import Model, SourceName, compile_model, sql_text
from dbt_like_sql.documents import DocumentFile, ModelError, SourceTable
from sigma_core.errors import Unavailable

__all__ = ["BuildResult", "Model", "ModelError", "ModelTest", "ModelTestResult", "Project"]

_SQL_HASH = "sigma_sql_sha256"
_ERROR_LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class BuildResult:
    """A built model: number of rows, (name, DuckDB type) of each column, wall seconds."""

    model: str
    row_count: int
    columns: list[tuple[str, str]]
    seconds: float


@dataclass(frozen=True, slots=True)
class Project:
    """Models in build order, sources and tests. Make it with `Project.load`."""

    models: dict[str, Model]
    sources: dict[SourceName, SourceTable]
    tests: list[ModelTest]

    @classmethod
    def load(cls, path: Path) -> Project:
        """The project in the folder ``path``. Raises ModelError, naming file, line and rule, for whatever is wrong in it."""
        files = [DocumentFile(file, str(file.relative_to(path))) for file in sorted(path.glob("models/**/*.yml"))]
        scripts: dict[str, Path] = {}
        for script in sorted(path.glob("models/**/*.sql")):
            if script.stem in scripts:
                raise ModelError(
                    f"{script.relative_to(path)}: model {script.stem} is also {scripts[script.stem].relative_to(path)}"
                )
            scripts[script.stem] = script
        sources: dict[SourceName, SourceTable] = {}
        for file in files:
            for at, group in enumerate(file.document.sources):
                for nth, table in enumerate(group.tables):
                    if (group.name, table.name) in sources:
                        place = file.at("sources", at, "tables", nth)
                        raise ModelError(f"{place}: source {group.name}.{table.name} is described twice")
                    sources[group.name, table.name] = table
        models: dict[str, Model] = {}
        for file in files:
            for at, document in enumerate(file.document.models):
                name, place = document.name, file.at("models", at)
                if name in models:
                    raise ModelError(f"{place}: model {name} is described twice")
                if name not in scripts:
                    raise ModelError(f"{place}: model {name}: there is no {name}.sql")
                script = scripts[name]
                models[name] = compile_model(script, str(script.relative_to(path)), document, scripts, sources)
        if undescribed := sorted(scripts.keys() - models.keys()):
            script = scripts[undescribed[0]]
            raise ModelError(f"{script.relative_to(path)}: model {script.stem} is described in no YAML file")
        tests = [test for file in files for test in _tests(file, models)]
        return cls({name: models[name] for name in _build_order(models)}, sources, tests)

    def build(self, lake: Path, select: Iterable[str] | None = None) -> list[BuildResult]:
        """Build the models named in ``select``, or all, each after those it refers to; others are read as they were built.

        Raises ModelError for an unknown model, a source that is missing or lacks a column, SQL that fails, and columns that
        are not those described; Unavailable when the lake cannot be read or written. A failed model keeps its old result.
        """
        chosen = set(self.models if select is None else select)
        if unknown := sorted(chosen - self.models.keys()):
            raise ModelError(f"there is no model {unknown[0]}", hint=f"models: {', '.join(self.models)}")
        with _duckdb() as connection:
            return [self._build(connection, lake, model) for name, model in self.models.items() if name in chosen]

    def run_test(self, test: ModelTest, lake: Path) -> ModelTestResult:
        """Run ``test`` on the built models. Raises ModelError for a model that is not built, or that cannot be compared."""
        return self.run_tests([test], lake)[0]

    def run_tests(self, tests: Iterable[ModelTest], lake: Path) -> list[ModelTestResult]:
        """As `run_test`, for many tests on one connection; results are in the order of ``tests``."""
        with _duckdb() as connection:
            return [_run_test(connection, test, lake) for test in tests]

    def _build(self, connection: duckdb.DuckDBPyConnection, lake: Path, model: Model) -> BuildResult:
        start = time.monotonic()
        for source in model.sources:
            _view_source(connection, lake, source, self.sources[source])
        for ref in model.refs:
            _view_model(connection, lake, ref)
        view, target = f'"models"."{model.name}"', _model_path(lake, model.name)
        # A name of its own, so that two builds of one model do not write into each other.
        written = target.with_name(f".{model.name}.{uuid.uuid4().hex}")
        try:
            if len(connection.extract_statements(model.sql)) != 1:
                raise ModelError(f"{model.path}: model {model.name}: a model is one SELECT statement")
            sql_hash = hashlib.sha256(model.sql.encode()).hexdigest()
            increment = model.unique_key is not None and _built_by(connection, target) == sql_hash
            if increment:
                connection.execute('CREATE SCHEMA IF NOT EXISTS "built"')
                this = f'"built"."{model.name}"'
                connection.execute(f"CREATE OR REPLACE VIEW {this} AS FROM read_parquet({sql_text(target)})")
            connection.execute(f"CREATE OR REPLACE VIEW {view} AS {model.incremental_sql if increment else model.sql}")
            columns = _columns(connection, view)
            if [name for name, _ in columns] != list(model.columns):
                raise ModelError(
                    f"{model.path}: model {model.name}: its columns are {', '.join(name for name, _ in columns)}; "
                    f"described are {', '.join(model.columns)}"
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            rows = f"FROM {view}"
            if increment:
                connection.execute(f'CREATE OR REPLACE TEMP TABLE "new rows" AS FROM {view}')
                rows = (
                    f'FROM {this} WHERE "{model.unique_key}" NOT IN (SELECT "{model.unique_key}" FROM "new rows") '
                    'UNION ALL BY NAME FROM "new rows"'
                )
            if model.unique_key is not None:
                rows = f'SELECT * FROM ({rows}) ORDER BY "{model.unique_key}"'
            ((row_count,),) = connection.execute(
                f"COPY ({rows}) TO {sql_text(written)} (FORMAT parquet, KV_METADATA {{{_SQL_HASH}: {sql_text(sql_hash)}}})"
            ).fetchall()
            written.replace(target)
        except (duckdb.IOException, OSError) as error:
            raise Unavailable(f"model {model.name}: {target}: {error}", hint="check space and permissions") from None
        except duckdb.Error as error:
            line = _ERROR_LINE.search(str(error))
            place = f"{model.path}:{line.group(1)}" if line else model.path
            raise ModelError(f"{place}: model {model.name}: {error}") from None
        finally:
            if written.exists():
                written.unlink()
        return BuildResult(model.name, row_count, columns, time.monotonic() - start)


def _built_by(connection: duckdb.DuckDBPyConnection, path: Path) -> str | None:
    """The hash of the SQL that the model's file was built by; None where there is no such file."""
    if not path.is_file():
        return None
    found = connection.execute(
        f"SELECT decode(value) FROM parquet_kv_metadata({sql_text(path)}) WHERE decode(key) = '{_SQL_HASH}'"
    ).fetchone()
    return str(found[0]) if found else None


def _tests(file: DocumentFile, models: dict[str, Model]) -> Iterator[ModelTest]:
    """The tests that ``file`` describes, checked against the models."""
    for at, document in enumerate(file.document.models):
        for nth, column in enumerate(document.columns):
            kinds = [test.kind for test in column.tests]
            for number, test in enumerate(column.tests):
                described = ModelTest(document.name, column.name, test)
                place = f"{file.at('models', at, 'columns', nth, 'tests', number)}: model {document.name}: test {described.name}"
                if test.kind in kinds[:number]:
                    raise ModelError(f"{place} is there twice")
                if test.kind == "relationships" and test.to not in models:
                    raise ModelError(f"{place}: ref('{test.to}'): there is no such model")
                if test.kind == "relationships" and test.field not in models[test.to].columns:
                    raise ModelError(f"{place}: model {test.to} has no column {test.field!r}")
                yield described


def _build_order(models: dict[str, Model]) -> list[str]:
    try:
        return list(TopologicalSorter({name: sorted(models[name].refs) for name in sorted(models)}).static_order())
    except CycleError as error:
        cycle = error.args[1][::-1]
        raise ModelError(
            f"{models[cycle[0]].path}: models refer to each other in a circle: {' → '.join(cycle)}"
        ) from None


@contextmanager
def _duckdb() -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB that fetches nothing from the network and reads times as UTC."""
    with duckdb.connect(
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    ) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute('CREATE SCHEMA "models"')
        yield connection


def _view_source(connection: duckdb.DuckDBPyConnection, lake: Path, source: SourceName, table: SourceTable) -> None:
    """A view of the source's described columns, each cast to its described type; other columns are not there."""
    name, path = ".".join(source), lake / source[0] / f"{source[1]}.parquet"
    if not path.is_file():
        raise ModelError(f"source {name}: there is no {path}")
    try:
        present = {column for column, _ in _columns(connection, f"read_parquet({sql_text(path)})")}
        if missing := [column.name for column in table.columns if column.name not in present]:
            raise ModelError(f"source {name}: {path} has no column {missing[0]!r}")
        casts = ", ".join(f'CAST("{column.name}" AS {column.data_type}) AS "{column.name}"' for column in table.columns)
        view = f'"{source[0]}"."{source[1]}"'
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{source[0]}"')
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT {casts} FROM read_parquet({sql_text(path)})")
    except duckdb.Error as error:
        raise ModelError(f"source {name}: {path}: {_first_line(error)}") from None


def _view_model(connection: duckdb.DuckDBPyConnection, lake: Path, name: str) -> None:
    path = _model_path(lake, name)
    if not path.is_file():
        raise ModelError(f"model {name} is not built: there is no {path}")
    try:
        connection.execute(f'CREATE OR REPLACE VIEW "models"."{name}" AS FROM read_parquet({sql_text(path)})')
    except duckdb.Error as error:
        raise ModelError(f"model {name}: {path}: {_first_line(error)}", hint="build it again") from None


def _run_test(connection: duckdb.DuckDBPyConnection, test: ModelTest, lake: Path) -> ModelTestResult:
    for model in {test.model, test.test.to or test.model}:
        _view_model(connection, lake, model)
    failing = failing_rows(test)
    try:
        ((failures,),) = connection.execute(f"SELECT count(*) FROM ({failing})").fetchall()
        sample = connection.sql(f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({failing}) LIMIT {SAMPLE_ROWS}")
        return ModelTestResult(failures, sample.columns, sample.fetchall())
    except duckdb.Error as error:
        raise ModelError(f"model {test.model}: test {test.name}: {error}") from None


def _first_line(error: duckdb.Error) -> str:
    """What is wrong, without the query that it was found in."""
    return str(error).partition("\n")[0]


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()]


def _model_path(lake: Path, name: str) -> Path:
    return lake / "models" / f"{name}.parquet"
