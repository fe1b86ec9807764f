"""Methods, cross-origin reading, security headers, request ids, and errors that happen before or outside a route."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from http_client import Client, assert_problem, assert_safe_headers
from kept_records import ORDINARY, keep_assembly, keep_certificates

from sigma_api import logs
from sigma_api.app import create_app
from sigma_api.public import records
from sigma_core.deployment import Deployment
from sigma_core.storage import engine

LIST = "/api/v1/public/certificates"
ONE = f"{LIST}/{ORDINARY[0].id}"


def all_paths() -> list[str]:
    app = create_app()
    return sorted({str(context.path) for api in app.apis for context in iter_route_contexts(api.routes)})


def example_of(path: str) -> str:
    examples = {
        "certificate_id": ORDINARY[0].id,
        "round_id": ORDINARY[0].round_id,
        "tile:path": "0/000",
        "index": "0",
        "number": "0",
        "purpose": "revocation",
        "slug": "not-found",
        "code": "DRIFT",
    }
    for name, example in examples.items():
        path = path.replace(f"{{{name}}}", example)
    return path


def methods_of(path: str) -> str:
    return (
        "OPTIONS, POST"
        if path.endswith(("/flags", "/compare-skill", "-from-github", "/dry-run"))
        else "GET, HEAD, OPTIONS"
    )


@pytest.mark.parametrize("path", all_paths())
def test_head_is_get_without_its_body(client: Client, path: str) -> None:
    got, head = client.get(example_of(path)), client.request("HEAD", example_of(path))
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-length"] == str(len(got.content))
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize("path", all_paths())
def test_options_lists_the_methods(client: Client, path: str) -> None:
    response = client.request("OPTIONS", example_of(path))
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["allow"] == methods_of(path)
    assert_safe_headers(response)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND"])
@pytest.mark.parametrize("path", all_paths())
def test_another_method_is_refused_with_the_full_list(client: Client, path: str, method: str) -> None:
    if method in methods_of(path):
        method = "GET"
    response = client.request(method, example_of(path))
    assert_problem(response, "method-not-allowed")
    assert response.headers["allow"] == methods_of(path)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/api/v1/public", "/api/v1/public/", LIST + "/", ONE + "/", "/api/v1/publicity"]
)
def test_a_path_without_a_route_is_not_found_whatever_the_method(client: Client, method: str, path: str) -> None:
    response = client.request(method, path)
    if method == "HEAD":
        assert response.status_code == 404
    else:
        assert_problem(response, "not-found")


@pytest.mark.parametrize("path", [LIST, ONE, f"{LIST}/cert_0", f"{LIST}?limit=0", "/api/v1/public/nothing"])
def test_any_page_may_read_the_public_plane_whoever_asks(client: Client, path: str) -> None:
    for headers in ({}, {"Origin": "https://example.org"}):
        response = client.get(path, headers=headers)
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["cross-origin-resource-policy"] == "cross-origin"
        assert "ETag" in response.headers["access-control-expose-headers"]
        assert_safe_headers(response)


def test_a_preflight_is_answered(client: Client) -> None:
    response = client.request(
        "OPTIONS", ONE, headers={"Origin": "https://example.org", "Access-Control-Request-Method": "GET"}
    )
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert "If-None-Match" in response.headers["access-control-allow-headers"]


def test_health_is_for_no_other_origin(client: Client) -> None:
    assert "access-control-allow-origin" not in client.get("/readyz").headers


@pytest.mark.parametrize("proposed", ["trace-0123", "a" * 64, "A.b_c-9876"])
def test_a_clients_own_request_id_is_kept(client: Client, proposed: str) -> None:
    assert client.get(LIST, headers={"X-Request-ID": proposed}).headers["x-request-id"] == proposed


@pytest.mark.parametrize("proposed", ["short", "a" * 65, "with space", "new\tline1", "<script>alert", "ünïcödé-id", ""])
def test_an_odd_request_id_is_replaced(client: Client, proposed: str) -> None:
    headers = [(b"X-Request-ID", proposed.encode())]
    given = client.get(LIST, headers=headers).headers["x-request-id"]
    assert given != proposed
    assert len(given) == 32


def test_each_request_gets_an_id_of_its_own(client: Client) -> None:
    assert client.get(LIST).headers["x-request-id"] != client.get(LIST).headers["x-request-id"]


def test_an_unexpected_error_shows_nothing_and_is_logged_with_the_request(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(records, "certificate_page", fail)
    with caplog.at_level(logging.INFO, "sigma_api"):
        response = client.get(LIST, params={"q": "private words"}, headers={"X-Request-ID": "request-77"})
    assert_problem(response, "internal")
    assert "hunter2" not in response.text
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["x-request-id"] == "request-77"
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage() for record in errors] == ["unexpected error"]
    assert "hunter2" in logs.JsonFormatter().format(errors[0])
    assert "private words" not in caplog.text
    assert "private" not in "".join(logs.JsonFormatter().format(record) for record in caplog.records)


def test_every_request_is_one_line_of_json_without_its_query(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    formatted: list[dict[str, Any]] = []
    handler = logging.Handler()
    handler.emit = lambda record: formatted.append(json.loads(logs.JsonFormatter().format(record)))  # type: ignore
    logger = logging.getLogger("sigma_api")
    with caplog.at_level(logging.INFO, "sigma_api"):
        logger.addHandler(handler)
        client.get(f"{LIST}?q=secret", headers={"X-Request-ID": "request-78", "Authorization": "Bearer secret"})
        logger.removeHandler(handler)
    (line,) = formatted
    assert (line["message"], line["path"], line["status"]) == ("answered", LIST, 200)
    assert (line["method"], line["requestId"]) == ("GET", "request-78")
    assert line["time"].endswith("Z")
    assert "secret" not in json.dumps(line)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 20)


def test_a_locked_database_is_unavailable_and_comes_back(
    impatient: None, own: Deployment, make_client: Callable[..., Client]
) -> None:
    keep_assembly(own)
    keep_certificates(own, ORDINARY[:1])
    client = make_client(create_app(own))
    own.close()
    locker = sqlite3.connect(own.settings.home / "protocol.db", isolation_level=None)
    locker.execute("PRAGMA locking_mode=EXCLUSIVE")
    locker.execute("BEGIN EXCLUSIVE")
    for path in (LIST, ONE, f"{ONE}/verify", "/readyz"):
        assert_problem(client.get(path), "unavailable")
    locker.close()
    assert client.get(ONE).status_code == 200


def test_a_writer_at_work_keeps_no_reader_waiting(
    impatient: None, own: Deployment, make_client: Callable[..., Client]
) -> None:
    keep_assembly(own)
    keep_certificates(own, ORDINARY[:1])
    client = make_client(create_app(own))
    with own.sessions.begin():
        for path in (LIST, ONE, "/readyz"):
            assert client.get(path).status_code == 200


def test_a_blob_store_that_cannot_be_read_is_unavailable(own: Deployment, make_client: Callable[..., Client]) -> None:
    keep_assembly(own)
    keep_certificates(own, ORDINARY[:1])
    blobs = own.settings.home / "blobs" / "sha256"
    for folder in blobs.iterdir():
        for blob in folder.iterdir():
            blob.chmod(0o600)
            blob.unlink()
        folder.rmdir()
        folder.write_bytes(b"a file where a folder should be")
    client = make_client(create_app(own))
    assert_problem(client.get(ONE), "unavailable")
    assert_problem(client.get("/readyz"), "unavailable")
