"""Strong validators and conditional requests (RFC 9110 sections 8.8 and 13) for answers that are the same for everybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fastapi import Request, Response
from starlette.types import Send

from sigma_core.canonical import sha256_hex

CACHE_CONTROL = "public, max-age=30, stale-while-revalidate=300"
NOT_FOUND_CACHE_CONTROL = "public, max-age=5"
"""A certificate that is not there now may be there in a moment."""
FRESH_CACHE_CONTROL = "public, max-age=5"
"""For what says how things stand now, and is signed: whoever holds an older one holds on to an older status."""
IMMUTABLE_CACHE_CONTROL = "public, max-age=31536000, immutable"

JSON = "application/json"

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The bytes that `If-None-Match` names are still the answer."}
}
"""The OpenAPI ``responses`` of a route that answers with `cacheable`."""


RawHeaders = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    """The bytes of a 200 with their strong ETag; ``headers`` are what the answer adds to those of its plane."""

    content: bytes = field(repr=False)
    etag: str
    media_type: str
    headers: dict[str, str]

    @classmethod
    def of(
        cls,
        content: bytes,
        media_type: str = JSON,
        cache_control: str = CACHE_CONTROL,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """The answer with its ETag computed."""
        etag = f'"{sha256_hex(content)}"'
        return cls(content, etag, media_type, {"ETag": etag, "Cache-Control": cache_control, **(headers or {})})

    @cached_property
    def _raw_headers(self) -> tuple[RawHeaders, RawHeaders]:
        """Headers of the 304 and of the 200, as they are sent."""
        common = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        length = str(len(self.content)).encode()
        return common, [*common, (b"content-length", length), (b"content-type", self.media_type.encode())]

    async def send(self, if_none_match: list[str], send: Send) -> None:
        """Like `response`, straight to the server, for what is answered most."""
        known = bool(if_none_match) and is_known(if_none_match, self.etag)
        headers = [*self._raw_headers[0 if known else 1]]
        await send({"type": "http.response.start", "status": 304 if known else 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if known else self.content})

    def response(self, if_none_match: list[str]) -> Response:
        """200 with the bytes; 304 where the client, by its ``If-None-Match`` fields, holds them already."""
        if if_none_match and is_known(if_none_match, self.etag):
            return Response(status_code=304, headers=self.headers)
        return Response(self.content, media_type=self.media_type, headers=self.headers)


def cacheable(request: Request, content: bytes, media_type: str = JSON, cache_control: str = CACHE_CONTROL) -> Response:
    """200 with ``content``, its ETag and ``cache_control``; 304 where the client holds these bytes already."""
    return Answer.of(content, media_type, cache_control).response(request.headers.getlist("if-none-match"))


def is_known(if_none_match: list[str], etag: str) -> bool:
    """Whether the fields of ``If-None-Match`` name ``etag``: ``*``, or a list of which one matches by the weak comparison.

    Our tags are hex between quotes, so splitting at commas is exact for every tag that could match.
    """
    candidates = [candidate.strip() for field in if_none_match for candidate in field.split(",")]
    return candidates == ["*"] or any(candidate.removeprefix("W/") == etag for candidate in candidates)
