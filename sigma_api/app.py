"""The API of a deployment: every plane under one host. ``uvicorn sigma_api.app:app``.

A deployment that serves its planes on hosts of their own calls the planes' applications instead (`sigma_api.plane.Plane.app`).
"""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from sigma_api import logs
from sigma_api.openapi import openapi_document
from sigma_api.plane import Plane
from sigma_api.public.plane import public_plane
from sigma_api.rate_limit import SlidingWindow
from sigma_api.service import service_plane
from sigma_core.config import load_settings
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.opening import open_deployment

log = logging.getLogger(__name__)


class Host:
    """Hands each request to the plane that owns its path; what no plane owns, and the lifespan, to the ``service`` plane."""

    def __init__(self, service: Plane, planes: Sequence[Plane]) -> None:
        self.service = service
        self.planes = tuple(planes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        plane = self.service
        if scope["type"] == "http":
            plane = next((plane for plane in self.planes if plane.owns(scope["path"])), plane)
        await plane.app(scope, receive, send)

    @property
    def apis(self) -> list[FastAPI]:
        """The FastAPI applications of all planes."""
        return [plane.api for plane in (*self.planes, self.service)]


def create_app(deployment: Deployment | None = None) -> Host:
    """Every plane over ``deployment``, or over the one of the settings, which is then opened at startup and closed at the end.

    Raises SettingsError.
    """
    settings = deployment.settings if deployment is not None else load_settings()

    @cache
    def document() -> dict[str, Any]:
        return openapi_document(host.apis, settings.public_url)

    def serve(opened: Deployment) -> None:
        for api in host.apis:
            api.state.deployment = opened

    @asynccontextmanager
    async def lifespan(_service: FastAPI) -> AsyncIterator[None]:
        logs.configure(settings.log_level)
        try:
            opened = await run_in_threadpool(open_deployment, settings)
        except SigmaError as error:
            log.critical("cannot start", extra={"fields": {"code": error.code, "error": str(error)}})
            raise
        serve(opened)
        # Everything so far stays for as long as the process: a collection that looks at it holds all requests up.
        gc.freeze()
        yield
        opened.close()

    window = SlidingWindow(settings.public_rate_requests, settings.public_rate_window_seconds)
    host = Host(
        service_plane(document, lifespan if deployment is None else None),
        [public_plane(window, settings.public_answers_mib * 2**20)],
    )
    if deployment is not None:
        serve(deployment)
    return host


app = create_app()
