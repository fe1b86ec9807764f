"""A plane: an ASGI application of its own, with its own audience and rules, so that it can be served on a host of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI, Request
from starlette.types import ASGIApp

from sigma_api import problems
from sigma_core.deployment import Deployment


@dataclass(frozen=True, slots=True)
class Plane:
    """``api`` holds the routes, ``app`` is what a server calls. ``prefixes`` are the paths that belong to the plane."""

    prefixes: tuple[str, ...]
    api: FastAPI
    app: ASGIApp

    def owns(self, path: str) -> bool:
        """Whether ``path`` is one of the prefixes or below it."""
        return any(path == prefix or path.startswith(prefix + "/") for prefix in self.prefixes)


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
"""What surrounds the life of a process: startup before the yield, shutdown after it."""


def api_of(router: APIRouter, lifespan: Lifespan | None = None) -> FastAPI:
    """A FastAPI application with these routes and our problems, and no page or redirect that it would make up by itself."""
    api = FastAPI(openapi_url=None, redirect_slashes=False, lifespan=lifespan)
    api.include_router(router)
    problems.install(api)
    return api


def deployment_of(request: Request) -> Deployment:
    """The deployment that `sigma_api.app` opened for the plane."""
    deployment: Deployment = request.app.state.deployment
    return deployment
