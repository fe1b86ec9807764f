"""Bodies of requests: read whole before any route runs, and only up to a size and for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigma_api.problems import problem

MAX_BODY_BYTES = 512 * 1024
BODY_SECONDS = 15


class BodyLimit:
    """Hands ``app`` a body that is complete; a larger or slower one is refused before anything has looked at it.

    ``at`` are paths with a limit of their own, in bytes.
    """

    def __init__(self, app: ASGIApp, at: Mapping[str, int]) -> None:
        self._app = app
        self._at = dict(at)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        most = self._at.get(scope["path"], MAX_BODY_BYTES)
        declared = Headers(scope=scope).get("content-length", "0")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = None if int(declared) > most else await _read(receive, most)
        except TimeoutError:
            refusal = problem("request-timeout", f"The body did not arrive within {BODY_SECONDS} seconds.")
            await refusal(scope, receive, send)
            return
        except ValueError:
            await problem("bad-request", "Content-Length is not a number.")(scope, receive, send)
            return
        if body is None:
            refusal = problem("content-too-large", f"A body here has at most {most} bytes.")
            await refusal(scope, receive, send)
            return
        await self._app(scope, _replayed(body, receive), send)


async def _read(receive: Receive, most: int) -> bytes | None:
    """The body, or None for one of more than ``most`` bytes."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(chunks)  # the client has gone; nobody will read the answer
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > most:
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
