"""GET /api/v1/public/certificates: newest approved first, in pages, searchable."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from http_client import Client, assert_problem
from hypothesis import given, settings
from hypothesis import strategies as st
from kept_records import LISTED, PERCENT, SHOUTED, START, Sample, keep_assembly, keep_certificates

from sigma_api.app import create_app
from sigma_api.paging import Cursor
from sigma_api.problems import ProblemError
from sigma_api.public.records import certificate_page
from sigma_api.public.schemas import CertificatePage
from sigma_core.config import load_settings
from sigma_core.deployment import Deployment
from sigma_core.storage.migrations import upgrade
from sigma_core.timestamps import truncate_to_milliseconds, utc_now

LIST = "/api/v1/public/certificates"
NEWEST_FIRST = [sample.id for sample in sorted(LISTED, key=lambda one: (one.issued_at, one.id), reverse=True)]


def walk(client: Client, limit: int, **query: str) -> list[str]:
    """Ids over all pages."""
    ids: list[str] = []
    params: dict[str, Any] = {"limit": limit, **query}
    while True:
        page = client.get(LIST, params=params).json()
        assert len(page["items"]) <= limit
        ids += [item["certificateId"] for item in page["items"]]
        if page["nextCursor"] is None:
            return ids
        assert len(page["items"]) == limit
        params["cursor"] = page["nextCursor"]


@given(limit=st.integers(1, 100))
@settings(max_examples=20, deadline=None)
def test_pages_of_any_size_lose_and_repeat_nothing(client: Client, limit: int) -> None:
    assert walk(client, limit) == NEWEST_FIRST


def test_only_approved_certificates_that_have_not_expired_are_listed(client: Client) -> None:
    statuses = {item["status"] for item in client.get(LIST, params={"limit": 100}).json()["items"]}
    assert statuses == {"APPROVED"}
    names = {item["skillName"] for item in client.get(LIST, params={"limit": 100}).json()["items"]}
    assert not names & {"suspended-skill", "revoked-skill", "expired-skill"}


def test_twenty_are_on_a_page_unless_asked_otherwise(client: Client) -> None:
    assert len(client.get(LIST).json()["items"]) == 20


def test_an_item_says_what_is_needed_to_choose_it(client: Client) -> None:
    response = client.get(LIST, params={"q": "LOUD"})
    CertificatePage.model_validate_json(response.content, strict=True)
    (item,) = response.json()["items"]
    assert item["certificateId"] == SHOUTED.id
    assert item["description"] == SHOUTED.description
    assert item["certificateIssuedAt"] == "2026-11-21T03:52:00.000Z"


def test_certificates_issued_between_two_pages_move_nothing(
    own: Deployment, make_client: Callable[..., Client]
) -> None:
    keep_assembly(own)
    keep_certificates(own, [Sample(number, issued_at=START + timedelta(seconds=number)) for number in range(4)])
    client = make_client(create_app(own))
    first = client.get(LIST, params={"limit": 2}).json()
    keep_certificates(own, [Sample(9, issued_at=START + timedelta(seconds=9))])
    second = client.get(LIST, params={"limit": 2, "cursor": first["nextCursor"]}).json()
    assert [item["certificateId"] for item in first["items"] + second["items"]] == [
        Sample(number).id for number in (3, 2, 1, 0)
    ]


@pytest.mark.parametrize("text", ["loud", "WEATHER", "the Forecast"])
def test_search_reads_name_and_description_in_any_case(client: Client, text: str) -> None:
    assert walk(client, 10, q=text) == [SHOUTED.id]


@pytest.mark.parametrize("text", ["100%", "%_s", "\\really", "_sure"])
def test_wildcards_in_a_search_are_ordinary_characters(client: Client, text: str) -> None:
    assert walk(client, 10, q=text) == [PERCENT.id]


@pytest.mark.parametrize("text", ["%", "_"])
def test_a_search_for_a_wildcard_does_not_match_everything(client: Client, text: str) -> None:
    assert walk(client, 10, q=text) == [PERCENT.id]


@pytest.mark.parametrize("text", ["nothing has this name", "' OR 1=1 --", "/", "\N{SNOWMAN}"])
def test_a_search_without_a_match_is_an_empty_page(client: Client, text: str) -> None:
    assert client.get(LIST, params={"q": text}).json() == {"items": [], "nextCursor": None}


def test_an_empty_search_is_no_search(client: Client) -> None:
    assert walk(client, 100, q="") == NEWEST_FIRST


def test_searched_pages_lose_and_repeat_nothing(client: Client) -> None:
    found = walk(client, 3, q="tide-table")
    assert found == [sample.id for sample in sorted(LISTED, key=lambda one: (one.issued_at, one.id), reverse=True)
                     if sample.name == "tide-table"]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"limit": "9" * 5_000}, "limit"),
        ({"q": "a" * 201}, "q"),
        ({"q": "nul\x00"}, "q"),
        ({"q": "line\nbreak"}, "q"),
        ({"q": "ends in a break\n"}, "q"),
    ],
)
def test_a_parameter_that_breaks_its_rule_is_named(client: Client, query: dict[str, str], name: str) -> None:
    body = assert_problem(client.get(LIST, params=query), "invalid-parameter")
    assert [(fault["location"], fault["name"]) for fault in body["errors"]] == [("query", name)]
    assert f"query parameter {name}" in body["detail"]


GOOD = Cursor(START, "cert_1_r1").encode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "null",
        "%%%",
        GOOD[:-1],
        GOOD + "=",
        GOOD + "A",
        GOOD[:-1] + "_",
        " " + GOOD,
        GOOD * 50,
        "W10",  # []
        "WzEsMl0",  # [1,2]
        "WyIyMDI2LTExLTIxIiwieCJd",  # ["2026-11-21","x"]
        "WyIyMDI2LTExLTIxVDAzOjUyOjAwLjAwMFoiLDFd",  # a number for an id
        "eyJhIjoxfQ",  # {"a":1}
        Cursor(START, "a\x00b").encode(),
        "\N{SNOWMAN}",
        "ä",
    ],
)
def test_a_cursor_that_is_not_ours_is_refused(client: Client, cursor: str) -> None:
    assert_problem(client.get(LIST, params={"cursor": cursor}), "invalid-cursor")


@given(
    st.datetimes(timezones=st.just(UTC)), st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=32)
)
def test_a_cursor_is_read_back_as_it_was_given(at: datetime, identifier: str) -> None:
    cursor = Cursor(truncate_to_milliseconds(at), identifier)
    if len(cursor.encode()) <= 200:
        assert Cursor.decode(cursor.encode()) == cursor


@given(st.text(max_size=250))
def test_a_text_that_we_did_not_give_is_no_cursor(text: str) -> None:
    with pytest.raises(ProblemError, match="nextCursor"):
        Cursor.decode(text)


def test_a_cursor_past_the_end_is_an_empty_page(client: Client) -> None:
    past = Cursor(START - timedelta(days=3_000), "cert_0").encode()
    assert client.get(LIST, params={"cursor": past}).json() == {"items": [], "nextCursor": None}


def test_paging_and_search_mean_the_same_on_both_databases(
    new_database_url: Callable[[], str], home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMA_DATABASE_URL", new_database_url())
    deployment = Deployment(load_settings())
    upgrade(deployment.protocol, "protocol")
    keep_assembly(deployment)
    keep_certificates(deployment, LISTED)
    ids: list[str] = []
    after: Cursor | None = None
    while True:
        page = certificate_page(deployment, limit=7, search=None, after=after, at=utc_now())
        ids += [item["certificateId"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        after = Cursor.decode(page["nextCursor"])
    assert ids == NEWEST_FIRST
    for text, sample in (("loud", SHOUTED), ("100%_s", PERCENT), ("\\REALLY", PERCENT)):
        found = certificate_page(deployment, limit=7, search=text, after=None, at=utc_now())["items"]
        assert [item["certificateId"] for item in found] == [sample.id]
    deployment.close()
