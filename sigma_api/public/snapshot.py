"""Answers in memory: what was answered a moment ago is sent again, without a query, while it is still true.

Once a second a new snapshot takes the place of the old one. Answers about a certificate outlive it until the certificate changes: its
status in the transparency log, its flags, or its publisher's site. That is asked for once for all of them, so a swap costs what changed
and not what is kept. Everything else is good for one snapshot, and built anew when it is next asked for. Requests meanwhile are answered
from the snapshot that stands; only one that finds it older than `MAX_AGE_SECONDS` waits for the next. Memory is bounded; with any number
of certificates only those that are asked for are in it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import FastAPI, Request, Response
from sqlalchemy import CompoundSelect, func, or_, select, union
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from sigma_api.caching import Answer
from sigma_core.certificates.log.entry import EntryKind
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.sites import Site, site_of
from sigma_core.storage.protocol import AuditTrailRow, CertificateRow, FlagRow, LogEntryRow, SiteClaimRow
from sigma_core.timestamps import utc_now

REFRESH_SECONDS = 1.0
MAX_AGE_SECONDS = 3.0
"""Nobody gets an answer from a snapshot older than this."""
MAX_KEY_BYTES = 512
OVERHEAD_BYTES = 1_536
"""What an answer takes beside its bytes: its key, headers and objects (measured)."""
MAX_CHANGED = 10_000
"""Certificates whose changes are remembered; with more of them all answers are made anew."""
FLAG_SETTLING = timedelta(seconds=60)
IDS_PER_QUERY = 500

SCOPE_KEY = "sigma.snapshot"

log = logging.getLogger(__name__)

Key = tuple[str, bytes]
"""Path and query string."""


@dataclass(frozen=True, slots=True)
class CertificateState:
    """What an answer about a certificate depends on, beside its seal: its row, open flags, index of its last status change, site."""

    status: str
    bundle_sha256: str
    open_flags: int
    last_change: int | None
    site: Site | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that is good until ``until``; about a certificate, or, without one, for one snapshot only."""

    answer: Answer
    until: datetime | None = None
    certificate_id: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """How far changes have been looked at: entries of the log, and the instant from which on flags are."""

    entries: int
    flags_from: datetime


