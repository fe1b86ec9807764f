"""SQL models in dbt's dialect on DuckDB and Parquet: ``ref()``, ``source()``, ``config()``, and the four standard tests.

A model is ``models/<layer>/<name>.sql`` and its entry in a YAML file. Jinja runs once, sandboxed, when the project is loaded,
as a model's SQL does not depend on the lake: ``ref('x')`` becomes ``"models"."x"`` and ``source('a', 'b')`` ``"a"."b"``. Building
puts views over the lake's Parquet files under these names, in an in-memory DuckDB, and writes ``<lake>/models/<name>.parquet``:
whole or not at all.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment

from dbt_like_sql.documents import ColumnTest, DocumentFile, ModelDocument, ModelError, SourceTable, by_name
from sigma_core.errors import Unavailable

SAMPLE_ROWS = 10

_FUNCTIONS = {"ref": 1, "source": 2, "config": 0}  # with their number of positional arguments
_ERROR_LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)

SourceName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Model:
    """One model. ``sql`` is what DuckDB runs; ``columns`` are name → description in order; ``layer`` is its folder."""

    name: str
    layer: str
    path: str
    sql: str
    description: str
    columns: dict[str, str]
    refs: tuple[str, ...]
    sources: tuple[SourceName, ...]


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
class BuildResult:
    """A built model: number of rows, (name, DuckDB type) of each column, wall seconds."""

    model: str
    row_count: int
    columns: list[tuple[str, str]]
    seconds: float


@dataclass(frozen=True, slots=True)
class TestResult:
    """``failures`` is the number of rows that the test's query returns, as in dbt: duplicated values for unique, distinct wrong
    values for accepted_values, rows for the others. ``sample`` holds the first of them, with these ``columns``."""

    failures: int
    columns: list[str]
    sample: list[tuple[Any, ...]]


class Project:
    """Models in build order, sources and tests. Make it with `Project.load`."""

    def __init__(self, models: dict[str, Model], sources: dict[SourceName, SourceTable], tests: list[ModelTest]) -> None:
        self.models = models
        self.sources = sources
        self.tests = tests

    @classmethod
    def load(cls, path: Path) -> Project:
        """The project in the folder ``path``. Raises ModelError, naming file, line and rule, for whatever is wrong in it."""
        files = [DocumentFile(file, str(file.relative_to(path))) for file in sorted(path.glob("models/**/*.yml"))]
        groups = by_name([group for file in files for group in file.document.sources], "source")
        sources = {
            (group.name, name): table
            for group in groups.values()
            for name, table in by_name(group.tables, f"source {group.name}: table").items()
        }
        for (group_name, name), table in sources.items():
            by_name(table.columns, f"source {group_name}.{name}: column")
        documents = by_name([model for file in files for model in file.document.models], "model")
        models: dict[str, Model] = {}
        for file in sorted(path.glob("models/**/*.sql")):
            shown, document = str(file.relative_to(path)), documents.get(file.stem)
            if file.stem in models:
                raise ModelError(f"{shown}: model {file.stem} is also {models[file.stem].path}")
            if document is None:
                raise ModelError(f"{shown}: model {file.stem} is described in no YAML file")
            models[file.stem] = _compile(file, shown, document, {path.stem for path in path.glob("models/**/*.sql")}, sources)
        if missing := sorted(documents.keys() - models.keys()):
            raise ModelError(f"model {missing[0]} is described, but there is no {missing[0]}.sql")
        tests = [
            ModelTest(name, column.name, test)
            for name, document in sorted(documents.items())
            for column in document.columns
            for test in column.tests
        ]
        _check_tests(tests, models)
        return cls({name: models[name] for name in _build_order(models)}, sources, tests)

    def build(self, lake: Path, select: Iterable[str] | None = None) -> list[BuildResult]:
        """Build the models named in ``select``, or all, each after those it refers to; others are read as they were built.

        Raises ModelError for an unknown model, a missing or different source, SQL that fails and columns that are not
        those described; Unavailable when the lake cannot be written. A model that fails leaves its old result in place.
        """
        chosen = set(self.models if select is None else select)
        if unknown := sorted(chosen - self.models.keys()):
            raise ModelError(f"there is no model {unknown[0]}", hint=f"models: {', '.join(self.models)}")
        with _duckdb() as connection:
            return [self._build(connection, lake, model) for name, model in self.models.items() if name in chosen]

    def _build(self, connection: duckdb.DuckDBPyConnection, lake: Path, model: Model) -> BuildResult:
        start = time.monotonic()
        for source in model.sources:
            self._view_source(connection, lake, source)
        for ref in model.refs:
            _view_model(connection, lake, ref)
        target = _model_path(lake, model.name)
        # A name of its own, so that two builds of one model do not write into each other.
        written = target.with_name(f".{model.name}.{uuid.uuid4().hex}")
        try:
            connection.execute(f'CREATE OR REPLACE VIEW "models"."{model.name}" AS {model.sql}')
            columns = _columns(connection, f'"models"."{model.name}"')
            if [name for name, _ in columns] != list(model.columns):
                raise ModelError(
                    f"{model.path}: model {model.name}: its columns are {', '.join(name for name, _ in columns)}; "
                    f"described are {', '.join(model.columns)}"
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            connection.execute(f'COPY (FROM "models"."{model.name}") TO {_quoted(written)} (FORMAT parquet)')
            ((row_count,),) = connection.execute(f"SELECT count(*) FROM read_parquet({_quoted(written)})").fetchall()
            written.replace(target)
        except (duckdb.IOException, OSError) as error:
            raise Unavailable(f"model {model.name}: {target} cannot be written: {error}") from None
        except duckdb.Error as error:
            line = _ERROR_LINE.search(str(error))
            place = f"{model.path}:{line.group(1)}" if line else model.path
            raise ModelError(f"{place}: model {model.name}: {error}") from None
        finally:
            written.unlink(missing_ok=True)
        return BuildResult(model.name, row_count, columns, time.monotonic() - start)

    def _view_source(self, connection: duckdb.DuckDBPyConnection, lake: Path, source: SourceName) -> None:
        """A view of the source's described columns, each cast to its described type."""
        name, path = ".".join(source), lake / source[0] / f"{source[1]}.parquet"
        if not path.is_file():
            raise ModelError(f"source {name}: there is no {path}")
        columns = self.sources[source].columns
        try:
            present = {column for column, _ in _columns(connection, f"read_parquet({_quoted(path)})")}
            if missing := [column.name for column in columns if column.name not in present]:
                raise ModelError(f"source {name}: {path} has no column {missing[0]!r}")
            casts = ", ".join(f'CAST("{column.name}" AS {column.data_type}) AS "{column.name}"' for column in columns)
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{source[0]}"')
            connection.execute(
                f'CREATE OR REPLACE VIEW "{source[0]}"."{source[1]}" AS SELECT {casts} FROM read_parquet({_quoted(path)})'
            )
        except duckdb.Error as error:
            raise ModelError(f"source {name}: {path}: {error}") from None

    def run_test(self, test: ModelTest, lake: Path) -> TestResult:
        """Run ``test`` on the built models. Raises ModelError for a model that is not built."""
        with _duckdb() as connection:
            for model in {test.model, test.test.to or test.model}:
                _view_model(connection, lake, model)
            failing = connection.sql(_failing_rows(test))
            columns = failing.columns
            rows = failing.fetchall()
        return TestResult(len(rows), columns, rows[:SAMPLE_ROWS])


