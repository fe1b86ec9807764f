"""``sigma mcp``: the MCP server of this deployment over standard input and output."""

from __future__ import annotations

import anyio

from sigma_api.public.plane import public_plane
from sigma_api.rate_limit import SlidingWindow
from sigma_core.config import Settings
from sigma_core.lifecycle.opening import open_deployment

REQUESTS_A_MINUTE = 1_000_000
"""Whoever runs this may ask as much as they like."""


def serve(settings: Settings) -> None:
    """Answer until standard input ends; nothing but the protocol is written to standard output."""
    plane = public_plane(SlidingWindow(REQUESTS_A_MINUTE, 60))
    deployment = open_deployment(settings)
    plane.api.state.deployment = deployment
    try:
        anyio.run(_serve, plane.app)
    finally:
        deployment.close()


async def _serve(app: object) -> None:
    from mcp.server.stdio import stdio_server

    from sigma_api.public.mcp_tools import mcp_server

    server = mcp_server(app)  # type: ignore[arg-type]
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
