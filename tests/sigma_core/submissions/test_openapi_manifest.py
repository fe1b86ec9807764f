"""The manifest of an API package comes from its OpenAPI document, YAML or JSON."""

from __future__ import annotations

import json

import pytest

from sigma_core.policy import load_policy
from sigma_core.submissions.openapi_manifest import read_openapi_manifest
from sigma_core.submissions.refusal import Refusal

LIMITS = load_policy().package
YAML = """\
openapi: 3.1.0
info:
  title: Greetings
  version: 1.10
  description: Says hello.
  license: {name: MIT}
externalDocs: {url: https://greetings.example}
security: [{bearer: []}]
paths:
  /hello:
    parameters: []
    get: {summary: Say hello}
    post:
      security: [{key: []}, {bearer: []}]
  /health:
    get: {security: []}
"""
ENDPOINTS = [
    {"method": "GET", "path": "/hello", "auth": "bearer"},
    {"method": "POST", "path": "/hello", "auth": "bearer, key"},
    {"method": "GET", "path": "/health", "auth": None},
]


def test_yaml() -> None:
    manifest = read_openapi_manifest(YAML.encode(), LIMITS, "openapi.yaml")
    assert (manifest["name"], manifest["version"], manifest["license"]) == ("Greetings", "1.10", "MIT")
    assert (manifest["productType"], manifest["homepage"]) == ("API", "https://greetings.example")
    assert manifest["endpoints"] == ENDPOINTS


def test_json() -> None:
    document = {
        "swagger": "2.0",
        "info": {"title": "Greetings", "version": 1.5},
        "paths": {"/hello": {"get": {"x-rate": 0.1}}},
    }
    manifest = read_openapi_manifest(json.dumps(document, indent="\t").encode(), LIMITS, "swagger.json")
    assert (manifest["name"], manifest["version"]) == ("Greetings", "1.5")
    assert manifest["endpoints"] == [{"method": "GET", "path": "/hello", "auth": None}]


@pytest.mark.parametrize(
    ("file", "document", "code"),
    [
        ("openapi.yaml", b"swag: 1\n", "BROKEN_MANIFEST"),
        ("openapi.yaml", b"- openapi\n", "BROKEN_MANIFEST"),
        ("openapi.yaml", b"openapi: [\n", "BROKEN_MANIFEST"),
        ("openapi.yaml", b"openapi: 3\nopenapi: 2\n", "HOSTILE_MANIFEST_DUPLICATE_KEY"),
        ("openapi.yaml", b"openapi: 3\nx: &a 1\n", "HOSTILE_MANIFEST_ALIAS"),
        ("openapi.yaml", b"openapi: \xff\n", "BROKEN_MANIFEST_ENCODING"),
        ("openapi.json", b'{"openapi": "3"', "BROKEN_MANIFEST"),
        ("openapi.json", b'{"openapi": "3", "openapi": "2"}', "HOSTILE_MANIFEST_DUPLICATE_KEY"),
        ("openapi.json", b'{"openapi": ' + b"[" * 100_000, "LIMIT_MANIFEST_DEPTH"),
        ("openapi.json", b'{"openapi": "\\ud800"}', "BROKEN_MANIFEST_ENCODING"),
    ],
)
def test_refusals(file: str, document: bytes, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        read_openapi_manifest(document, LIMITS, file)
    assert (caught.value.code, caught.value.member) == (code, file)
