"""Answers in memory: sent without a query while they are true, replaced whole, bounded, and never stale for long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from http_client import Client
from hypothesis import given
from hypothesis import strategies as st
from kept_records import ORDINARY, Sample, keep_assembly, keep_certificates
from sqlalchemy import event

from sigma_api.app import create_app
from sigma_api.caching import Answer
from sigma_api.public import snapshot
from sigma_api.public.snapshot import CertificateState, Kept, Snapshot, Snapshots, certificate_states
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.certificate_status import change_status
from sigma_core.storage.protocol import FlagRow
from sigma_core.timestamps import utc_now

NOW = datetime(2026, 11, 21, tzinfo=UTC)
APPROVED = CertificateState("APPROVED", "aa" * 32, 0, None)
LIST = "/api/v1/public/certificates"


def kept(content: bytes = b"{}", **about: Any) -> Kept:
    return Kept(Answer.of(content), **about)


@contextmanager
def statements(deployment: Deployment) -> Iterator[list[str]]:
    """What is asked of the database inside."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(deployment.protocol, "before_cursor_execute", note)
    yield asked
    event.remove(deployment.protocol, "before_cursor_execute", note)


@pytest.fixture
def two(own: Deployment) -> Deployment:
    keep_assembly(own)
    keep_certificates(own, ORDINARY[:2])
    return own


@pytest.mark.parametrize("path", [LIST, f"{LIST}?limit=1", *(f"{LIST}/{ORDINARY[0].id}{one}" for one in ("", "/verify", "/live-status", "/source-integrity"))])  # fmt: skip
def test_what_was_answered_a_moment_ago_asks_nothing_of_the_database(
    two: Deployment, make_client: Callable[..., Client], path: str
) -> None:
    client = make_client(create_app(two))
    first = client.get(path)
    with statements(two) as asked:
        again = client.get(path)
        known = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert asked == []
    assert (again.content, known.status_code, known.content) == (first.content, 304, b"")
    for name in ("etag", "cache-control", "content-type", "access-control-allow-origin", "ratelimit-policy"):
        assert again.headers[name] == first.headers[name]


@pytest.mark.parametrize(
    ("path", "seen"), [(f"{LIST}/cert_0/verify", 404), (f"{LIST}?limit=0", 422), (f"{LIST}?cursor=x", 400)]
)
def test_a_problem_is_never_kept(kept: Deployment, make_client: Callable[..., Client], path: str, seen: int) -> None:
    client = make_client(create_app(kept))
    assert client.get(path).status_code == seen
    again = client.get(path)
    assert (again.status_code, "etag" in again.headers) == (seen, False)


