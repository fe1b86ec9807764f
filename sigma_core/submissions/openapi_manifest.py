"""The manifest of an API package, in the shape of a skill's, from its OpenAPI (or Swagger) document."""

from __future__ import annotations

import json
from typing import Any

from sigma_core.policy import PackageLimits
from sigma_core.submissions.manifest import empty_manifest
from sigma_core.submissions.refusal import Refusal
from sigma_core.submissions.strict_yaml import YamlLimits, YamlSyntax, parse_yaml

MAX_DEPTH = 40
"""OpenAPI schemas nest deeper than manifests do."""
MAX_NODES = 50_000

_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})


def read_openapi_manifest(document: bytes, limits: PackageLimits, file: str) -> dict[str, Any]:
    """Name, version, description, licence and endpoints of an OpenAPI document: JSON if ``file`` ends so, else YAML.

    An endpoint's ``auth`` names its security schemes, comma-separated, or is null where there are none. Raises Refusal.
    """
    openapi = parse_openapi(document, limits.max_file_bytes, file)
    if not isinstance(openapi, dict) or not {"openapi", "swagger"} & openapi.keys():
        raise Refusal("BROKEN_MANIFEST", file, line=1, found="no 'openapi' or 'swagger' key")
    manifest = empty_manifest()
    info = _mapping(openapi.get("info"))
    manifest["name"] = _text(info.get("title"))
    manifest["version"] = _text(info.get("version"))
    manifest["description"] = _text(info.get("description"))
    manifest["license"] = _text(_mapping(info.get("license")).get("name"))
    manifest["homepage"] = _text(_mapping(openapi.get("externalDocs")).get("url"))
    manifest["productType"] = "API"
    for path, operations in _mapping(openapi.get("paths")).items():
        for method, operation in _mapping(operations).items():
            if method in _METHODS:
                security = _mapping(operation).get("security", openapi.get("security"))
                endpoint = {"method": method.upper(), "path": path, "auth": _schemes(security)}
                manifest["endpoints"].append(endpoint)
    source = {"kind": "openapi", "lineStart": 1, "lineEnd": document.count(b"\n") + 1, "keys": ["info", "paths"]}
    manifest["sources"].append(source)
    return manifest


def parse_openapi(document: bytes, max_bytes: int, file: str) -> Any:
    """The plain data of a JSON or YAML document, read strictly and within bounds. Raises Refusal."""
    try:
        text = document.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise Refusal("BROKEN_MANIFEST_ENCODING", file, found=f"byte {error.start}") from None
    if file.lower().endswith(".json"):
        return _parse_json(text, file)
    try:
        yaml_limits = YamlLimits(max_bytes, MAX_DEPTH, MAX_NODES)
        return parse_yaml(text.replace("\r\n", "\n"), file, 1, yaml_limits).plain()
    except YamlSyntax as error:
        raise Refusal("BROKEN_MANIFEST", file, line=error.line, found=error.problem) from None


def _parse_json(text: str, file: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key, value in pairs:
            if key in mapping:
                raise Refusal("HOSTILE_MANIFEST_DUPLICATE_KEY", file, found=f"key {key!r} appears twice")
            mapping[key] = value
        return mapping

    try:
        # Numbers stay text: none of them is used, and readers disagree on floats.
        value = json.loads(text, object_pairs_hook=unique, parse_float=str, parse_int=str, parse_constant=str)
    except json.JSONDecodeError as error:
        raise Refusal("BROKEN_MANIFEST", file, line=error.lineno, found=error.msg) from None
    except RecursionError:
        raise Refusal("LIMIT_MANIFEST_DEPTH", file, limit=MAX_DEPTH) from None
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        raise Refusal("BROKEN_MANIFEST_ENCODING", file, found="a lone surrogate") from None
    return value


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return None if value is None or isinstance(value, list | dict) else str(value)


def _schemes(security: Any) -> str | None:
    if not isinstance(security, list):
        return None
    return ", ".join(sorted({scheme for option in security for scheme in _mapping(option)})) or None
