"""From a model's file to the SQL that DuckDB runs, and the names that it refers to."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment

from dbt_like_sql.documents import ModelDocument, ModelError

_FUNCTIONS = {"ref": 1, "source": 2, "config": 0, "is_incremental": 0}  # with their number of positional arguments
_NAMES = {*_FUNCTIONS, "this"}

SourceName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Model:
    """One model. ``sql`` is what DuckDB runs; ``columns`` are name → description in order; ``layer`` is its folder.

    An incremental model has a ``unique_key`` and ``incremental_sql``: the rows that replace those of their keys, or join them, where
    the model was built before by the same SQL. It may read what was built as ``this``.
    """

    name: str
    layer: str
    path: str
    sql: str
    description: str
    columns: dict[str, str]
    refs: tuple[str, ...]
    sources: tuple[SourceName, ...]
    unique_key: str | None = None
    incremental_sql: str = ""


def compile_model(
    file: Path, path: str, document: ModelDocument, models: Collection[str], sources: Collection[SourceName]
) -> Model:
    """The model in ``file``, called ``path`` in errors, which may refer to ``models`` and ``sources``.

    Raises ModelError, with the line, for Jinja that is wrong, anything but those functions, and unknown names.
    """
    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)

    def refuse(line: int, why: str) -> ModelError:
        return ModelError(f"{path}:{line}: model {document.name}: {why}")

    refs: list[str] = []
    used: list[SourceName] = []
    unique_key: str | None = None
    try:
        template = environment.parse(file.read_text(encoding="utf-8"))
        undeclared = meta.find_undeclared_variables(template) - _NAMES
        for name in template.find_all(nodes.Name):
            if name.name in undeclared:
                raise refuse(name.lineno, f"{name.name!r} is not defined; there are {', '.join(_FUNCTIONS)}")
        for function, arguments, options, line in _calls(template):
            if len(arguments) != _FUNCTIONS[function] or not all(isinstance(argument, str) for argument in arguments):
                raise refuse(line, f"{function}() takes {_FUNCTIONS[function]} literal names")
            if function == "config" and options.get("materialized") == "incremental":
                unique_key = options.pop("unique_key", None)
                if unique_key not in {column.name for column in document.columns}:
                    raise refuse(
                        line, f"config() with unique_key {unique_key!r}: it is a described column of the model"
                    )
                options["materialized"] = "table"
            if options != ({"materialized": "table"} if function == "config" else {}):
                raise refuse(
                    line,
                    f"{function}() with {options}: the options are config(materialized='table') and "
                    "config(materialized='incremental', unique_key='…')",
                )
            if function == "ref":
                if arguments[0] not in models:
                    raise refuse(line, f"ref('{arguments[0]}'): there is no such model")
                refs.append(arguments[0])
            elif function == "source":
                if (arguments[0], arguments[1]) not in sources:
                    raise refuse(line, f"source('{arguments[0]}', '{arguments[1]}') is described in no YAML file")
                used.append((arguments[0], arguments[1]))
        sql, incremental_sql = (
            environment.from_string(template).render(
                ref=lambda name: f'"models"."{name}"',
                source=lambda source, table: f'"{source}"."{table}"',
                config=lambda **_: "",
                is_incremental=lambda increment=increment: increment,
                this=f'"built"."{document.name}"',
            )
            for increment in (False, True)
        )
        if unique_key is None and incremental_sql != sql:
            raise refuse(1, "is_incremental() is for config(materialized='incremental', unique_key='…')")
    except TemplateSyntaxError as error:
        raise refuse(error.lineno, f"not Jinja: {error.message}") from None
    except (TemplateError, OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: model {document.name}: {error}") from None
    return Model(
        name=document.name,
        layer=file.parent.name,
        path=path,
        sql=sql,
        description=document.description,
        columns={column.name: column.description for column in document.columns},
        refs=tuple(dict.fromkeys(refs)),
        sources=tuple(dict.fromkeys(used)),
        unique_key=unique_key,
        incremental_sql=incremental_sql if unique_key else "",
    )


def _calls(template: nodes.Template) -> Iterator[tuple[str, list[Any], dict[str, Any], int]]:
    """Each call of ref, source or config: its name, arguments, options and line; what is not a literal is None."""

    def literal(node: nodes.Expr) -> Any:
        return node.value if isinstance(node, nodes.Const) else None

    for call in template.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in _FUNCTIONS:
            options = {option.key: literal(option.value) for option in call.kwargs}
            yield call.node.name, [literal(argument) for argument in call.args], options, call.lineno


def sql_text(value: object) -> str:
    """``value`` as a text literal of SQL."""
    return "'" + str(value).replace("'", "''") + "'"
