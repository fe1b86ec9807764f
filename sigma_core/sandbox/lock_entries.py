"""What all readers of lock files share: the locked package, where it stands, and the hashes that fix its bytes."""

from __future__ import annotations

import base64
import binascii
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import re2

MAX_ENTRIES = 4_000
MAX_HASHES = 100
"""Hashes kept of one entry: a release has one for each of its files."""

_HEX = re2.compile(r"^(?:[0-9a-f]{64}|[0-9a-f]{128})$")
_ALGORITHMS = {32: "SHA-256", 64: "SHA-512"}
"""By digest bytes, named as CycloneDX names them. Weaker hashes fix nothing that an attacker wants to change."""

Digest = tuple[str, str]
"""``(SHA-256 or SHA-512, lower-case hex)`` of a file as its registry hands it out."""


@dataclass(frozen=True, slots=True)
class Locked:
    """One locked package. ``url`` is where it is fetched (empty: the registry's own place), ``fixed`` whether a hash or
    commit fixes its bytes; ``renamed_to`` another name that the address carries. ``local`` ones are folders of the
    project itself. ``scope`` is CycloneDX's: required, optional, or excluded (only needed to develop)."""

    name: str
    version: str
    url: str
    fixed: bool
    start: int
    end: int
    renamed_to: str = ""
    hashes: tuple[Digest, ...] = ()
    scope: str = "required"
    local: bool = False


@dataclass
class Found:
    """The entries of one lock file in its order; ``direct`` names what the project itself asks for, where the format
    says so; ``unread`` counts entries that are not written as the format has it."""

    packages: list[Locked] = field(default_factory=list)
    direct: frozenset[str] | None = None
    unread: int = 0


class Unreadable(Exception):
    """The text is no lock file of its kind; says why."""


class Places:
    """Where keys stand in a text: searched forwards only, and not after `_MAX_MISSES`, so that all searches together are linear."""

    _MAX_MISSES = 20

    def __init__(self, text: str) -> None:
        self._text = text
        self._from = 0
        self._misses = 0

    def of(self, needle: str) -> tuple[int, int]:
        """The next place of ``needle``; an empty range where there is none."""
        at = self._text.find(needle, self._from) if self._misses < self._MAX_MISSES else -1
        if at < 0:
            self._misses += 1
            return self._from, self._from
        self._from = at + len(needle)
        return at, self._from


def blocks(text: str, heading: Any) -> Iterator[tuple[Any, str]]:
    """Each match of ``heading`` with the text up to the next one; one match more than `MAX_ENTRIES` shows that there are more."""
    matches = list(itertools.islice(heading.finditer(text), MAX_ENTRIES + 1))
    for match, following in itertools.zip_longest(matches, matches[1:]):
        yield match, text[match.end() : following.start() if following is not None else len(text)]


def json_object(text: str) -> dict[str, Any]:
    """The object that ``text`` holds. Raises Unreadable."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("not JSON") from None
    if not isinstance(document, dict):
        raise Unreadable("not a JSON object")
    return document


def mapping(value: Any) -> dict[str, Any]:
    """``value`` where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text_of(value: Any) -> str:
    """``value`` where it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def hex_digests(values: Iterable[str]) -> tuple[Digest, ...]:
    """The SHA-256 and SHA-512 digests among hex ``values``, each once, sorted."""
    found = {(_ALGORITHMS[len(value) // 2], value) for value in map(str.lower, values) if _HEX.match(value)}
    return tuple(sorted(found)[:MAX_HASHES])


def integrity_digests(text: str) -> tuple[Digest, ...]:
    """The digests of a Subresource Integrity value (W3C): base64 behind ``sha256-`` or ``sha512-``."""
    found = []
    for word in text.split()[:MAX_HASHES]:
        algorithm, _, encoded = word.partition("-")
        try:
            digest = base64.b64decode(encoded.partition("?")[0], validate=True)
        except (binascii.Error, ValueError):
            continue
        if {"sha256": 32, "sha512": 64}.get(algorithm) == len(digest):
            found.append(digest.hex())
    return hex_digests(found)
