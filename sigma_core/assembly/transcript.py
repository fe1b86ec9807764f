"""The one way in which the assembly turns several fields into one hash.

SHA-256 over the domain and then each field, every one of them preceded by its length in 8 bytes: no two lists of
fields give the same bytes, and no hash made for one purpose can stand in for another. Text is UTF-8, an integer is 8
bytes big-endian.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

Field = bytes | str | int

_HEX_DIGITS = frozenset("0123456789abcdef")


def transcript(domain: str, *fields: Field) -> _Hash:
    """The running SHA-256 after ``domain`` and ``fields``; `add_field` appends to it (or to a copy of it)."""
    running = hashlib.sha256()
    add_field(running, domain)
    for field in fields:
        add_field(running, field)
    return running


def add_field(running: _Hash, field: Field) -> None:
    """Append one field. Raises OverflowError for an integer outside 0 … 2^64 − 1."""
    if isinstance(field, int):
        field = field.to_bytes(8, "big")
    elif isinstance(field, str):
        field = field.encode()
    running.update(len(field).to_bytes(8, "big"))
    running.update(field)


def transcript_hash(domain: str, *fields: Field) -> str:
    """SHA-256 of the transcript, 64 hex digits."""
    return transcript(domain, *fields).hexdigest()


def is_hex(text: str, digits: int) -> bool:
    """Whether ``text`` is exactly so many lower-case hex digits: the only form in which hashes are written here."""
    return len(text) == digits and _HEX_DIGITS.issuperset(text)
