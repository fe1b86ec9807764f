"""A worded pattern finds what RE2 finds, and is not even compiled for texts without its words."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.markdown import Part, split_markdown
from sigma_core.sandbox.required_words import words_of
from sigma_core.sandbox.worded_pattern import WordedPattern

PATTERN = r"(?i)\b(?:docker|podman)\s+run\b([^\n]{1,40})"
_PIECES = st.lists(st.sampled_from(["Docker", "podman", " ", "\n", "run", "runs", "--rm x", "doc\u212aer", "é"]))


@given(_PIECES.map("".join))
def test_matches_are_those_of_the_pattern(text: str) -> None:
    found = WordedPattern(PATTERN).finditer(text, words_of(text))
    assert [match.span(1) for match in found] == [match.span(1) for match in linear_pattern(PATTERN).finditer(text)]


def test_pattern_that_re2_refuses_raises_at_the_first_text_with_its_words() -> None:
    refused = WordedPattern(r"docker(?=run)")
    assert list(refused.finditer("podman", words_of("podman"))) == []
    with pytest.raises(re2.error):
        list(refused.finditer("docker", words_of("docker")))


@given(st.lists(st.sampled_from(["`", "``", "a", "é", "b c", "x" * 799, "x" * 800, "\n"]), max_size=12).map("".join))
def test_inline_code_is_two_to_eight_hundred_characters_between_backticks(line: str) -> None:
    text = f"- {line}"
    found = [segment for segment in split_markdown(text) if segment.part is Part.INLINE_CODE]
    prose = [segment for segment in split_markdown(text) if segment.part in {Part.PROSE, Part.TABLE, Part.HEADING}]
    expected = [
        (segment.start + match.start(1), segment.start + match.end(1), match[1])
        for segment in prose
        for match in re2.finditer(r"`([^`]{2,800})`", text[segment.start : segment.end])
    ]
    assert [(segment.start, segment.end, segment.text) for segment in found] == sorted(expected)
