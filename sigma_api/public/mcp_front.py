"""The MCP server over streamable HTTP at ``/mcp``: stateless, one JSON answer for each POST, and only for who means to reach it.

A web page that has led a browser to this machine under another name (DNS rebinding) is refused by Host and Origin.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sigma_api.bodies import MAX_BODY_BYTES, BodyLimit
from sigma_api.problems import problem
from sigma_core.config import Settings

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

PATH = "/mcp"
ALLOW = {"Allow": "OPTIONS, POST"}
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")


class McpFront:
    """Answers `PATH`; everything else ``plane`` does, which the tools ask too. Runs in one event loop."""

    def __init__(self, plane: ASGIApp, api: FastAPI) -> None:
        self._plane = plane
        self._api = api
        self._limited = BodyLimit(self._answer, {})
        self._starting = asyncio.Lock()
        self._manager: StreamableHTTPSessionManager | None = None
        self._life: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._plane(scope, receive, send)
        elif scope["method"] == "POST":
            await self._limited(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=ALLOW)(scope, receive, send)
        else:
            refusal = problem("method-not-allowed", f"This path is served for {ALLOW['Allow']}.", headers=ALLOW)
            await refusal(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        manager = await self._started()
        await manager.handle_request(scope, receive, send)

    async def _started(self) -> StreamableHTTPSessionManager:
        async with self._starting:
            if self._manager is None:
                manager = await run_in_threadpool(self._loaded)
                ready = asyncio.Event()
                # It lives as long as the loop does, and belongs to no request.
                self._life = asyncio.create_task(_live(manager, ready), context=Context())
                await ready.wait()
                self._manager = manager
        return self._manager

    def _loaded(self) -> StreamableHTTPSessionManager:
        # The SDK is loaded here, by the first request: nobody else has to wait for it.
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager  # noqa: PLC0415
        from mcp.server.transport_security import TransportSecuritySettings  # noqa: PLC0415

        from sigma_api.public.mcp_tools import mcp_server  # noqa: PLC0415

        origins = allowed_origins(self._api.state.deployment.settings)
        return StreamableHTTPSessionManager(
            mcp_server(self._plane),
            json_response=True,
            stateless=True,
            security_settings=TransportSecuritySettings(
                allowed_hosts=[urlsplit(origin).netloc for origin in origins], allowed_origins=origins
            ),
            max_request_body_size=MAX_BODY_BYTES,
        )


def allowed_origins(settings: Settings) -> list[str]:
    """Under which this deployment is reached: its public address and, where that is on this machine, every name of this machine."""
    public = urlsplit(settings.public_url)
    origins = {f"{public.scheme}://{public.netloc}"}
    if public.hostname in {host.strip("[]") for host in LOOPBACK_HOSTS}:
        ports = {public.port or 80, settings.api_port}
        origins |= {f"http://{host}:{port}" for host in LOOPBACK_HOSTS for port in ports}
    return sorted(origins)


async def _live(manager: StreamableHTTPSessionManager, ready: asyncio.Event) -> None:
    async with manager.run():
        ready.set()
        await asyncio.Event().wait()
