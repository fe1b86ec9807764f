"""The YAML beside the models: sources, column documentation and tests, in dbt's format, read strictly.

Whatever is wrong is a `ModelError` that names file, line, thing and rule. Unknown and repeated keys are wrong.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from sigma_core.errors import SigmaError

Name = Annotated[str, Field(pattern=r"\A[a-z][a-z0-9_]*\z")]
Text = Annotated[str, Field(min_length=1)]
TestKind = Literal["unique", "not_null", "accepted_values", "relationships"]

_REF = re.compile(r"""ref\(\s*(['"])([a-z][a-z0-9_]*)\1\s*\)""")
_ARGUMENTS: dict[str, frozenset[str]] = {
    "unique": frozenset(),
    "not_null": frozenset(),
    "accepted_values": frozenset({"values"}),
    "relationships": frozenset({"to", "field"}),
}


class ModelError(SigmaError):
    """A model, its YAML, its data or a test that breaks a rule; names file and line where there is one."""

    code = "MODEL_INVALID"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ColumnTest(_Strict):
    """One test of a column; ``to`` is the name of the model that a relationship points to."""

    kind: TestKind
    values: tuple[str, ...] = ()
    to: str = ""
    field: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_dbt(cls, written: Any) -> Any:
        """``unique`` or ``{accepted_values: {values: […]}}``."""
        kind, arguments = (
            next(iter(written.items())) if isinstance(written, dict) and len(written) == 1 else (written, {})
        )
        if kind not in _ARGUMENTS:
            raise ValueError(f"{kind!r} is no test; there are {', '.join(_ARGUMENTS)}")
        if not isinstance(arguments, dict) or set(arguments) != _ARGUMENTS[kind]:
            raise ValueError(f"{kind} takes {' and '.join(sorted(_ARGUMENTS[kind])) or 'no arguments'}")
        if kind == "accepted_values":
            values = arguments["values"]
            if not isinstance(values, list) or not values or not all(isinstance(value, str | int) for value in values):
                raise ValueError("values is a list of texts, integers or booleans")
            return {"kind": kind, "values": tuple(_as_sql_text(value) for value in values)}
        if kind == "relationships":
            ref = _REF.fullmatch(str(arguments["to"]))
            if ref is None:
                raise ValueError("to is ref('model')")
            return {"kind": kind, "to": ref.group(2), "field": arguments["field"]}
        return {"kind": kind}


def _as_sql_text(value: str | int) -> str:
    """``value`` as DuckDB's CAST(… AS VARCHAR) writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class ColumnDocument(_Strict):
    """A column of a model."""

    name: Name
    description: Text
    tests: list[ColumnTest] = []


class SourceColumn(_Strict):
    """A column of a source, and the DuckDB type that it is read as."""

    name: Name
    data_type: Text
    description: Text


_Named = TypeVar("_Named", ColumnDocument, SourceColumn)


def _no_name_twice(columns: list[_Named]) -> list[_Named]:
    names = [column.name for column in columns]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"column {twice[0]!r} is described twice")
    return columns


class ModelDocument(_Strict):
    """A model: what a row is, and its columns in order."""

    name: Name
    description: Text
    columns: Annotated[list[ColumnDocument], AfterValidator(_no_name_twice)]


class SourceTable(_Strict):
    """A source table: ``<lake>/<source>/<name>.parquet``."""

    name: Name
    description: Text
    columns: Annotated[list[SourceColumn], Field(min_length=1), AfterValidator(_no_name_twice)]


class SourceDocument(_Strict):
    """A group of source tables, one folder of the lake."""

    name: Name
    description: Text
    tables: list[SourceTable]


class Document(_Strict):
    """One YAML file."""

    version: Literal[2]
    models: list[ModelDocument] = []
    sources: list[SourceDocument] = []


_Place = tuple[str | int, ...]


class DocumentFile:
    """One YAML file, read: ``document``, and the line of each place in it."""

    def __init__(self, path: Path, shown: str) -> None:
        self.path = shown
        self._lines: dict[_Place, int] = {}
        try:
            loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
            node = loader.get_single_node()
            written = None if node is None else self._value(loader, node, ())
            self.document = Document.model_validate(written)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ModelError(f"{shown}:{line}: not YAML: {error.problem}") from None
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{shown}: cannot be read: {error}") from None
        except ValidationError as error:
            # A misspelt key also makes the right one missing: name what is there, not what is not.
            first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
            place = ".".join(str(part) for part in first["loc"]) or "file"
            raise ModelError(f"{shown}:{self.line(first['loc'])}: {place}: {first['msg']}") from None

    def _value(self, loader: yaml.SafeLoader, node: yaml.Node, place: _Place) -> Any:
        self._lines[place] = node.start_mark.line + 1
        if isinstance(node, yaml.SequenceNode):
            return [self._value(loader, item, (*place, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            mapping: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = str(key_node.value)
                if key in mapping:
                    raise ModelError(f"{self.path}:{key_node.start_mark.line + 1}: key {key!r} appears twice")
                mapping[key] = self._value(loader, value_node, (*place, key))
                self._lines[*place, key] = key_node.start_mark.line + 1
            return mapping
        return loader.construct_object(node)

    def line(self, place: _Place) -> int:
        """The line of ``place`` (keys and indices from the top), or of the nearest thing around it."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 1)

    def at(self, *place: str | int) -> str:
        """``file:line`` of ``place``, as errors begin."""
        return f"{self.path}:{self.line(place)}"
