"""Errors as RFC 9457 problem details: one shape, one table of kinds, and the handlers that turn exceptions into them.

What an answer says is safe to show to anybody: paths, statements and stack traces go to the log, never into a problem.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from sigma_api.caching import NOT_FOUND_CACHE_CONTROL
from sigma_api.methods import allow_header
from sigma_api.wire import WireModel
from sigma_core.errors import SigmaError, Unavailable

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "/problems/"
RETRY_SECONDS = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """What every problem of one type has in common."""

    status: int
    title: str
    meaning: str


PROBLEMS: dict[str, ProblemKind] = {
    "bad-request": ProblemKind(
        400, "The request cannot be understood", "The request breaks the rules of HTTP or of its media type."
    ),
    "invalid-cursor": ProblemKind(
        400, "The cursor is not one of ours", "Take `cursor` unchanged from `nextCursor` of an earlier page."
    ),
    "not-found": ProblemKind(404, "There is nothing here", "No record has this id, or no route has this path."),
    "no-skill-file": ProblemKind(
        404, "There is no SKILL.md", "The certificate is about an API, which has no SKILL.md to hash or compare."
    ),
    "method-not-allowed": ProblemKind(
        405, "This method is not served here", "The `Allow` header lists the methods that are."
    ),
    "request-timeout": ProblemKind(
        408, "The body came too slowly", "Send the whole body within the time that `detail` names."
    ),
    "content-too-large": ProblemKind(413, "The body is too large", "`detail` says how many bytes are taken."),
    "invalid-parameter": ProblemKind(
        422, "A parameter breaks its rule", "`errors` names each parameter and the rule that it breaks."
    ),
    "source-url-invalid": ProblemKind(
        422,
        "This is no source on GitHub",
        "Give an https URL of a public repository, of a folder in it, or of its SKILL.md, and a branch, tag or commit.",
    ),
    "source-refused": ProblemKind(
        422, "The source was not taken", "What is at the source is too large, is not a plain file, or leads elsewhere."
    ),
    "package-refused": ProblemKind(
        422, "The package is not taken", "`code` names the rule of intake that it breaks, `detail` the place."
    ),
    "rate-limited": ProblemKind(429, "Too many requests", "Wait as many seconds as `Retry-After` says."),
    "internal": ProblemKind(
        500, "SIGMA failed", "The fault is ours and has been logged under the `X-Request-ID` of the answer."
    ),
    "source-unreachable": ProblemKind(
        502,
        "The source cannot be fetched",
        "GitHub has no public file there, or did not answer. It may help to try again.",
    ),
    "unavailable": ProblemKind(503, "SIGMA cannot answer now", "Try again after `Retry-After` seconds."),
    "source-timed-out": ProblemKind(
        504, "The source took too long", "GitHub did not send the file in time. Try again later."
    ),
}
"""Every problem type by its slug, the last part of ``type``."""


class InvalidParameter(WireModel):
    """One parameter that breaks its rule."""

    location: str
    """Where the parameter stands: query, path, header, cookie or body."""
    name: str
    """The parameter, or the path to the member of the body."""
    detail: str
    """The rule that it breaks."""


class Problem(WireModel):
    """Problem details for HTTP APIs (RFC 9457)."""

    type: str
    """Reference to the page that explains this type of problem."""
    title: str
    """The type in words; the same for every occurrence."""
    status: int
    """The HTTP status code."""
    detail: str
    """What is wrong with this request, and what to do about it."""
    errors: list[InvalidParameter] | None = None
    """The parameters that are wrong; only for `invalid-parameter`."""
    code: str | None = None
    """The rule of intake; only for `package-refused`."""


class ProblemError(Exception):
    """Raised by a route to answer with the problem ``slug`` of `PROBLEMS`."""

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: list[InvalidParameter] | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.slug = slug
        self.detail = detail
        self.headers = headers
        self.errors = errors
        self.code = code


def problem(
    slug: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: list[InvalidParameter] | None = None,
    code: str | None = None,
) -> Response:
    """The answer for one occurrence of the problem ``slug``."""
    kind = PROBLEMS[slug]
    body = Problem(
        type=TYPE_PREFIX + slug, title=kind.title, status=kind.status, detail=detail, errors=errors, code=code
    )
    cache = NOT_FOUND_CACHE_CONTROL if kind.status == 404 else "no-store"
    return Response(
        body.model_dump_json(exclude_none=True),
        status_code=kind.status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": cache, **(headers or {})},
    )


def documented(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI ``responses`` of a route that may answer with these problems."""
    responses: dict[int | str, dict[str, Any]] = {}
    for slug in slugs:
        kind = PROBLEMS[slug]
        response = responses.setdefault(
            kind.status,
            {
                "description": HTTPStatus(kind.status).phrase,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        response["content"][MEDIA_TYPE]["examples"][slug] = {
            "summary": kind.title,
            "value": {"type": TYPE_PREFIX + slug, "title": kind.title, "status": kind.status, "detail": kind.meaning},
        }
        if kind.status in (429, 503):
            response["headers"] = {
                "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
            }
    return responses


def install(api: FastAPI) -> None:
    """Make every error of ``api`` a problem."""
    api.add_exception_handler(ProblemError, _on_problem)
    api.add_exception_handler(SigmaError, _on_sigma_error)
    api.add_exception_handler(PoolTimeout, _on_pool_timeout)
    api.add_exception_handler(RequestValidationError, _on_invalid_parameters)
    api.add_exception_handler(HTTPException, _on_http_exception)
    api.add_exception_handler(Exception, internal_problem)


def internal_problem(_request: Request, _error: Exception) -> Response:
    """500 that says nothing about the error; `sigma_api.envelope` logs it."""
    return problem(
        "internal", "SIGMA failed to answer; the fault has been logged. Name the X-Request-ID when you report it."
    )


def _unavailable() -> Response:
    return problem(
        "unavailable",
        f"Something that SIGMA needs cannot be reached at the moment; try again in {RETRY_SECONDS} seconds.",
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return problem(error.slug, error.detail, headers=error.headers, errors=error.errors, code=error.code)


def _on_sigma_error(request: Request, error: Exception) -> Response:
    """What the core refuses while it answers is ours to put right: what a client sent wrong, a route has refused before."""
    assert isinstance(error, SigmaError)
    if isinstance(error, Unavailable):
        log.error("unavailable", extra={"fields": {"code": error.code, "error": str(error)}})
        return _unavailable()
    log.error("refused by the core", exc_info=error, extra={"fields": {"code": error.code}})
    return internal_problem(request, error)


def _on_pool_timeout(_request: Request, error: Exception) -> Response:
    log.error("no free database connection", extra={"fields": {"error": str(error)}})
    return _unavailable()


def _on_invalid_parameters(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        InvalidParameter(
            location=str(fault["loc"][0]),
            name=".".join(str(part) for part in fault["loc"][1:]),
            detail=fault["msg"],
        )
        for fault in error.errors()
    ]
    detail = "; ".join(f"{fault.location} parameter {fault.name}: {fault.detail}" for fault in errors)
    return problem("invalid-parameter", detail, errors=errors)


def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problem("not-found", "No route has this path; the OpenAPI document at /openapi.json lists them all.")
    if error.status_code == 405:
        allowed = allow_header(request.app, request.url.path)
        return problem("method-not-allowed", f"This path is served for {allowed}.", headers={"Allow": allowed})
    return problem("bad-request", str(error.detail), headers=error.headers)
