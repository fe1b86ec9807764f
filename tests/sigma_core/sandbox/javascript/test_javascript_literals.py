"""Escapes in JavaScript literals, as the language reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.sandbox.javascript.values import unescape


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\x63url", "curl"),
        (r"\143url\400", "curl 0"),
        (r"\c\u0075rl", "curl"),
        (r"a\\e", r"a\e"),
        (r"\N\a", "Na"),
        ("one\\\nline", "oneline"),
        ("a half \\", "a half \\"),
    ],
    ids=[
        "hex",
        "octal up to 255",
        "escapes that mean themselves",
        "escaped backslash",
        "no names of characters",
        "line continued",
        "cut off",
    ],
)
def test_escapes_are_resolved(written: str, meant: str) -> None:
    assert unescape(written) == meant


@given(st.text(alphabet="\\abcdefghijklmnopqrstuvwxyzNU0123456789{}'\"\n"))
def test_any_literal_is_read_without_a_warning(written: str) -> None:
    assert isinstance(unescape(written), str)
