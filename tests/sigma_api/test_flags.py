"""Flags: anyone may raise one, once for each reason; enough of them ask for a re-audit; nothing of them is published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from http_client import Client, assert_problem, assert_safe_headers
from kept_records import ORDINARY, keep_assembly, keep_certificates
from sqlalchemy import select

from sigma_api.app import create_app
from sigma_api.public import quotas
from sigma_api.public.flags import RE_AUDIT_REPORTERS, RE_AUDIT_TOPIC, FlagReason, raise_flag
from sigma_api.public.schemas import FlagReceipt
from sigma_api.public.snapshot import certificate_states
from sigma_core.config import load_settings
from sigma_core.deployment import Deployment
from sigma_core.storage.migrations import upgrade
from sigma_core.storage.protocol import FlagRow, OutboxRow

ONE, TWO = (sample.id for sample in ORDINARY[:2])
FLAGS = f"/api/v1/public/certificates/{ONE}/flags"
GOOD = {"reason": "SOURCE_CHANGED", "detail": "The repository is\nanother one now.", "contact": "ada@example.org"}


@pytest.fixture
def two(own: Deployment) -> Deployment:
    keep_assembly(own)
    keep_certificates(own, ORDINARY[:2])
    return own


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Closes what a test opened, however it ends."""
    with ExitStack() as stack:
        yield stack


def rows(deployment: Deployment) -> list[FlagRow]:
    with deployment.read_sessions() as session:
        return list(session.scalars(select(FlagRow).order_by(FlagRow.id)))


def wanted(deployment: Deployment) -> list[str]:
    with deployment.read_sessions() as session:
        return list(session.scalars(select(OutboxRow.subject).where(OutboxRow.topic == RE_AUDIT_TOPIC)))


def test_a_flag_is_kept_as_it_was_raised(two: Deployment, make_client: Callable[..., Client]) -> None:
    response = make_client(create_app(two)).request("POST", FLAGS, json=GOOD)
    receipt = FlagReceipt.model_validate_json(response.content, strict=True)
    assert (response.status_code, receipt.known, receipt.active_flag_count) == (201, False, 1)
    assert response.headers["cache-control"] == "no-store"
    assert_safe_headers(response)
    [row] = rows(two)
    assert (row.reason, row.detail, row.contact, row.closed_at) == (*GOOD.values(), None)


def test_raising_it_again_adds_nothing(two: Deployment, make_client: Callable[..., Client]) -> None:
    client = make_client(create_app(two))
    first = client.request("POST", FLAGS, json=GOOD)
    again = client.request("POST", FLAGS, json=GOOD | {"detail": "In other words."})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json() | {"known": True}
    assert client.request("POST", FLAGS, json=GOOD | {"reason": "OTHER"}).status_code == 201
    assert len(rows(two)) == 2


def test_no_address_is_kept_and_a_reporter_is_another_one_elsewhere(two: Deployment, tmp_path: Any) -> None:
    for client in ("192.0.2.7", "192.0.2.8", "192.0.2.7"):
        raise_flag(two, ONE, FlagReason.OTHER, "odd", None, client=client)
    assert len({row.reporter for row in rows(two)}) == len(rows(two)) == 2
    assert "192.0.2" not in str([vars(row) for row in rows(two)])


@pytest.mark.usefixtures("up_to_date")
def test_open_flags_are_counted_in_verify_and_live_status(two: Deployment, make_client: Callable[..., Client]) -> None:
    client = make_client(create_app(two))
    client.request("POST", FLAGS, json=GOOD)
    for route in ("verify", "live-status"):
        answer = client.get(f"/api/v1/public/certificates/{ONE}/{route}")
        assert (answer.json()["activeFlagCount"], answer.json()["valid"]) == (1, True)
        assert "ada@example.org" not in answer.text
        assert client.get(f"/api/v1/public/certificates/{TWO}/{route}").json()["activeFlagCount"] == 0


def test_enough_distinct_reporters_ask_for_a_re_audit_once(two: Deployment) -> None:
    for number in range(RE_AUDIT_REPORTERS - 1):
        for reason in FlagReason:
            raise_flag(two, ONE, reason, "odd", None, client=f"192.0.2.{number}")
    assert wanted(two) == []
    for number in range(RE_AUDIT_REPORTERS, RE_AUDIT_REPORTERS + 3):
        raise_flag(two, ONE, FlagReason.OTHER, "odd", None, client=f"192.0.2.{number}")
    assert wanted(two) == [ONE]


def test_flags_raised_at_once_are_kept_once_on_both_databases(
    home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, closing: ExitStack
) -> None:
    monkeypatch.setenv("SIGMA_DATABASE_URL", database_url)
    deployment = Deployment(load_settings())
    closing.callback(deployment.close)
    upgrade(deployment.protocol, "protocol")
    keep_assembly(deployment)
    keep_certificates(deployment, ORDINARY[:1])
    with ThreadPoolExecutor(4) as pool:
        raised = list(
            pool.map(
                lambda number: raise_flag(
                    deployment, ONE, FlagReason.OTHER, "odd", None, client=f"192.0.2.{number % RE_AUDIT_REPORTERS}"
                ),
                range(4 * RE_AUDIT_REPORTERS),
            )
        )
    assert sum(flag is not None and not flag.known for flag in raised) == len(rows(deployment)) == RE_AUDIT_REPORTERS
    assert certificate_states(deployment, [ONE])[ONE].open_flags == RE_AUDIT_REPORTERS
    assert wanted(deployment) == [ONE]


def test_flags_have_a_limit_of_their_own_by_address(two: Deployment, make_client: Callable[..., Client]) -> None:
    app = create_app(two)
    client, other = make_client(app), make_client(app, "192.0.2.7")
    for _ in range(quotas.FLAGS[1]):
        assert client.request("POST", FLAGS, json=GOOD).status_code in (200, 201)
    assert_problem(client.request("POST", FLAGS, json=GOOD), "rate-limited")
    assert other.request("POST", FLAGS, json=GOOD).status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "BORED"},
        {"reason": None},
        {"detail": ""},
        {"detail": " \n "},
        {"detail": "x" * 2_001},
        {"detail": "a\x00b"},
        {"detail": "a\x1b[31mb"},
        {"detail": 7},
        {"contact": "x" * 255},
        {"contact": ""},
        {"more": True},
    ],
)
def test_a_flag_that_breaks_a_rule_names_it(
    two: Deployment, make_client: Callable[..., Client], change: dict[str, Any]
) -> None:
    client = make_client(create_app(two))
    body = assert_problem(client.request("POST", FLAGS, json=GOOD | change), "invalid-parameter")
    assert body["errors"][0]["location"] == "body"
    assert body["errors"][0]["name"] in change
    assert rows(two) == []


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"\xff", "application/json"),
        (b"[" * 200_000, "application/json"),
        (b'{"reason":"OTHER","detail":"\\ud800"}', "application/json"),
        (b'{"reason":"OTHER","detail":"odd"}', "text/plain"),
        (b"reason=OTHER&detail=odd", "application/x-www-form-urlencoded"),
    ],
)
def test_bytes_that_are_no_such_document_are_refused(
    two: Deployment, make_client: Callable[..., Client], content: bytes, media_type: str
) -> None:
    """A page elsewhere cannot make its readers raise flags either: what it may send without asking is not JSON."""
    response = make_client(create_app(two)).request(
        "POST", FLAGS, content=content, headers={"Content-Type": media_type}
    )
    assert_problem(response, "bad-request" if response.status_code == 400 else "invalid-parameter")
    assert rows(two) == []
