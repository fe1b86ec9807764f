"""Strong validators and conditional requests (RFC 9110 sections 8.8 and 13) for answers that are the same for everybody."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from sigma_core.canonical import sha256_hex

CACHE_CONTROL = "public, max-age=30, stale-while-revalidate=300"
NOT_FOUND_CACHE_CONTROL = "public, max-age=5"
"""A certificate that is not there now may be there in a moment."""

JSON = "application/json"

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The bytes that `If-None-Match` names are still the answer."}
}
"""The OpenAPI ``responses`` of a route that answers with `cacheable`."""


def cacheable(request: Request, content: bytes, media_type: str = JSON) -> Response:
    """200 with ``content``, its ETag and `CACHE_CONTROL`; 304 where the client holds these bytes already."""
    etag = f'"{sha256_hex(content)}"'
    headers = {"ETag": etag, "Cache-Control": CACHE_CONTROL}
    if is_known(request.headers.getlist("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def is_known(if_none_match: list[str], etag: str) -> bool:
    """Whether the fields of ``If-None-Match`` name ``etag``: ``*``, or a list of which one matches by the weak comparison.

    Our tags are hex between quotes, so splitting at commas is exact for every tag that could match.
    """
    candidates = [candidate.strip() for field in if_none_match for candidate in field.split(",")]
    return candidates == ["*"] or any(candidate.removeprefix("W/") == etag for candidate in candidates)
