"""What SIGMA's JSON looks like on the wire, for the published document: camelCase names, UTC times, integers only.

Answers are built as plain data and sent as they stand; these models say what they are, and the tests hold every answer against
them. So a sealed payload reaches its reader exactly as it was sealed.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

UtcTime = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-21T03:52:00.000Z"]}),
]
"""ISO 8601, UTC, milliseconds, ``Z``: see `sigma_core.timestamps`."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class WireModel(BaseModel):
    """Base of every described answer: snake_case in Python, camelCase in JSON, nothing that is not declared."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
        extra="forbid",
        frozen=True,
    )


class OpenWireModel(WireModel):
    """One whose members are not all fixed: later rules add to it."""

    model_config = ConfigDict(extra="allow")
