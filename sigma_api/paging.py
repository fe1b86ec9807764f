"""Opaque cursors of keyset paging: the key of the last row of a page, from which the next page goes on.

A keyset page neither repeats nor loses a row when rows are added in front, and costs the same at any depth.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime

import orjson

from sigma_api.problems import ProblemError
from sigma_core.timestamps import iso_utc, parse_iso_utc

MAX_CURSOR_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Cursor:
    """The sort key of a row: its instant (UTC, milliseconds) and, among equals, its id."""

    at: datetime
    id: str

    def encode(self) -> str:
        """Text for ``nextCursor``: base64url of the JSON list of instant and id, without padding."""
        return urlsafe_b64encode(orjson.dumps([iso_utc(self.at), self.id])).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """The cursor that encodes to exactly ``text``. Raises ProblemError ``invalid-cursor``."""
        try:
            if len(text) > MAX_CURSOR_CHARACTERS:
                raise ValueError
            at, identifier = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            cursor = cls(parse_iso_utc(at), identifier)
            # PostgreSQL has no text with NUL.
            if type(identifier) is not str or "\x00" in identifier or cursor.encode() != text:
                raise ValueError
        except (ValueError, TypeError, OverflowError):
            raise ProblemError(
                "invalid-cursor", "query parameter cursor: take it unchanged from nextCursor of an earlier page"
            ) from None
        return cursor
