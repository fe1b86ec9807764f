"""How SIGMA writes JSON on the wire: camelCase names, ISO 8601 UTC times with milliseconds and ``Z``, integers only."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from sigma_core.timestamps import iso_utc

UtcTime = Annotated[
    datetime,
    PlainSerializer(iso_utc, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-21T03:52:00.000Z"]}),
]
"""An aware date-time. Serialising a naive one raises ValueError."""


class WireModel(BaseModel):
    """Base of every answer: snake_case in Python, camelCase in JSON, nothing that is not declared."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
        extra="forbid",
        frozen=True,
    )

    def wire_bytes(self) -> bytes:
        """The UTF-8 JSON bytes that are sent, and that an ETag is the hash of."""
        return self.model_dump_json().encode()
