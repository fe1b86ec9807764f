"""Text whose letters were moved: rotated alphabets, atbash, rot47 and mirrored writing, recognised by how well-known words look in them.

One rare word, or several small ones in a line, is improbable in honest text; nothing is tried where none occurs.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

import re2

_RARE = (
    "ignore instructions instruction previous password credentials assistant secretly security override disregard "
    "without install confirm whenever always system prompt upload execute subprocess import https http curl wget bash exec eval /bin/sh .ssh"
).split()
_SMALL = "the and you your this that with all from for".split()
_UPPER, _LOWER = string.ascii_uppercase, string.ascii_lowercase
_ROT47 = {code: 33 + (code - 33 + 47) % 94 for code in range(33, 127)}
_ATBASH = str.maketrans(_UPPER + _LOWER, _UPPER[::-1] + _LOWER[::-1])
_ENOUGH, _MAX_HITS = 3, 400
_LETTERS_FIRST = 5
"""Letters that a rare word needs for one occurrence of it to tell a rotation by another number than 13."""


def _rotation(by: int) -> dict[int, int]:
    return str.maketrans(_UPPER + _LOWER, _UPPER[by:] + _UPPER[:by] + _LOWER[by:] + _LOWER[:by])


def _word(word: str) -> str:
    start, end = (r"\b" if word[:1].isalnum() else ""), (r"\b" if word[-1:].isalnum() else "")
    return f"{start}{re2.escape(word)}{end}"


def _sign(table: dict[int, int], short: bool) -> str:
    """A pattern of how rare words (``short``: also those below `_LETTERS_FIRST` letters), and runs of small ones, look under ``table``."""
    rare = [word.translate(table) for word in _RARE if short or sum(map(str.isalpha, word)) > _LETTERS_FIRST]
    small = "|".join(word.translate(table) for word in _SMALL)
    return "|".join(_word(word) for word in rare) + rf"|(?:\b(?:{small})\b[^\n]{{0,60}}){{3}}"


@cache
def _rotated_words() -> tuple[Any, dict[str, int], frozenset[str]]:
    """How telling words look under each rotation but 13: one pattern for all, the rotation of each, and which of them are rare words."""
    rotations: dict[str, int] = {}
    rare = set()
    for by in (*range(1, 13), *range(14, 26)):
        for word in (*_RARE, *_SMALL):
            if word in _SMALL or sum(map(str.isalpha, word)) > _LETTERS_FIRST:
                rotations[word.translate(_rotation(by))] = by
                rare |= {word.translate(_rotation(by))} - {small.translate(_rotation(by)) for small in _SMALL}
    return re2.compile("(?i)" + "|".join(_word(word) for word in rotations)), rotations, frozenset(rare)


def _rotations_in(text: str) -> list[int]:
    """The rotations that one rare word, or several small ones, give away."""
    pattern, rotations, rare = _rotated_words()
    seen: dict[int, set[str]] = {}
    for match in islice(pattern.finditer(text), _MAX_HITS):
        word = match.group().lower()
        seen.setdefault(rotations[word], set()).add(word)
    # One small word is an abbreviation; several different ones are no accident.
    return sorted(by for by, words in seen.items() if words & rare or len(words) >= _ENOUGH)[:2]


@cache
def _signs() -> tuple[tuple[str, Any, dict[int, int]], ...]:
    small = "|".join(re2.escape(word.translate(_ROT47)) for word in _SMALL)
    rot47 = rf"(?: (?:{small}) [^\n]{{0,60}}){{3}}|" + "|".join(
        re2.escape(word.translate(_ROT47))
        for word in ("https://", "http://", "ignore", "instructions", "password", "curl -", "import ", "subprocess")
    )
    return (
        ("rot13", re2.compile("(?i)" + _sign(_rotation(13), short=True)), _rotation(13)),
        ("atbash", re2.compile("(?i)" + _sign(_ATBASH, short=False)), _ATBASH),
        ("rot47", re2.compile(rot47), _ROT47),
    )


def moved_letters(text: str) -> Iterator[tuple[str, str]]:
    """``(name, text)`` of ``text`` under each rotation, atbash or rot47 that words in it give away."""
    for name, sign, table in _signs():
        if sign.search(text):
            yield name, text.translate(table)
    for by in _rotations_in(text):
        yield f"rot{by}", text.translate(_rotation(26 - by))


_MIRROR_SIGN = re2.compile(
    "(?i)"
    + "|".join(
        _word(word[::-1])
        for word in _RARE
        if sum(map(str.isalpha, word)) >= 4 and word not in {"http", "exec", "eval", "bash"}
    )
    + r"|//:s?ptth|\b(?:hsab|cexe) |(?:\b(?:"
    + "|".join(word[::-1] for word in _SMALL if word != "all")
    + r")\b[^\n]{0,60}){3}"
)


def mirrored_lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Lines that read backwards, as ``(start, end, forwards)``; where words are mirrored one by one, their order is kept as a second reading."""
    end = -1
    for match in _MIRROR_SIGN.finditer(text):
        if match.start() < end:
            continue
        start = text.rfind("\n", 0, match.start()) + 1
        end = text.find("\n", match.end())
        end = len(text) if end < 0 else end
        line = text[start:end]
        yield start, end, line[::-1]
        if " " in line.strip():
            yield start, end, " ".join(word[::-1] for word in line.split(" "))
