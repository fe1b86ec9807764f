"""Canonical JSON: the fast path is RFC 8785, and the parsers refuse what two programs could read differently."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.canonical import (
    MAX_DEPTH,
    MAX_SAFE_INTEGER,
    NotCanonical,
    NotJson,
    canonical_json,
    keccak256_hex,
    parse_canonical_json,
    parse_strict_json,
    sha256_hex,
    sha256_of,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.text(st.characters(exclude_categories=("Cs",)))
)
KEYS = st.text(st.characters(max_codepoint=127))
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=30)


@settings(max_examples=400)
@given(DOCUMENTS)
def test_the_fast_path_writes_what_the_oracle_writes(document: Any) -> None:
    assert canonical_json(document) == rfc8785.dumps(document)


@given(DOCUMENTS)
def test_both_parsers_read_back_what_was_written(document: Any) -> None:
    data = canonical_json(document)
    assert parse_canonical_json(data) == parse_strict_json(data) == document


@given(DOCUMENTS, st.data())
def test_a_document_has_one_canonical_form(document: Any, data: st.DataObject) -> None:
    """Whatever other bytes a lenient parser would read as the same document are refused."""
    canonical = canonical_json(document)
    other = json.dumps(document, ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.none() | st.just(1)))
    if other.encode() != canonical:
        with pytest.raises(NotCanonical):
            parse_canonical_json(other.encode())


@settings(max_examples=300)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_canonical_parsing_of_any_bytes_gives_their_document_or_a_refusal(data: bytes) -> None:
    try:
        document = parse_canonical_json(data)
    except NotCanonical:
        return
    assert canonical_json(document) == data


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"a": [1, {"b": 1.0}]}, "$.a[1].b: float"),
        ({"a": float("inf")}, "$.a: float"),
        ([2**53], "$[0]: integer"),
        ([-(2**53)], "$[0]: integer"),
        ({"é": 1}, "$: key '\\xe9'"),
        ({1: 1}, "$: key 1"),
        (["\ud800"], "$[0]: text with a lone surrogate"),
        ([b""], "$[0]: bytes"),
        ([{1}], "$[0]: set"),
        ({"a\nb": [None, 1.5]}, "$.a\\nb[1]: float"),
    ],
)
def test_what_writers_disagree_on_is_refused_with_its_place(document: Any, place: str) -> None:
    with pytest.raises(NotCanonical) as refused:
        canonical_json(document)
    assert refused.value.message.startswith(place)


def nested(depth: int) -> Any:
    document: Any = 1
    for _ in range(depth):
        document = [document]
    return document


def test_nesting_has_a_limit() -> None:
    assert parse_canonical_json(canonical_json(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(NotCanonical, match="nested deeper"):
        canonical_json(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 5_000, 500_000])
@pytest.mark.parametrize("parse", [parse_strict_json, parse_canonical_json])
def test_deep_json_is_refused_however_deep(parse: Any, depth: int) -> None:
    with pytest.raises(NotCanonical, match="nested deeper"):
        parse(b"[" * depth + b"1" + b"]" * depth)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b'{"a":1,"a":1}', "appears twice"),
        (b'{"a":1,"\\u0061":2}', "appears twice"),
        (b"1.0", "not an integer"),
        (b"1e2", "not an integer"),
        (b"NaN", "not an integer"),
        (b"-Infinity", "not an integer"),
        (b"9007199254740992", "integer beyond"),
        (b"1" + b"0" * 5000, "not JSON"),
        (b'"\\ud800"', "lone surrogate"),
    ],
)
def test_strict_parsing_refuses_what_parsers_disagree_on(data: bytes, rule: str) -> None:
    for parse in (parse_strict_json, parse_canonical_json):
        with pytest.raises(NotCanonical, match=rule):
            parse(data)


@pytest.mark.parametrize("data", [b"", b"{", b'{"a"', b"\xff", b"\xef\xbb\xbf{}", b"{} {}", b"'a'", b"[1,]", b"\x00"])
def test_what_is_no_json_at_all_is_told_apart(data: bytes) -> None:
    for parse in (parse_strict_json, parse_canonical_json):
        with pytest.raises(NotJson):
            parse(data)


@pytest.mark.parametrize(
    ("data", "byte"),
    [
        (b'{"a": 1}', 5),
        (b'{"b":1,"a":2}', 2),
        (b"[1]\n", 3),
        (b" [1]", 0),
        (b"[-0]", 1),
        (b'["\\/"]', 2),
        (b'["\\u00e9"]', 2),
        (b'["\\u000A"]', 3),
    ],
)
def test_another_spelling_is_refused_at_its_first_byte(data: bytes, byte: int) -> None:
    parse_strict_json(data)
    with pytest.raises(NotCanonical, match=f"from byte {byte}:") as refused:
        parse_canonical_json(data)
    assert not isinstance(refused.value, NotJson)


def test_a_long_key_above_many_values_costs_linear_time() -> None:
    """It once cost the product of both: the place was put into words for every value."""
    document = {"k" * 1_000_000: [0] * 200_000}
    canonical_json(document)
    assert len(canonical_json(document)) > 1_400_000


def test_known_hashes() -> None:
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_of({}) == sha256_hex(b"{}")
    # Ethereum's empty-code hash: keccak-256, not SHA3-256.
    assert keccak256_hex(b"") == "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
