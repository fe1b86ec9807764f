"""Canonical JSON (RFC 8785) and the two hashes that SIGMA publishes.

Documents that are hashed hold strings, integers, booleans, null, lists and objects with ASCII keys: no floats, because
their text form is where JSON writers disagree. Inside that subset ``orjson`` with sorted keys writes the same bytes as
RFC 8785 demands (property-tested against the ``rfc8785`` package, the oracle) at some sixty times its speed.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import orjson
from Crypto.Hash import keccak

from sigma_core.errors import SigmaError

MAX_SAFE_INTEGER = 2**53 - 1
"""Largest integer that RFC 8785 (ECMAScript numbers) writes exactly."""

MAX_DEPTH = 64
"""Deepest nesting that a hashed document may have; ours stay below ten."""

Sealed = orjson.Fragment
"""Bytes that `canonical_json` wrote before, as a part of a larger document: copied as they stand, not checked again."""

Json = None | bool | int | str | list[Any] | dict[str, Any]


class NotCanonical(SigmaError):
    """Not for a hashed document: a float, a non-ASCII key, a number beyond 2^53 − 1, a lone surrogate."""

    code = "NOT_CANONICAL"


class NotJson(NotCanonical):
    """Bytes that no JSON parser reads: not UTF-8, cut off, or not JSON."""

    code = "NOT_JSON"


_Place = tuple["_Place", str | int] | None
"""Where a value stands: the place of its container and its key or index there; None is the document itself."""


def _refusal(place: _Place, rule: str) -> NotCanonical:
    steps: list[str] = []
    while place is not None:
        place, step = place
        steps.append(f"[{step}]" if isinstance(step, int) else f".{ascii(step[:40])[1:-1]}")
    return NotCanonical(f"${''.join(reversed(steps))}: {rule}")


def _is_plain(value: Any) -> bool:
    """Whether ``value`` is one of the leaves that most of a document is made of, and that need no place."""
    kind = type(value)
    if kind is str:
        return bool(value.isascii())
    return value is None or kind is bool or (kind is int and -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER)


def _check(value: Any, place: _Place, depth: int) -> None:
    # The place is put into words only for a refusal: long keys above many values would otherwise cost quadratic time.
    if depth > MAX_DEPTH:
        raise _refusal(place, f"nested deeper than {MAX_DEPTH}")
    kind = type(value)
    if kind is str:
        # Lone surrogates have no UTF-8 form; `isascii` keeps the common case cheap.
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise _refusal(place, "text with a lone surrogate has no UTF-8 form") from None
    elif kind is int:
        if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            raise _refusal(place, "integer beyond ±(2^53 − 1)")
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                raise _refusal(place, f"key {ascii(key)[:40]} is not ASCII text")
            if depth == MAX_DEPTH or not _is_plain(item):
                _check(item, (place, key), depth + 1)
    elif kind is list or kind is tuple:
        for index, item in enumerate(value):
            if depth == MAX_DEPTH or not _is_plain(item):
                _check(item, (place, index), depth + 1)
    elif value is not None and kind is not bool and kind is not Sealed:
        raise _refusal(place, f"{kind.__name__} is not allowed in a hashed document")


def canonical_json(document: Json) -> bytes:
    """RFC 8785 bytes of ``document``.

    Raises NotCanonical, naming the place, when a value is outside the subset.
    """
    _check(document, None, 0)
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def parse_strict_json(data: bytes) -> Json:
    """Parse JSON that somebody else wrote, refusing what parsers disagree on.

    Raises NotCanonical for duplicate keys, floats, NaN, integers beyond 2^53 − 1, lone surrogates, nesting beyond
    `MAX_DEPTH`; NotJson, which is one of them, for bytes that are not UTF-8 and anything that is not JSON.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(pairs)
        if len(document) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise NotCanonical(f"key {twice[:40]!r} appears twice in one object")
        return document

    def refuse(text: str) -> Any:
        raise NotCanonical(f"number {text[:40]!r} is not an integer")

    try:
        document: Json = json.loads(
            data.decode("utf-8"), object_pairs_hook=unique, parse_float=refuse, parse_constant=refuse
        )
    except UnicodeDecodeError as error:
        raise NotJson(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise NotCanonical(f"$: nested deeper than {MAX_DEPTH}") from None
    except ValueError as error:
        raise NotJson(f"not JSON: {error}") from None
    _check(document, None, 0)
    return document


def parse_canonical_json(data: bytes) -> Json:
    """The document whose RFC 8785 form is ``data``, byte for byte, so that no two parsers can read it differently.

    Raises NotCanonical (NotJson where it is no JSON at all), naming the fault or the first byte that should be another.
    """
    try:
        document: Json = orjson.loads(data)
        if canonical_json(document) == data:
            return document
    except (orjson.JSONDecodeError, NotCanonical):
        pass  # the strict parser below knows why
    canonical = canonical_json(parse_strict_json(data))
    place = next(
        (index for index, (found, expected) in enumerate(zip(data, canonical, strict=False)) if found != expected),
        min(len(data), len(canonical)),
    )
    raise NotCanonical(f"not in canonical form from byte {place}: {data[place : place + 20]!r}")


def sha256_hex(data: bytes) -> str:
    """SHA-256 as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of(document: Json) -> str:
    """SHA-256 hex of the canonical JSON of ``document``."""
    return sha256_hex(canonical_json(document))


def keccak256_hex(data: bytes) -> str:
    """Keccak-256 (the pre-standard padding that Ethereum uses, not SHA3-256), 0x-prefixed hex."""
    return "0x" + keccak.new(digest_bits=256, data=data).hexdigest()
