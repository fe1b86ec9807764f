"""A limit on requests per client address: a sliding window of two counters, in the memory of this process.

With several workers each has a window of its own, so a client gets up to the limit from each; a deployment that needs one
limit for all puts it in front (proxy or gateway). Headers follow draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigma_api.problems import problem

MAX_CLIENTS = 100_000
"""Addresses counted in one window at most (some 15 MB). Beyond it new ones pass uncounted: memory stays bounded, and a flood
from that many addresses is for the network in front to stop."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left to a client: ``remaining`` requests, and seconds until a window has passed."""

    allowed: bool
    remaining: int
    reset_seconds: int


class SlidingWindow:
    """Counts of the current fixed window and the one before; the latter fades out linearly.

    Runs in the event loop alone, so it needs no lock. ``clock`` gives monotonic seconds.
    """

    def __init__(
        self,
        limit: int,
        window_seconds: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_clients: int = MAX_CLIENTS,
    ) -> None:
        self.limit = limit
        self.window_seconds = window_seconds
        self._clock = clock
        self._max_clients = max_clients
        self._window = 0
        self._current: dict[str, int] = {}
        self._previous: dict[str, int] = {}

    def take(self, client: str) -> Quota:
        """Count one request of ``client`` if it is within the limit; a refused request costs nothing."""
        window, into_window = divmod(self._clock(), self.window_seconds)
        self._advance(int(window))
        left_of_window = self.window_seconds - into_window
        faded = self._previous.get(client, 0) * left_of_window / self.window_seconds
        count = self._current.get(client, 0)
        allowed = count + faded + 1 <= self.limit
        if allowed and (client in self._current or len(self._current) < self._max_clients):
            count += 1
            self._current[client] = count
        return Quota(allowed, max(0, math.floor(self.limit - count - faded)), math.ceil(left_of_window))

    def refusal(self, what: str, quota: Quota) -> Response:
        """The answer to a client that has sent too much of ``what``."""
        return problem(
            "rate-limited",
            f"More than {self.limit} {what} in {self.window_seconds} seconds came from your address; "
            f"wait {quota.reset_seconds} seconds.",
            headers={"Retry-After": str(quota.reset_seconds)},
        )

    def _advance(self, window: int) -> None:
        if window != self._window:
            self._previous = self._current if window == self._window + 1 else {}
            self._current = {}
            self._window = window


def client_key(host: str | None) -> str:
    """Whom to count: an IPv4 address; the /64 of an IPv6 address, which one client owns whole; ``local`` for a Unix socket."""
    if host is None:
        return "local"
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped) if address.ipv4_mapped else address.packed[:8].hex()


def client_of(scope: Scope) -> str:
    """Whom to count for a request."""
    client = scope.get("client")
    return client_key(client[0] if client else None)


class RateLimit:
    """Holds every client of a plane to the ``window``. The client is the peer of the connection: behind a proxy, let the
    server take it from the forwarded header (uvicorn: ``--forwarded-allow-ips``), never from an unknown peer."""

    def __init__(self, app: ASGIApp, name: str, window: SlidingWindow) -> None:
        self._app = app
        self._name = name
        self._window = window
        self._policy = f'"{name}";q={window.limit};w={window.window_seconds}'.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        quota = self._window.take(client_of(scope))

        async def send_with_quota(message: Message) -> None:
            if message["type"] == "http.response.start":
                rate = f'"{self._name}";r={quota.remaining};t={quota.reset_seconds}'.encode()
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"ratelimit-policy", self._policy),
                    (b"ratelimit", rate),
                ]
            await send(message)

        if quota.allowed:
            await self._app(scope, receive, send_with_quota)
            return
        await self._window.refusal("requests", quota)(scope, receive, send_with_quota)
