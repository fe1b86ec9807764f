"""Tighter limits for what costs more than reading: one window for each kind of request, per client address."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request

from sigma_api.problems import ProblemError
from sigma_api.rate_limit import SlidingWindow, client_of

COMPARISONS = ("comparisons", 30, 60)
FLAGS = ("flags", 10, 3_600)
DRY_RUNS = ("dry runs", 10, 60)
"""Name, requests, seconds."""


def windows() -> dict[str, SlidingWindow]:
    """Fresh windows for one plane, by name."""
    return {name: SlidingWindow(limit, seconds) for name, limit, seconds in (COMPARISONS, FLAGS, DRY_RUNS)}


def _quota(name: str) -> Callable[[Request], Coroutine[Any, Any, None]]:
    async def check(request: Request) -> None:
        """Raises ProblemError ``rate-limited``. In the event loop, where windows live."""
        window: SlidingWindow = request.app.state.windows[name]
        quota = window.take(client_of(request.scope))
        if not quota.allowed:
            raise ProblemError(
                "rate-limited",
                f"More than {window.limit} {name} in {window.window_seconds} seconds came from your address; "
                f"wait {quota.reset_seconds} seconds.",
                headers={"Retry-After": str(quota.reset_seconds)},
            )

    return check


comparisons_quota = _quota(COMPARISONS[0])
flags_quota = _quota(FLAGS[0])
