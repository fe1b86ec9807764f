"""Everybody's plane: no credentials, readable from any page, held to a rate per client address."""

from __future__ import annotations

from sigma_api.envelope import SECURITY_HEADERS, Envelope
from sigma_api.methods import Methods
from sigma_api.plane import Plane, api_of
from sigma_api.public.routes import PREFIX, router
from sigma_api.rate_limit import RateLimit, SlidingWindow

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


def public_plane(window: SlidingWindow) -> Plane:
    """The public plane, each client address held to ``window``."""
    api = api_of(router)
    limited = RateLimit(Methods(api, api, PREFLIGHT_HEADERS), "public", window)
    return Plane((PREFIX,), api, Envelope(limited, SECURITY_HEADERS | CROSS_ORIGIN_HEADERS))