def _compile(
    file: Path, path: str, document: ModelDocument, known: set[str], sources: dict[SourceName, SourceTable]
) -> Model:
    """The model in ``file``, its Jinja run. Raises ModelError for Jinja or names that are wrong."""
    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701

    def refuse(line: int, why: str) -> ModelError:
        return ModelError(f"{path}:{line}: model {document.name}: {why}")

    refs: dict[str, None] = {}
    from_sources: dict[SourceName, None] = {}
    try:
        text = file.read_text(encoding="utf-8")
        template = environment.parse(text)
        undeclared = meta.find_undeclared_variables(template) - _FUNCTIONS.keys()
        for name in template.find_all(nodes.Name):
            if name.name in undeclared:
                raise refuse(name.lineno, f"{name.name!r} is not defined; there are ref, source and config")
        for function, arguments, options, line in _calls(template):
            if len(arguments) != _FUNCTIONS[function] or not all(isinstance(argument, str) for argument in arguments):
                raise refuse(line, f"{function}() takes {_FUNCTIONS[function]} literal names")
            if function == "config" and options != {"materialized": "table"}:
                raise refuse(line, f"config({options}): only materialized='table' is known")
            if function == "ref":
                if arguments[0] not in known:
                    raise refuse(line, f"ref('{arguments[0]}'): there is no such model")
                refs[arguments[0]] = None
            if function == "source":
                if (arguments[0], arguments[1]) not in sources:
                    raise refuse(line, f"source('{arguments[0]}', '{arguments[1]}') is described in no YAML file")
                from_sources[arguments[0], arguments[1]] = None
        sql = environment.from_string(template).render(
            ref=lambda name: f'"models"."{name}"',
            source=lambda source, table: f'"{source}"."{table}"',
            config=lambda **_: "",
        )
    except TemplateSyntaxError as error:
        raise refuse(error.lineno, f"not Jinja: {error.message}") from None
    except (TemplateError, OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: model {document.name}: {error}") from None
    columns = by_name(document.columns, f"{path}: model {document.name}: column")
    descriptions = {name: column.description for name, column in columns.items()}
    return Model(
        document.name, file.parent.name, path, sql, document.description, descriptions, tuple(refs), tuple(from_sources)
    )


def _calls(template: nodes.Template) -> Iterator[tuple[str, list[Any], dict[str, Any], int]]:
    """Each call of ref, source or config: its name, arguments, options and line; what is not a literal is None."""

    def literal(node: nodes.Expr) -> Any:
        return node.value if isinstance(node, nodes.Const) else None

    for call in template.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in _FUNCTIONS:
            options = {option.key: literal(option.value) for option in call.kwargs}
            yield call.node.name, [literal(argument) for argument in call.args], options, call.lineno


def _check_tests(tests: list[ModelTest], models: dict[str, Model]) -> None:
    seen: set[tuple[str, str]] = set()
    for test in tests:
        place = f"model {test.model}: test {test.name}"
        if (test.model, test.name) in seen:
            raise ModelError(f"{place} is there twice")
        seen.add((test.model, test.name))
        if test.test.kind == "relationships":
            if test.test.to not in models:
                raise ModelError(f"{place}: ref('{test.test.to}'): there is no such model")
            if test.test.field not in models[test.test.to].columns:
                raise ModelError(f"{place}: model {test.test.to} has no column {test.test.field!r}")


def _build_order(models: dict[str, Model]) -> list[str]:
    try:
        return list(TopologicalSorter({name: sorted(models[name].refs) for name in sorted(models)}).static_order())
    except CycleError as error:
        cycle = list(reversed(error.args[1]))
        raise ModelError(f"{models[cycle[0]].path}: models refer to each other in a circle: {' → '.join(cycle)}") from None


@contextmanager
def _duckdb() -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB that fetches nothing from the network and reads times as UTC."""
    settings = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "TimeZone": "UTC"}
    with duckdb.connect(config=settings) as connection:
        connection.execute('CREATE SCHEMA "models"')
        yield connection


def _view_model(connection: duckdb.DuckDBPyConnection, lake: Path, name: str) -> None:
    path = _model_path(lake, name)
    if not path.is_file():
        raise ModelError(f"model {name} is not built: there is no {path}")
    connection.execute(f'CREATE OR REPLACE VIEW "models"."{name}" AS FROM read_parquet({_quoted(path)})')


def _failing_rows(test: ModelTest) -> str:
    model, column = f'"models"."{test.model}"', f'"{test.column}"'
    if test.test.kind == "unique":
        return f"SELECT {column}, count(*) AS rows FROM {model} WHERE {column} IS NOT NULL GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL"
    if test.test.kind == "not_null":
        return f"SELECT * FROM {model} WHERE {column} IS NULL"
    if test.test.kind == "accepted_values":
        accepted = ", ".join(_quoted(value) for value in test.test.values)
        return (
            f"SELECT {column}, count(*) AS rows FROM {model} "
            f"WHERE CAST({column} AS VARCHAR) NOT IN ({accepted}) GROUP BY ALL ORDER BY ALL"
        )
    parents = f'SELECT "{test.test.field}" FROM "models"."{test.test.to}"'
    return f"SELECT * FROM {model} AS child WHERE {column} IS NOT NULL AND {column} NOT IN ({parents} WHERE \"{test.test.field}\" IS NOT NULL)"


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()]


def _model_path(lake: Path, name: str) -> Path:
    return lake / "models" / f"{name}.parquet"


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
