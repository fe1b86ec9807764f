"""All endpoints that a package declares, from manifest, OpenAPI documents and prose, each once, with the best that any of them says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import re2

from sigma_core.sandbox.endpoint_tables import UNKNOWN, Endpoint, document_endpoints
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.openapi_endpoints import OpenApiDocument, is_openapi
from sigma_core.sandbox.readings import Reading
from sigma_core.submissions.package import Package

_FORMS = ("manifest", "openapi", "table", "fence", "prose")
"""How endpoints are declared, the firmest first."""
_ORIGIN = re2.compile(r"^https?://[^/]*")


def read_endpoints(
    package: Package, documents: Iterable[Reading], readings: Iterable[Reading]
) -> tuple[list[Endpoint], dict[str, list[str]], dict[str, str]]:
    """``(endpoints, server addresses by file, refusal code by unread file)``; endpoints sorted by path and method."""
    found = _manifest_endpoints(package.manifest)
    servers: dict[str, list[str]] = {}
    unread: dict[str, str] = {}
    for reading in readings:
        if reading.kind in {FileKind.JSON, FileKind.YAML} and is_openapi(reading.text):
            document = OpenApiDocument(reading.path, reading.text)
            found += document.endpoints
            if document.problem:
                unread[reading.path] = document.problem
            else:
                servers[reading.path] = document.servers
    for reading in documents:
        found += document_endpoints(reading.path, reading.text)
    return _merged(found), servers, unread


def _manifest_endpoints(manifest: Mapping[str, Any]) -> list[Endpoint]:
    positions = manifest.get("positions")
    lines = positions if isinstance(positions, Mapping) else {}
    found = []
    for at, endpoint in enumerate(manifest.get("endpoints") or ()):
        if isinstance(endpoint, Mapping) and endpoint.get("path"):
            method, auth = str(endpoint.get("method") or "GET").upper()[:20], str(endpoint.get("auth") or UNKNOWN)[:200]
            line = lines.get(f"endpoints[{at}]", 1)
            found.append(Endpoint(method, str(endpoint["path"])[:300], auth, "manifest", "SKILL.md", line))
    return found


def _merged(found: Iterable[Endpoint]) -> list[Endpoint]:
    """One entry for each method and path: the firmest declaration, with the first auth that any of them names."""
    groups: dict[tuple[str, str], list[Endpoint]] = {}
    for endpoint in found:
        groups.setdefault((route(endpoint.path), endpoint.method), []).append(endpoint)
    merged = []
    for key in sorted(groups):
        group = sorted(groups[key], key=lambda one: (_FORMS.index(one.form), one.file, one.line))
        best = group[0]
        auth = next((one.auth for one in group if one.auth != UNKNOWN), UNKNOWN)
        merged.append(Endpoint(best.method, best.path, auth, best.form, best.file, best.line))
    return merged


def route(path: str) -> str:
    """The path of an endpoint without scheme and host."""
    bare = _ORIGIN.sub("", path).split("?", 1)[0].rstrip("/")
    return bare or "/"
