"""The published OpenAPI 3.1 document: one for all planes, made from their routes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from sigma_api.problems import Problem
from sigma_api.public.schemas import Attestation
from sigma_core import __version__

TAGS = [
    {"name": "public", "description": "What anybody may read: certificates, their proofs, and how to recompute them."},
    {"name": "service", "description": "The process itself: health, and this document."},
]

MODELS_BY_REFERENCE = (Problem, Attestation)
"""Models of answers whose media type FastAPI does not derive; routes name them by ``$ref``."""


def openapi_document(apis: Iterable[FastAPI], server_url: str) -> dict[str, Any]:
    """The document over the routes of ``apis``, for clients that reach them under ``server_url``."""
    document = get_openapi(
        title="SIGMA",
        version=__version__,
        summary="Verification and certificates for what AI agents install and call.",
        description=(
            "JSON in camelCase, times in ISO 8601 UTC with milliseconds, integers only. Errors are problem details (RFC 9457). "
            "HEAD and OPTIONS are answered on every path. Answers carry a strong ETag: send it back in `If-None-Match`."
        ),
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        servers=[{"url": server_url}],
        tags=TAGS,
        routes=[route for api in apis for route in api.routes],
    )
    _, definitions = models_json_schema(
        [(model, "serialization") for model in MODELS_BY_REFERENCE], ref_template="#/components/schemas/{model}"
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    document["components"]["schemas"] = dict(sorted((schemas | definitions["$defs"]).items()))
    return document
