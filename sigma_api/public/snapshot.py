"""Answers in memory: what was answered a moment ago is sent again, without a query, while it is still true.

Once a second a new snapshot takes the place of the old one, whole: answers about certificates whose state has not changed are
carried over, everything else is built anew when it is next asked for. Requests meanwhile are answered from the snapshot that
stands; only one that finds it older than `MAX_AGE_SECONDS` waits for the next. Memory is bounded; with any number of
certificates only those that are asked for are in it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from fastapi import FastAPI, Request, Response
from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sigma_api.caching import Answer
from sigma_core.certificates.log.entry import EntryKind
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.sites import Site, site_of
from sigma_core.storage.protocol import CertificateRow, FlagRow, LogEntryRow, SiteClaimRow
from sigma_core.timestamps import utc_now

REFRESH_SECONDS = 1.0
MAX_AGE_SECONDS = 3.0
"""Nobody gets an answer from a snapshot older than this."""
MAX_BYTES = 128 * 1024 * 1024
MAX_KEY_BYTES = 512
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
    """An answer that is good until ``until``; about a certificate in ``state``, or, without one, for one snapshot only."""

    answer: Answer
    until: datetime | None = None
    certificate_id: str | None = None
    state: CertificateState | None = None


class Snapshot:
    """Answers by path and query. Two generations: when the younger is full the elder is dropped, so what is asked for stays."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes // 2
        self._young: dict[Key, Kept] = {}
        self._elder: dict[Key, Kept] = {}
        self._young_bytes = 0

    def get(self, key: Key, at: datetime) -> Kept | None:
        """The answer that is good at ``at``."""
        kept = self._young.get(key)
        if kept is None:
            kept = self._elder.get(key)
            if kept is not None:
                self.keep(key, kept)
        return None if kept is None or (kept.until is not None and at >= kept.until) else kept

    def keep(self, key: Key, kept: Kept) -> None:
        """Remember it; a key that is longer than any of ours need be is not worth the room."""
        if len(key[0]) + len(key[1]) > MAX_KEY_BYTES:
            return
        size = len(kept.answer.content) + MAX_KEY_BYTES
        if self._young_bytes + size > self._max_bytes:
            self._young, self._elder, self._young_bytes = {}, self._young, 0
        if key not in self._young:
            self._young_bytes += size
        self._young[key] = kept

    def carried_over(self, states: Callable[[Iterable[str]], dict[str, CertificateState]]) -> Snapshot:
        """The next snapshot: with those answers whose certificate is still in the state that they were made from."""
        # Copies, because requests go on adding; what they add to this snapshot from here on is lost, which harms nothing.
        elder = {key: kept for key, kept in self._elder.copy().items() if kept.certificate_id is not None}
        young = {key: kept for key, kept in self._young.copy().items() if kept.certificate_id is not None}
        now = states({str(kept.certificate_id) for kept in (*elder.values(), *young.values())})
        fresh = Snapshot(2 * self._max_bytes)
        for generation in (elder, young):
            for key, kept in generation.items():
                if now.get(str(kept.certificate_id)) == kept.state:
                    fresh.keep(key, kept)
        return fresh


class Snapshots:
    """The snapshot that stands, and its replacement. Runs in one event loop; ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._standing = Snapshot()
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
        standing = self._standing
        try:
            fresh = await run_in_threadpool(
                standing.carried_over, lambda identifiers: certificate_states(deployment, identifiers)
            )
        except Exception as error:  # the next request meets it in its route, which answers it as a problem
            log.error("snapshot dropped", extra={"fields": {"error": str(error)}})
            fresh = Snapshot()
        self._standing, self._taken = fresh, began


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
            response = kept.answer.response(Headers(scope=scope).getlist("if-none-match"))
            await response(scope, receive, send)
        else:
            await self._app({**scope, SCOPE_KEY: snapshot}, receive, send)


def keep(request: Request, kept: Kept) -> Response:
    """The answer to ``request``, which the snapshot that stood when it came will give to the next one too."""
    snapshot = request.scope.get(SCOPE_KEY)
    if snapshot is not None:
        snapshot.keep((request.scope["path"], request.scope["query_string"]), kept)
    return kept.answer.response(request.headers.getlist("if-none-match"))
