"""Everybody's plane: no credentials, readable from any page, held to a rate per client address."""

from __future__ import annotations

from fastapi import APIRouter

from sigma_api.bodies import BodyLimit
from sigma_api.envelope import SECURITY_HEADERS, Envelope
from sigma_api.methods import Methods
from sigma_api.plane import Plane, api_of
from sigma_api.public import (
    discovery,
    dry_run_routes,
    explanation_routes,
    flag_routes,
    log_routes,
    pages,
    quotas,
    routes,
    source_routes,
    standing,
)
from sigma_api.public.dry_run_routes import MAX_UPLOAD_BYTES, DryRunGate
from sigma_api.public.dry_run_routes import PATH as DRY_RUN
from sigma_api.public.mcp_front import PATH as MCP
from sigma_api.public.mcp_front import McpFront
from sigma_api.public.parameters import PREFIX
from sigma_api.public.quotas import DRY_RUNS
from sigma_api.public.snapshot import SnapshotFront, Snapshots
from sigma_api.rate_limit import RateLimit, SlidingWindow

ROUTERS = (
    routes.router,
    log_routes.router,
    standing.router,
    source_routes.router,
    flag_routes.router,
    dry_run_routes.router,
    explanation_routes.router,
    discovery.router,
    pages.router,
)
PREFIXES = (PREFIX, "/.well-known", "/skill.md", "/llms.txt", "/certificates", "/problems", MCP)

EMBEDDED_ANSWERS_BYTES = 64 * 2**20

CROSS_ORIGIN_HEADERS = {
    # Any page may read what is public. Sent whoever asks, so that one cached answer serves everybody and nothing varies.
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Allow, ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID",
    "Cross-Origin-Resource-Policy": "cross-origin",
}

PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "If-None-Match, X-Request-ID",
    "Access-Control-Max-Age": "86400",
}


def public_plane(window: SlidingWindow, answers_bytes: int = EMBEDDED_ANSWERS_BYTES) -> Plane:
    """The public plane, each client address held to ``window``, with answers of at most ``answers_bytes`` in memory."""
    router = APIRouter()
    for each in ROUTERS:
        router.include_router(each)
    api = api_of(router)
    api.state.windows = quotas.windows()
    gated = DryRunGate(BodyLimit(api, {DRY_RUN: MAX_UPLOAD_BYTES}), api.state.windows[DRY_RUNS[0]])
    answered = Methods(SnapshotFront(gated, api, Snapshots(answers_bytes)), api, PREFLIGHT_HEADERS)
    limited = RateLimit(McpFront(answered, api), "public", window)
    return Plane(PREFIXES, api, Envelope(limited, SECURITY_HEADERS | CROSS_ORIGIN_HEADERS))
