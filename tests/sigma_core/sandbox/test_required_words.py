"""A pattern is tried only on texts that hold the words that it cannot match without; that never loses a match."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.required_words import required_words, words_of
from sigma_core.sandbox.rules import load_rules

BOOK = load_rules()


def _needs(pattern: str) -> list[set[str]]:
    return [{run.decode() for run in runs} for runs in required_words(pattern)]


@pytest.mark.parametrize(
    ("pattern", "needs"),
    [
        ("rmtree", [{"rmtree"}]),
        (r"(?i)\bGit\s+Push\b", [{"git"}, {"push"}]),
        ("curl|wget", [{"curl", "wget"}]),
        (r"(?:curl|wget)[^\n]{0,80}http", [{"curl", "wget"}, {"http"}]),
        ("(?:curl|.)http", [{"http"}]),
        ("colou?rs", [{"colo"}]),
        ("abc+def", [{"abc"}, {"def"}]),
        ("abc{2}def", [{"abc"}, {"def"}]),
        ("(?:abc)?def", [{"def"}]),
        ("(?:abc)+def", [{"abc"}, {"def"}]),
        (r"a[\]bcd]efg", [{"efg"}]),
        (r"\x41bcd\p{Greek}efg", [{"bcd"}, {"efg"}]),
        ("ab|cdef", []),
        ("忽略(?:之前)", []),
    ],
)
def test_what_a_pattern_requires(pattern: str, needs: list[set[str]]) -> None:
    assert _needs(pattern) == needs


def test_words_are_in_lower_case_and_letters_that_fold_to_ascii_count_as_these() -> None:
    assert sorted(words_of("Run shutil.RMTREE(x), ſudo \u212aill").split()) == [b"kill", b"rmtree", b"run", b"shutil", b"sudo", b"x"]  # fmt: skip


def _lets_through(pattern: str, text: str) -> bool:
    words = words_of(text)
    return all(any(run in words for run in runs) for runs in required_words(pattern))


def test_no_rule_loses_a_match_in_any_rules_examples() -> None:
    texts = [example.text for rule in BOOK.rules.values() for example in (*rule.positive, *rule.negative)]
    words = [words_of(text) for text in texts]
    for rule in BOOK.rules.values():
        for search in rule.searches:
            for text, held in zip(texts, words, strict=True):
                if not all(any(run in held for run in runs) for runs in search.words):
                    assert not linear_pattern(search.pattern).search(text)


def test_every_pattern_and_part_is_one_that_re2_takes() -> None:
    BOOK.compile()


_LITERALS = st.sampled_from(["curl", "ask", "rm", "-rf", "K", "s", "x_1", r"\.", r"\s", "[ab-]", "é"])
_MARKS = st.sampled_from(["", "", "?", "*", "+", "{0,2}", "{2}", "+?"])


def _wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    groups = st.tuples(st.lists(inner, min_size=1, max_size=3), _MARKS).map(lambda made: f"(?:{'|'.join(made[0])}){made[1]}")  # fmt: skip
    return groups | st.lists(inner, min_size=1, max_size=4).map("".join)


_GENERATED = st.recursive(st.tuples(_LITERALS, _MARKS).map(lambda made: made[0] + (made[1] if len(made[0]) == 1 or made[0][0] in "\\[" else "")), _wider, max_leaves=8)  # fmt: skip
_TEXTS = st.lists(st.sampled_from(["curl", "Ask", "a\u017fk", "rm", " -rf", "\u212a", "k", "S", "x_1", ".", " ", "a", "b", "-", "é", "\n"]), max_size=8).map("".join)  # fmt: skip


@given(_GENERATED, _TEXTS)
@settings(max_examples=300, deadline=None)
def test_whatever_matches_is_let_through(pattern: str, text: str) -> None:
    assume(linear_pattern(f"(?i){pattern}").search(text))
    assert _lets_through(f"(?i){pattern}", text)
