"""ETag, If-None-Match, Cache-Control."""

from __future__ import annotations

import pytest
from http_client import Client, assert_safe_headers
from kept_records import ORDINARY, ROUTES_OF_ONE

from sigma_core.canonical import sha256_hex

ONE = f"/api/v1/public/certificates/{ORDINARY[0].id}"
CACHED = [
    "/api/v1/public/certificates",
    *(ONE + route for route in ROUTES_OF_ONE),
    f"/api/v1/public/rounds/{ORDINARY[0].round_id}/replay",
    "/openapi.json",
]


@pytest.mark.parametrize("path", CACHED)
def test_the_etag_is_strong_and_names_the_bytes(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["etag"] == f'"{sha256_hex(response.content)}"'
    assert response.headers["cache-control"] == "public, max-age=30, stale-while-revalidate=300"
    assert response.headers["access-control-allow-origin"] == "*"
    assert_safe_headers(response)


@pytest.mark.parametrize("path", CACHED)
@pytest.mark.parametrize("form", ["{etag}", "W/{etag}", '"a", {etag}', '"a,b" , W/{etag},"c"', "*", " * "])
def test_bytes_that_the_client_has_are_not_sent_again(client: Client, path: str, form: str) -> None:
    fresh = client.get(path)
    etag = fresh.headers["etag"]
    response = client.get(path, headers={"If-None-Match": form.format(etag=etag)})
    assert (response.status_code, response.content) == (304, b"")
    assert "content-type" not in response.headers
    for name in ("etag", "cache-control", "access-control-allow-origin"):
        assert response.headers[name] == fresh.headers[name]
    assert_safe_headers(response)


def test_the_header_may_come_in_several_lines(client: Client) -> None:
    etag = client.get(ONE).headers["etag"]
    assert client.get(ONE, headers=[("If-None-Match", '"a"'), ("If-None-Match", etag)]).status_code == 304


@pytest.mark.parametrize("form", ['"a"', "{bare}", "w/{etag}", "W/ {etag}", '{etag}"', "", ",", '*, "a"', '"*"'])
def test_a_tag_that_is_not_ours_gets_the_bytes(client: Client, form: str) -> None:
    etag = client.get(ONE).headers["etag"]
    header = form.format(etag=etag, bare=etag.strip('"'))
    assert client.get(ONE, headers={"If-None-Match": header}).status_code == 200


def test_if_none_match_does_not_make_what_is_not_there_known(client: Client) -> None:
    assert client.get("/api/v1/public/certificates/cert_0", headers={"If-None-Match": "*"}).status_code == 404


def test_the_same_record_gives_the_same_bytes(client: Client) -> None:
    assert client.get(ONE).content == client.get(ONE).content


def test_head_has_the_validators_of_get(client: Client) -> None:
    etag = client.get(ONE).headers["etag"]
    assert client.request("HEAD", ONE).headers["etag"] == etag
    assert client.request("HEAD", ONE, headers={"If-None-Match": etag}).status_code == 304
