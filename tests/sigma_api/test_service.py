"""Startup and shutdown, health, and the published OpenAPI document."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from http_client import Client, assert_problem, assert_safe_headers
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from sqlalchemy import text

from sigma_api.app import create_app
from sigma_api.problems import PROBLEMS
from sigma_core import __version__
from sigma_core.config import SettingsError, load_settings
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError


def test_the_api_knows_nothing_of_the_orchestrator() -> None:
    loaded = (
        "import sys, sigma_api.app; print([name for name in sys.modules if name.split('.')[0].startswith('dagster')])"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Startup sends logs to the standard error of the moment, which is gone after the test."""
    loggers = [logging.getLogger(name) for name in ("sigma_api", "sigma_core")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers = handlers


def test_startup_opens_the_deployment_of_the_settings(home: Path) -> None:
    assert not home.exists()
    with Client(create_app()) as client:
        assert client.get("/readyz").status_code == 200
        assert client.get("/api/v1/public/certificates").json() == {"items": [], "nextCursor": None}
    assert (home / "protocol.db").exists()


def test_startup_that_fails_says_why_in_one_line(own: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    with own.sessions.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999_future'"))
    with caplog.at_level(logging.INFO, "sigma_api"), pytest.raises(SigmaError) as refused, Client(create_app()):
        pass
    (record,) = [record for record in caplog.records if record.name == "sigma_api.app"]
    assert record.getMessage() == "cannot start"
    assert record.__dict__["fields"] == {"code": refused.value.code, "error": str(refused.value)}


def test_settings_that_cannot_be_used_are_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMA_PUBLIC_RATE_REQUESTS", "0")
    with pytest.raises(SettingsError, match="SIGMA_PUBLIC_RATE_REQUESTS"):
        create_app()


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_healthy_process_says_so(client: Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["cache-control"] == "no-store"
    assert_safe_headers(response)


def test_a_database_that_is_not_migrated_is_not_ready(home: Path, make_client: Callable[..., Client]) -> None:
    deployment = Deployment(load_settings())
    deployment.blobs.put(deployment.policy.canonical_bytes)
    client = make_client(create_app(deployment))
    assert "database" in assert_problem(client.get("/readyz"), "unavailable")["detail"]
    assert client.get("/livez").status_code == 200
    deployment.close()


def test_a_blob_store_without_its_policy_is_not_ready(own: Deployment, make_client: Callable[..., Client]) -> None:
    digest = own.policy.hash
    (own.settings.home / "blobs" / "sha256" / digest[:2] / digest).unlink()
    body = assert_problem(make_client(create_app(own)).get("/readyz"), "unavailable")
    assert "blob store" in body["detail"]


@pytest.fixture
def document(client: Client) -> dict[str, Any]:
    """The published document."""
    published: dict[str, Any] = client.get("/openapi.json").json()
    return published


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method} {path}", operation


def test_the_document_says_what_it_is(document: dict[str, Any], kept: Deployment) -> None:
    assert document["openapi"].startswith("3.1.")
    assert (document["info"]["title"], document["info"]["version"]) == ("SIGMA", __version__)
    assert document["info"]["license"]["identifier"] == "Apache-2.0"
    assert document["servers"] == [{"url": kept.settings.public_url}]


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_example_is_one_of_its_schema(document: dict[str, Any]) -> None:
    """The validator of the specification looks at schemas; what stands beside them it does not hold against them."""
    checked = 0
    for name, operation in operations(document):
        described = [response for response in operation["responses"].values() if "content" in response]
        for content in (content for response in described for content in response["content"].values()):
            schema = {**content["schema"], "components": document["components"]}
            for slug, example in content.get("examples", {}).items():
                assert Draft202012Validator(schema).is_valid(example["value"]), (name, slug)
                checked += 1
    assert checked > len(document["paths"])


def test_every_route_is_documented(document: dict[str, Any], kept: Deployment) -> None:
    routes = {
        f"{method.lower()} {context.path}".replace(":path}", "}")
        for api in create_app(kept).apis
        for context in iter_route_contexts(api.routes)
        for method in context.methods or ()
    }
    assert {name for name, _ in operations(document)} == routes


def test_every_operation_says_what_it_is_for(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    identifiers = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(identifiers)) == len(identifiers)
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        assert set(operation["tags"]) <= tags, name
        assert all(parameter["description"] for parameter in operation.get("parameters", [])), name


def test_every_operation_has_a_response_model_and_error_models(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        contents = [
            content
            for status, response in operation["responses"].items()
            if status in ("200", "201")
            for content in response["content"].values()
        ]
        assert contents, name
        assert all(content["schema"] for content in contents), name
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                # Pages for people say to people that they are not there.
                kinds = {
                    "application/problem+json",
                    *(["text/html"] if operation["operationId"].startswith("show") else []),
                }
                assert response["content"].keys() <= kinds, name
                assert response["content"]["application/problem+json"]["schema"] == {
                    "$ref": "#/components/schemas/Problem"
                }
        public = operation["tags"] == ["public"]
        expected = {"422", "429", "500", "503"} if public else {"500"}
        expected |= {"304"} if public and name.startswith("get ") else set()
        assert expected <= operation["responses"].keys(), name
        if "{" in name:
            assert "404" in operation["responses"], name


def test_every_problem_that_a_route_answers_with_is_documented(document: dict[str, Any]) -> None:
    documented = {
        slug
        for _, operation in operations(document)
        for response in operation["responses"].values()
        for content in response.get("content", {}).values()
        for slug in content.get("examples", {})
    }
    # No route answers with these two: they are about requests that reach none.
    assert documented | {"bad-request", "method-not-allowed"} == PROBLEMS.keys()


def test_every_reference_resolves_and_every_model_is_described(document: dict[str, Any]) -> None:
    models = document["components"]["schemas"]
    assert not {"HTTPValidationError", "ValidationError"} & models.keys()
    assert all(model.get("description") for model in models.values())
    prefix = "#/components/schemas/"
    references = {part.split('"')[0] for part in json.dumps(document).split(f'"$ref": "{prefix}')[1:]}
    assert references <= models.keys()
    assert models.keys() <= references
