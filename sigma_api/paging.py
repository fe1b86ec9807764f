"""Opaque cursors of keyset paging: the key of the last row of a page, from which the next page goes on.

A keyset page neither repeats nor loses a row when rows are added in front, and costs the same at any depth.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from sigma_api.problems import ProblemError
from sigma_core.timestamps import EPOCH_DAY

MAX_CURSOR_CHARACTERS = 200
MAX_MILLISECONDS = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp() * 1000)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The sort key of a row: its instant (UTC, milliseconds) and, among equals, its id."""

    at: datetime
    id: str

    def encode(self) -> str:
        """Text for ``nextCursor``: base64url of ``[milliseconds since 1970, id]``, without padding."""
        document = orjson.dumps([(self.at - EPOCH_DAY) // MILLISECOND, self.id])
        return urlsafe_b64encode(document).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """The cursor that encodes to exactly ``text``. Raises ProblemError ``invalid-cursor``."""
        try:
            if len(text) > MAX_CURSOR_CHARACTERS:
                raise ValueError
            milliseconds, identifier = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            if type(milliseconds) is not int or not 0 <= milliseconds <= MAX_MILLISECONDS or type(identifier) is not str:
                raise ValueError
            cursor = cls(EPOCH_DAY + milliseconds * MILLISECOND, identifier)
            if cursor.encode() != text or "\x00" in identifier:
                raise ValueError
        except (ValueError, TypeError):
            raise ProblemError(
                "invalid-cursor", "query parameter cursor: take it unchanged from nextCursor of an earlier page"
            ) from None
        return cursor
