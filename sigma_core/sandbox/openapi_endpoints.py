"""Endpoints of OpenAPI 3.x and Swagger 2.0 documents in the package, JSON or YAML, read by the intake's strict and bounded parser."""

from __future__ import annotations

from typing import Any

from sigma_core.sandbox.endpoint_tables import MAX_ENDPOINTS, NONE, UNKNOWN, Endpoint
from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.submissions.openapi_manifest import parse_openapi
from sigma_core.submissions.refusal import Refusal

MAX_BYTES = 1_048_576
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_MARK = linear_pattern(
    r"(?m)^[ \t]*[\"']?(?:openapi|swagger)[\"']?[ \t]*:[ \t]*[\"']?[23]\.|^\s*\{[^{}\[\]]{0,400}\"(?:openapi|swagger)\"\s*:\s*\"[23]\."
)


class OpenApiDocument:
    """One document: its endpoints, the addresses of its servers, and why it was not read (empty where it was)."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.endpoints: list[Endpoint] = []
        self.servers: list[str] = []
        self.problem = ""
        try:
            # A YAML reader for both would refuse what JSON allows; the first character tells.
            name = "openapi.json" if text.lstrip("\ufeff \t\r\n").startswith("{") else "openapi.yaml"
            document = parse_openapi(text.encode("utf-8", "replace"), MAX_BYTES, name)
        except Refusal as refusal:
            self.problem = refusal.code
            return
        except RecursionError:
            self.problem = "LIMIT_MANIFEST_DEPTH"
            return
        if isinstance(document, dict):
            self._read(document, text)

    def _read(self, document: dict[str, Any], text: str) -> None:
        self.servers = _servers(document)
        prefix = document.get("basePath") if isinstance(document.get("basePath"), str) else ""
        position = 0
        for path, item in _mapping(document.get("paths")).items():
            at = text.find(path, position)
            position = at if at >= 0 else position
            for method in _METHODS:
                operation = _mapping(item).get(method)
                if operation is None or len(self.endpoints) >= MAX_ENDPOINTS:
                    continue
                auth = _auth(_mapping(operation).get("security", document.get("security")))
                full = f"{str(prefix).rstrip('/')}{path}"[:300]
                line = text.count("\n", 0, position) + 1 if at >= 0 else 1
                self.endpoints.append(Endpoint(method.upper(), full, auth, "openapi", self.file, line))


def is_openapi(text: str) -> bool:
    """Whether a JSON or YAML text says of itself that it is an OpenAPI or Swagger document."""
    return bool(_MARK.search(text[:4_000]))


def _servers(document: dict[str, Any]) -> list[str]:
    listed = document.get("servers")
    found = [server.get("url") for server in listed if isinstance(server, dict)] if isinstance(listed, list) else []
    host = document.get("host")
    if isinstance(host, str):
        schemes = document.get("schemes")
        scheme = schemes[0] if isinstance(schemes, list) and schemes and isinstance(schemes[0], str) else "https"
        found.append(f"{scheme}://{host}{document.get('basePath') or ''}")
    return [url[:300] for url in found if isinstance(url, str)]


def _auth(security: Any) -> str:
    """Names of the schemes; an empty list, or an empty alternative alone, says that none is needed."""
    if not isinstance(security, list):
        return UNKNOWN
    return ", ".join(sorted({str(scheme) for option in security for scheme in _mapping(option)}))[:200] or NONE


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
