"""A pattern that is run only on texts with the words that its matches hold, and compiled when the first such text comes.

An automaton grows with the texts that it has run over: what most of them never meet costs neither time nor memory for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.required_words import required_words


class WordedPattern:
    """``pattern`` (RE2 syntax). Matches as RE2 gives them; the first that may match raises re2.error where RE2 does not take the pattern."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._required = required_words(pattern)

    @cached_property
    def _compiled(self) -> Any:
        return linear_pattern(self.pattern)

    def finditer(self, text: str, words: bytes) -> Iterator[Any]:
        """The matches in ``text``, whose words (`required_words.words_of`) are ``words``."""
        if all(any(run in words for run in runs) for runs in self._required):
            yield from self._compiled.finditer(text)
