"""Bodies of requests: read whole before any route runs, and only up to a size and for a time."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigma_api.problems import problem

MAX_BODY_BYTES = 512 * 1024
BODY_SECONDS = 15


class BodyLimit:
    """Hands ``app`` a body that is complete; a larger or slower one is refused before anything has looked at it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = None if int(declared) > MAX_BODY_BYTES else await _read(receive)
        except TimeoutError:
            refusal = problem("request-timeout", f"The body did not arrive within {BODY_SECONDS} seconds.")
            await refusal(scope, receive, send)
            return
        except ValueError:
            await problem("bad-request", "Content-Length is not a number.")(scope, receive, send)
            return
        if body is None:
            refusal = problem("content-too-large", f"A body here has at most {MAX_BODY_BYTES} bytes.")
            await refusal(scope, receive, send)
            return
        await self._app(scope, _replayed(body, receive), send)


async def _read(receive: Receive) -> bytes | None:
    """The body, or None for one that is too large."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(chunks)  # the client has gone; nobody will read the answer
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
