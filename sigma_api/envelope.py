"""The outermost layer of every plane: request id, security headers on every answer, and the log of what was answered."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping

import re2
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigma_api.logs import request_id
from sigma_api.problems import internal_problem

SECURITY_HEADERS = {
    # Answers are data: nothing in them may load, run, be framed or be posted to.
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

ACCEPTED_REQUEST_ID = re2.compile(r"[A-Za-z0-9._-]{8,64}")

log = logging.getLogger(__name__)


class Envelope:
    """Wraps ``app`` and adds ``headers`` to every answer, errors included; an exception ends here, in the log."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = accepted_request_id(Headers(scope=scope).get("x-request-id")) or uuid.uuid4().hex
        token = request_id.set(identifier)
        started = time.perf_counter_ns()
        status: int | None = None

        async def send_in_envelope(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # As they are sent, because this is on the way of every answer.
                headers = message["headers"] = list(message.get("headers", ()))
                given = {name for name, _ in headers}
                headers.append((b"x-request-id", identifier.encode()))
                headers.extend(header for header in self._headers if header[0] not in given)
            await send(message)

        try:
            await self._app(scope, receive, send_in_envelope)
        except Exception as error:
            log.exception("unexpected error", extra={"fields": {"method": scope["method"], "path": scope["path"]}})
            if status is None:
                await internal_problem(Request(scope), error)(scope, receive, send_in_envelope)
        finally:
            log.info(
                "answered",
                extra={
                    "fields": {
                        "method": scope["method"],
                        "path": scope["path"],
                        "status": status,
                        "microseconds": (time.perf_counter_ns() - started) // 1_000,
                    }
                },
            )
            request_id.reset(token)


def accepted_request_id(proposed: str | None) -> str | None:
    """The client's own request id if it is 8 to 64 letters, digits, dots, underscores and dashes."""
    return proposed if proposed is not None and ACCEPTED_REQUEST_ID.fullmatch(proposed) else None
