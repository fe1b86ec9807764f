"""The free pass of the sandbox over an upload: the result, and no record of it."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import ASGIApp, Receive, Scope, Send

from sigma_api.problems import RETRY_SECONDS, InvalidParameter, ProblemError, documented, problem
from sigma_api.public import schemas
from sigma_api.public.parameters import ANY, PREFIX, OpenDeployment
from sigma_api.public.quotas import DRY_RUNS
from sigma_api.public.sandbox_process import DryRunLost, UploadRefused, dry_run
from sigma_api.rate_limit import SlidingWindow, client_of

PATH = f"{PREFIX}/dry-run"
FIELD = "package"
MAX_UPLOAD_BYTES = 8 * 1024 * 1024 + 64 * 1024
"""An archive of 8 MiB, and what a form puts around it."""
MAX_UPLOADS_AT_ONCE = 8
"""Bodies that are being read or wait for their process: what bounds their memory."""
MAX_RUNS_AT_ONCE = 2

_runs = threading.BoundedSemaphore(MAX_RUNS_AT_ONCE)

router = APIRouter(prefix=PREFIX, tags=["public"])


class DryRunGate:
    """In front of the body: who may send an upload, and how many are taken at once. Runs in one event loop."""

    def __init__(self, app: ASGIApp, window: SlidingWindow) -> None:
        self._app = app
        self._window = window
        self._uploads = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        quota = self._window.take(client_of(scope))
        if not quota.allowed:
            await self._window.refusal(DRY_RUNS[0], quota)(scope, receive, send)
        elif self._uploads >= MAX_UPLOADS_AT_ONCE:
            await problem("unavailable", _BUSY, headers=_LATER)(scope, receive, send)
        else:
            self._uploads += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._uploads -= 1


_BUSY = "Too many dry runs are under way now; `sigma validate` does the same on your machine."
_LATER = {"Retry-After": str(RETRY_SECONDS)}


class _InMemory(MultiPartParser):
    spool_max_size = MAX_UPLOAD_BYTES + 1
    """Bodies are smaller (`sigma_api.bodies`), so that no upload reaches a disk."""


async def upload_of(request: Request) -> tuple[str, bytes]:
    """The file name and the bytes of the one upload. Raises ProblemError ``bad-request`` or ``invalid-parameter``."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ProblemError("bad-request", "The body is a form (multipart/form-data) with one file in it.")

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    body = await request.body()
    try:
        form = await _InMemory(request.headers, stream(), max_files=1, max_fields=0).parse()
    except (MultiPartException, FormParserError, KeyError, ValueError) as error:
        raise ProblemError("bad-request", f"The form cannot be read: {str(error)[:200] or 'malformed'}") from None
    return await _read(form)


async def _read(form: FormData) -> tuple[str, bytes]:
    try:
        upload = form.get(FIELD)
        if not isinstance(upload, UploadFile):
            fault = InvalidParameter(location="body", name=FIELD, detail="a file is expected")
            raise ProblemError("invalid-parameter", f"body parameter {FIELD}: a file is expected", errors=[fault])
        return upload.filename or FIELD, await upload.read()
    finally:
        await form.close()


@router.post(
    "/dry-run",
    operation_id="dryRun",
    summary="What the sandbox finds in a package",
    response_model=schemas.DryRun,
    responses=ANY
    | documented("package-refused", "invalid-parameter", "content-too-large", "request-timeout", "bad-request"),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": [FIELD],
                        "properties": {
                            FIELD: {
                                "type": "string",
                                "format": "binary",
                                "description": "A zip or tar of a skill or API, at most 8 MiB.",
                            }
                        },
                    }
                }
            },
        }
    },
)
def post_dry_run(deployment: OpenDeployment, upload: Annotated[tuple[str, bytes], Depends(upload_of)]) -> Response:
    """Intake and one pass of the sandbox, as `sigma validate --json` gives it; nothing is kept, nobody votes, and no certificate
    comes of it. Nothing in the package is executed or fetched."""
    name, data = upload
    if not _runs.acquire(blocking=False):
        raise ProblemError("unavailable", _BUSY, headers=_LATER)
    try:
        report = dry_run(data, name, deployment.policy)
    except UploadRefused as refusal:
        raise ProblemError("package-refused", refusal.message, code=refusal.code) from None
    except DryRunLost:
        raise ProblemError(
            "unavailable", "The dry run did not end in its time and memory; try `sigma validate`.", headers=_LATER
        ) from None
    finally:
        _runs.release()
    return Response(report, media_type="application/json", headers={"Cache-Control": "no-store"})
