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
from sqlalchemy import delete, event

from sigma_api.app import create_app
from sigma_api.caching import Answer
from sigma_api.public import snapshot
from sigma_api.public.snapshot import Kept, Seen, Snapshot, Snapshots, certificate_states, changes
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.certificate_status import change_status
from sigma_core.storage.protocol import FlagRow, LogEntryRow
from sigma_core.timestamps import utc_now

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ROOM = 2**20
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
    seen, everything = changes(two, None)
    standing = Snapshot(ROOM)
    standing.keep(("/first", b""), kept(certificate_id=first))
    standing.keep(("/second", b""), kept(certificate_id=second))
    standing.keep(("/list", b""), kept())
    change_status(two, second, CertificateStatus.SUSPENDED, actor="operator:ada", reason="looked into")
    seen, changed = changes(two, seen)
    assert (everything, changed) == (None, {second})
    fresh = standing.next({second})
    assert [fresh.get((path, b""), NOW) is not None for path in ("/first", "/second", "/list")] == [True, False, False]
    assert changes(two, seen)[1] == set()


def test_an_answer_that_comes_after_the_change_that_it_missed_is_not_told() -> None:
    """A request read the status, then it changed and a new snapshot was taken, and only then the answer is kept."""
    standing = Snapshot(ROOM)
    fresh = standing.next({"cert_1"})
    standing.keep(("/late", b""), kept(certificate_id="cert_1"))
    assert fresh.get(("/late", b""), NOW) is None
    fresh.keep(("/late", b""), kept(certificate_id="cert_1"))
    assert fresh.next(()).get(("/late", b""), NOW) is not None


def test_a_change_that_is_taken_back_still_shows(two: Deployment) -> None:
    """Suspended and resumed between two snapshots: the status is the same, its history is not."""
    identifier = ORDINARY[0].id
    before, (seen, _) = certificate_states(two, [identifier]), changes(two, None)
    for status in (CertificateStatus.SUSPENDED, CertificateStatus.APPROVED):
        change_status(two, identifier, status, actor="operator:ada", reason="looked into")
    assert certificate_states(two, [identifier]) != before
    assert changes(two, seen)[1] == {identifier}


@pytest.mark.parametrize("closed", [False, True])
def test_a_flag_changes_the_state_of_its_certificate_alone(two: Deployment, closed: bool) -> None:
    first, second = (sample.id for sample in ORDINARY[:2])
    before, (seen, _) = certificate_states(two, [first, second]), changes(two, None)
    with two.sessions.begin() as session:
        session.add(
            FlagRow(
                certificate_id=first,
                reason="OTHER",
                detail="odd",
                contact=None,
                reporter="0" * 64,
                flagged_at=NOW - timedelta(days=1) if closed else utc_now(),
                closed_at=utc_now() if closed else None,
            )
        )
    after = certificate_states(two, [first, second])
    assert (after[first].open_flags, after[second]) == (0 if closed else 1, before[second])
    assert changes(two, seen)[1] == {first}


def test_a_log_that_has_become_shorter_changes_everything(two: Deployment) -> None:
    change_status(two, ORDINARY[0].id, CertificateStatus.SUSPENDED, actor="operator:ada", reason="looked into")
    seen, _ = changes(two, None)
    with two.sessions.begin() as session:
        session.execute(delete(LogEntryRow))
    assert changes(two, seen)[1] is None


def test_more_changes_than_are_remembered_change_everything() -> None:
    standing = Snapshot(ROOM)
    standing.keep(("/verify", b""), kept(certificate_id="cert_1"))
    many = {f"cert_{number}" for number in range(2, snapshot.MAX_CHANGED + 2)}
    assert standing.next(many).get(("/verify", b""), NOW) is not None
    assert standing.next({*many, "cert_0"}).get(("/verify", b""), NOW) is None


def test_states_are_read_for_any_number_of_certificates(kept: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [sample.id for sample in ORDINARY] + ["cert_unknown"]
    at_once = certificate_states(kept, wanted)
    monkeypatch.setattr(snapshot, "IDS_PER_QUERY", 4)
    assert certificate_states(kept, wanted) == at_once
    assert at_once.keys() == {sample.id for sample in ORDINARY}


def test_an_answer_ends_with_its_certificate() -> None:
    standing = Snapshot(ROOM)
    standing.keep(("/verify", b""), kept(until=NOW))
    assert standing.get(("/verify", b""), NOW - timedelta(milliseconds=1)) is not None
    assert standing.get(("/verify", b""), NOW) is None


def test_an_endless_query_string_is_not_worth_the_room() -> None:
    standing = Snapshot(ROOM)
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

    def slow(deployment: Deployment, seen: Seen | None) -> tuple[Seen, set[str] | None]:
        go.wait()
        return changes(deployment, seen)

    async def scenario() -> None:
        snapshots = Snapshots(ROOM, clock)
        first = await snapshots.standing(two)
        first.keep(("/verify", b""), kept(certificate_id=identifier))
        monkeypatch.setattr(snapshot, "changes", slow)
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

    def fail(*_: Any) -> None:
        raise OSError("gone")

    async def scenario() -> None:
        snapshots = Snapshots(ROOM, clock)
        first = await snapshots.standing(two)
        first.keep(("/verify", b""), kept(certificate_id="cert_1"))
        monkeypatch.setattr(snapshot, "changes", fail)
        clock.now += 10
        empty = await snapshots.standing(two)
        assert empty.get(("/verify", b""), utc_now()) is None

    asyncio.run(scenario())