class Answers:
    """Answers by path and query, with the number of the snapshot that each was made for.

    Two generations: when the younger is full the elder is dropped, so what is asked for stays.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes // 2
        self._young: dict[Key, tuple[int, Kept]] = {}
        self._elder: dict[Key, tuple[int, Kept]] = {}
        self._young_bytes = 0

    def get(self, key: Key) -> tuple[int, Kept] | None:
        """The answer, and for which snapshot it was made."""
        found = self._young.get(key)
        if found is None:
            found = self._elder.get(key)
            if found is not None:
                self.keep(key, *found)
        return found

    def keep(self, key: Key, number: int, kept: Kept) -> None:
        """Remember it; a key that is longer than any of ours need be is not worth the room."""
        if len(key[0]) + len(key[1]) > MAX_KEY_BYTES:
            return
        size = len(kept.answer.content) + OVERHEAD_BYTES
        if self._young_bytes + size > self._max_bytes:
            self._young, self._elder, self._young_bytes = {}, self._young, 0
        if key not in self._young:
            self._young_bytes += size
        self._young[key] = (number, kept)


class Snapshot:
    """What may be answered now. ``next`` is what stands after it, with the answers about certificates that have not changed."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._number = 0
        self._passing = Answers(max_bytes // 4)
        self._lasting = Answers(max_bytes - max_bytes // 4)
        self._changed: dict[str, int] = {}

    def get(self, key: Key, at: datetime) -> Kept | None:
        """The answer that is good at ``at``."""
        found = self._lasting.get(key) or self._passing.get(key)
        if found is None:
            return None
        number, kept = found
        if kept.certificate_id is not None and self._changed.get(kept.certificate_id, -1) >= number:
            return None
        return None if kept.until is not None and at >= kept.until else kept

    def keep(self, key: Key, kept: Kept) -> None:
        """Remember the answer to a request that came while this snapshot stood: one that comes late, after a change, is out of date
        by its number."""
        (self._passing if kept.certificate_id is None else self._lasting).keep(key, self._number, kept)

    def next(self, changed: Collection[str]) -> Snapshot:
        """The snapshot after this one; what was answered about the certificates ``changed`` is not in it."""
        if len(self._changed) + len(changed) > MAX_CHANGED:
            return Snapshot(self._max_bytes)
        fresh = Snapshot(self._max_bytes)
        fresh._number = self._number + 1
        fresh._lasting = self._lasting
        fresh._changed = self._changed | dict.fromkeys(changed, self._number)
        return fresh


class Snapshots:
    """The snapshot that stands, and its replacement. Runs in one event loop; ``clock`` gives monotonic seconds."""

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._standing = Snapshot(max_bytes)
        self._seen: Seen | None = None
        self._taken = -MAX_AGE_SECONDS
        self._taking: asyncio.Task[None] | None = None

    async def standing(self, deployment: Deployment) -> Snapshot:
        """The snapshot to answer from. When the databases cannot be asked it is an empty one, so that the route says so."""
        age = self._clock() - self._taken
        if age >= REFRESH_SECONDS:
            if self._taking is None or self._taking.done():
                self._taking = asyncio.ensure_future(self._replace(deployment))
            if age >= MAX_AGE_SECONDS:
                await asyncio.shield(self._taking)
        return self._standing

    async def _replace(self, deployment: Deployment) -> None:
        began = self._clock()
        try:
            seen, changed = await run_in_threadpool(changes, deployment, self._seen)
        except Exception as error:  # the next request meets it in its route, which answers it as a problem
            log.error("snapshot dropped", extra={"fields": {"error": str(error)}})
            seen, changed = None, None
        self._standing = Snapshot(self._max_bytes) if changed is None else self._standing.next(changed)
        self._seen, self._taken = seen, began


def _with_changed_sites(since: datetime) -> CompoundSelect[tuple[str]]:
    """Submissions whose publisher's site was claimed, checked or withdrawn since."""
    checked = select(SiteClaimRow.submission_id).where(
        or_(SiteClaimRow.checked_at >= since, SiteClaimRow.claimed_at >= since)
    )
    withdrawn = select(AuditTrailRow.subject).where(AuditTrailRow.action == "site.withdraw", AuditTrailRow.at >= since)
    return union(checked, withdrawn)


def changes(deployment: Deployment, seen: Seen | None) -> tuple[Seen, set[str] | None]:
    """What is seen now, and the certificates that may have changed after ``seen``; None for all of them, as in the beginning and
    where the log has become shorter. Raises Unavailable.

    Entries of the log have indices in the order of their commits, so none is missed. A flag is looked at again for
    `FLAG_SETTLING`, because its transaction may end a while after the instant that it names.
    """
    flags_from = utc_now() - FLAG_SETTLING
    with deployment.read_sessions() as session:
        entries = session.scalar(select(func.coalesce(func.max(LogEntryRow.index) + 1, 0))) or 0
        if seen is None or entries < seen.entries:
            return Seen(entries, flags_from), None
        logged = session.scalars(select(LogEntryRow.subject).where(LogEntryRow.index >= seen.entries)).all()
        flagged = session.scalars(
            select(FlagRow.certificate_id).where(
                or_(FlagRow.flagged_at >= seen.flags_from, FlagRow.closed_at >= seen.flags_from)
            )
        ).all()
        sites = session.scalars(_with_changed_sites(seen.flags_from)).all()
        # Sites change a few times a day: only then are their certificates looked for.
        sited = (
            session.scalars(select(CertificateRow.id).where(CertificateRow.submission_id.in_(sites))).all()
            if sites
            else ()
        )
    # What was logged in between is counted by the next: looking at it twice does no harm.
    return Seen(entries, flags_from), {*logged, *flagged, *sited}


def certificate_states(deployment: Deployment, identifiers: Iterable[str]) -> dict[str, CertificateState]:
    """The states of these certificates now. Raises Unavailable."""
    wanted = sorted(identifiers)
    states: dict[str, CertificateState] = {}
    now = utc_now()
    for start in range(0, len(wanted), IDS_PER_QUERY):
        some = wanted[start : start + IDS_PER_QUERY]
        with deployment.read_sessions() as session:
            rows = session.execute(
                select(CertificateRow.id, CertificateRow.status, CertificateRow.bundle_sha256, SiteClaimRow)
                .outerjoin(SiteClaimRow, SiteClaimRow.submission_id == CertificateRow.submission_id)
                .where(CertificateRow.id.in_(some))
            ).all()
            flags = session.execute(
                select(FlagRow.certificate_id, func.count())
                .where(FlagRow.certificate_id.in_(some), FlagRow.closed_at.is_(None))
                .group_by(FlagRow.certificate_id)
            )
            open_flags = {row[0]: row[1] for row in flags}
            changes = session.execute(
                select(LogEntryRow.subject, func.max(LogEntryRow.index))
                .where(LogEntryRow.subject.in_(some), LogEntryRow.kind == EntryKind.STATUS.value)
                .group_by(LogEntryRow.subject)
            )
            last_changes = {row[0]: row[1] for row in changes}
        for identifier, status, digest, claim in rows:
            states[identifier] = CertificateState(
                status,
                digest,
                open_flags.get(identifier, 0),
                last_changes.get(identifier),
                site_of(claim, now),
            )
    return states


class SnapshotFront:
    """Answers GET from the standing snapshot where it can, before any routing; else ``app`` does, and may `keep` its answer."""

    def __init__(self, app: ASGIApp, api: FastAPI, snapshots: Snapshots) -> None:
        self._app = app
        self._api = api
        self._snapshots = snapshots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        snapshot = await self._snapshots.standing(self._api.state.deployment)
        kept = snapshot.get((scope["path"], scope["query_string"]), utc_now())
        if kept is not None:
            fields = [value.decode("latin-1") for name, value in scope["headers"] if name == b"if-none-match"]
            await kept.answer.send(fields, send)
        else:
            await self._app({**scope, SCOPE_KEY: snapshot}, receive, send)


def keep(request: Request, kept: Kept) -> Response:
    """The answer to ``request``, which the snapshot that stood when it came will give to the next one too."""
    snapshot = request.scope.get(SCOPE_KEY)
    if snapshot is not None:
        snapshot.keep((request.scope["path"], request.scope["query_string"]), kept)
    return kept.answer.response(request.headers.getlist("if-none-match"))