def test_a_new_certificate_is_in_the_next_snapshots_list(
    two: Deployment, make_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(create_app(two))
    count = len(client.get(LIST).json()["items"])
    keep_certificates(two, [Sample(50)])
    assert len(client.get(LIST).json()["items"]) == count
    monkeypatch.setattr(snapshot, "MAX_AGE_SECONDS", 0.0)
    monkeypatch.setattr(snapshot, "REFRESH_SECONDS", 0.0)
    assert len(client.get(LIST).json()["items"]) == count + 1


def test_the_next_snapshot_keeps_what_has_not_changed_and_drops_what_has(two: Deployment) -> None:
    first, second = (sample.id for sample in ORDINARY[:2])
    states = certificate_states(two, [first, second])
    standing = Snapshot()
    standing.keep(("/first", b""), kept(certificate_id=first, state=states[first]))
    standing.keep(("/second", b""), kept(certificate_id=second, state=states[second]))
    standing.keep(("/list", b""), kept())
    change_status(two, second, CertificateStatus.SUSPENDED, actor="operator:ada", reason="looked into")
    fresh = standing.carried_over(lambda identifiers: certificate_states(two, identifiers))
    assert [fresh.get((path, b""), NOW) is not None for path in ("/first", "/second", "/list")] == [True, False, False]


def test_a_change_that_is_taken_back_still_shows(two: Deployment) -> None:
    """Suspended and resumed between two snapshots: the status is the same, its history is not."""
    identifier = ORDINARY[0].id
    before = certificate_states(two, [identifier])
    for status in (CertificateStatus.SUSPENDED, CertificateStatus.APPROVED):
        change_status(two, identifier, status, actor="operator:ada", reason="looked into")
    assert certificate_states(two, [identifier]) != before


def test_a_flag_changes_the_state_of_its_certificate_alone(two: Deployment) -> None:
    first, second = (sample.id for sample in ORDINARY[:2])
    before = certificate_states(two, [first, second])
    with two.sessions.begin() as session:
        session.add(
            FlagRow(
                certificate_id=first,
                reason="OTHER",
                detail="odd",
                contact=None,
                reporter="0" * 64,
                flagged_at=NOW,
                closed_at=None,
            )
        )
    after = certificate_states(two, [first, second])
    assert (after[first].open_flags, after[second]) == (1, before[second])


def test_states_are_read_for_any_number_of_certificates(kept: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [sample.id for sample in ORDINARY] + ["cert_unknown"]
    at_once = certificate_states(kept, wanted)
    monkeypatch.setattr(snapshot, "IDS_PER_QUERY", 4)
    assert certificate_states(kept, wanted) == at_once
    assert at_once.keys() == {sample.id for sample in ORDINARY}


def test_an_answer_ends_with_its_certificate() -> None:
    standing = Snapshot()
    standing.keep(("/verify", b""), kept(until=NOW))
    assert standing.get(("/verify", b""), NOW - timedelta(milliseconds=1)) is not None
    assert standing.get(("/verify", b""), NOW) is None


def test_an_endless_query_string_is_not_worth_the_room() -> None:
    standing = Snapshot()
    standing.keep(("/list", b"q" * 600), kept())
    assert standing.get(("/list", b"q" * 600), NOW) is None


@given(sizes=st.lists(st.integers(0, 5_000), max_size=80))
def test_memory_stays_bounded_and_the_newest_stays(sizes: list[int]) -> None:
    standing = Snapshot(max_bytes=40_000)
    for number, size in enumerate(sizes):
        standing.keep((f"/{number}", b""), kept(bytes(size)))
        assert standing.get((f"/{number}", b""), NOW) is not None
        there = [at for at in range(number + 1) if standing.get((f"/{at}", b""), NOW) is not None]
        assert sum(sizes[at] for at in there) <= 2 * 40_000


@given(sizes=st.lists(st.integers(0, 3_000), min_size=30, max_size=60))
def test_what_is_asked_for_all_the_time_stays(sizes: list[int]) -> None:
    standing = Snapshot(max_bytes=40_000)
    standing.keep(("/hot", b""), kept())
    for number, size in enumerate(sizes):
        standing.keep((f"/{number}", b""), kept(bytes(size)))
        assert standing.get(("/hot", b""), NOW) is not None


class Clock:
    """Seconds that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_nobody_waits_while_the_next_snapshot_is_taken(two: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, go = Clock(), threading.Event()
    identifier = ORDINARY[0].id

    def slow(deployment: Deployment, identifiers: Any) -> dict[str, CertificateState]:
        go.wait()
        return certificate_states(deployment, identifiers)

    async def scenario() -> None:
        snapshots = Snapshots(clock)
        first = await snapshots.standing(two)
        first.keep(
            ("/verify", b""), kept(certificate_id=identifier, state=certificate_states(two, [identifier])[identifier])
        )
        monkeypatch.setattr(snapshot, "certificate_states", slow)
        clock.now += 1.5
        assert await snapshots.standing(two) is first
        assert await snapshots.standing(two) is first
        clock.now += 2
        late = asyncio.ensure_future(snapshots.standing(two))
        await asyncio.sleep(0)
        assert not late.done()
        go.set()
        second = await late
        assert second is not first
        assert second.get(("/verify", b""), NOW) is not None

    asyncio.run(scenario())


def test_without_a_database_nothing_old_is_told(two: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    def fail(*_: Any) -> dict[str, CertificateState]:
        raise OSError("gone")

    async def scenario() -> None:
        snapshots = Snapshots(clock)
        first = await snapshots.standing(two)
        first.keep(("/verify", b""), kept(certificate_id="cert_1", state=APPROVED))
        monkeypatch.setattr(snapshot, "certificate_states", fail)
        clock.now += 10
        empty = await snapshots.standing(two)
        assert empty.get(("/verify", b""), utc_now()) is None

    asyncio.run(scenario())
