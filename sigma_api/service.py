"""The process itself: whether it lives, whether it can answer, and what it publishes about its routes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Request, Response

from sigma_api.caching import NOT_MODIFIED, cacheable
from sigma_api.envelope import SECURITY_HEADERS, Envelope
from sigma_api.methods import Methods
from sigma_api.plane import Lifespan, Plane, api_of, deployment_of
from sigma_api.problems import RETRY_SECONDS, ProblemError, documented
from sigma_api.wire import WireModel
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.storage.migrations import current_revision, revisions

log = logging.getLogger(__name__)


class Health(WireModel):
    """The process is well."""

    status: Literal["ok"]


def service_plane(document: Callable[[], dict[str, Any]], lifespan: Lifespan | None) -> Plane:
    """Health and ``/openapi.json``; answers, too, for every path that belongs to no other plane, and runs the ``lifespan``."""
    router = APIRouter(tags=["service"])

    @router.get(
        "/livez",
        operation_id="getLiveness",
        summary="Does the process answer?",
        response_model=Health,
        responses=documented("internal"),
    )
    async def livez(response: Response) -> dict[str, str]:
        """Always, while it runs; touches nothing else."""
        response.headers["Cache-Control"] = "no-store"
        return {"status": "ok"}

    @router.get(
        "/readyz",
        operation_id="getReadiness",
        summary="Can requests be answered?",
        response_model=Health,
        responses=documented("internal", "unavailable"),
    )
    def readyz(response: Response, deployment: Annotated[Deployment, Depends(deployment_of)]) -> dict[str, str]:
        """Yes, while the database can be reached and is migrated and the blob store can be read."""
        check_readiness(deployment)
        response.headers["Cache-Control"] = "no-store"
        return {"status": "ok"}

    @router.get(
        "/openapi.json",
        operation_id="getOpenapiDocument",
        summary="This document",
        response_model=dict[str, Any],
        responses=NOT_MODIFIED | documented("internal"),
    )
    async def openapi(request: Request) -> Response:
        """The OpenAPI 3.1 description of every route."""
        response = cacheable(request, orjson.dumps(document()))
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    api = api_of(router, lifespan)
    return Plane((), api, Envelope(Methods(api, api, {}), SECURITY_HEADERS))


def check_readiness(deployment: Deployment) -> None:
    """Raises ProblemError ``unavailable`` naming what is not ready; the log says why."""
    checks: dict[str, Callable[[], bool]] = {
        "database": lambda: current_revision(deployment.protocol) == revisions("protocol")[-1],
        "blob store": lambda: bool(deployment.blobs.get(deployment.policy.hash)),
    }
    for name, check in checks.items():
        try:
            ready, why = check(), "not migrated"
        except SigmaError as error:
            ready, why = False, str(error)
        if not ready:
            log.error("not ready", extra={"fields": {"check": name, "error": why}})
            raise ProblemError("unavailable", f"The {name} is not ready.", headers={"Retry-After": str(RETRY_SECONDS)})
