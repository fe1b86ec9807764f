"""A request to an ASGI application of this process: what asks on somebody's behalf takes the same way as everybody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from starlette.types import ASGIApp, Message, Scope

Client = tuple[str, int] | None
"""Address and port of whoever asks."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and whole body."""

    status: int
    body: bytes = field(repr=False)


async def ask(
    app: ASGIApp,
    path: str,
    *,
    client: Client,
    query: Mapping[str, str] | None = None,
    body: bytes | None = None,
    media_type: str = "application/json",
) -> Answer:
    """GET ``path`` (plain ASCII, nothing to escape in it), or POST it with a ``body``."""
    headers = [] if body is None else [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))]
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET" if body is None else "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("ascii"),
        "query_string": urlencode(query or {}).encode(),
        "root_path": "",
        "headers": headers,
        "client": client,
        "server": None,
    }
    status = 0
    chunks: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body or b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            chunks.append(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, b"".join(chunks))
