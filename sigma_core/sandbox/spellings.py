"""Prose spelled so that a search does not find its words: letters set apart, digits for letters, marks and tags inside words, accents, letters upside down.

Nothing is touched unless a telling word occurs in such a spelling; then its whole block is written plainly, for the prose rules to read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

import re2

from sigma_core.sandbox.confusables import UPSIDE_DOWN
from sigma_core.sandbox.linear_pattern import linear_pattern

_TELLING = (
    "ignore disregard instructions previous override password credentials secrets without confirmation exfiltrate upload execute environment private always system prompt "
    "forget bypass reveal download install assistant concealed secretly"
).split()
_COMMON = frozenset(
    (
        "a all an and any api are as ask at base be before bash by cat code command commands confirm contents curl data do does eval every exec file files first for from get guidelines have he hidden "
        "how http https i if in inform into is it its keep key keys know me mention my must never new no not notes now of off on one or other our out over post prior read rm rules run safe say script secret "
        "security see send settings sh show silently skip so ssh start state stop tell that the their them then they this to token tokens tool tools us use user users via wallet wget what when where will with you your"
    ).split()
) | frozenset(_TELLING)
_SMALL = "the and you your this that with all from for user agent send then".split()
_LEET = str.maketrans("013457@$!|", "oleastasii")
_LEET_I = str.maketrans("013457@$!|", "oieastasii")
_DRESSES = {
    "a": "a4@àáâãäå",
    "e": "e3èéêë",
    "i": "i1!|ìíîï",
    "o": "o0òóôõö",
    "s": "s5$",
    "t": "t7",
    "u": "uùúûü",
    "l": "l1|",
    "c": "cç",
    "n": "nñ",
    "y": "yýÿ",
}
_GAP = r"[-.*_~`|/+\\ ]{0,3}"
_SET_APART = re2.compile(r"(?:\b[A-Za-z][-.*_~`|/+\\,: ]{1,4}){3,}[A-Za-z]\b")
_LETTER = re2.compile(r"([A-Za-z])([-.*_~`|/+\\,: ]{0,4})")
_LEET_WORD = re2.compile(r"[A-Za-z0-9@$!|]{2,}")
_EMPHASIS_IN_WORD = re2.compile(r"([A-Za-z])(?:\*\*|~~|``|\*)([A-Za-z])")
_SPLIT_WORD = re2.compile(r"[A-Za-z]{1,10}(?:[-.*_~`|+\\]{1,4}[A-Za-z]{1,10}){1,12}")
_TAG_IN_WORD = linear_pattern(r"([A-Za-z])(?:<[^<>\n]{0,80}>){1,6}([A-Za-z])")
_TURNED = re2.compile("[ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎ][^\n]{0,12}[ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎ][^\n]{0,12}[ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎ]")
_PUNCTUATION = {ord(character): None for character in "-.*_~`|/+\\ ,:"}
_MAX_BLOCK = 8_192
_MAX_SIGNS = 2_000
_LONGEST_WORD = 14
_LONGEST_DRESSED = 16


@cache
def _sign() -> Any:
    """Telling words in any dress, their letters also set apart."""
    spread = [_GAP.join(f"[{re2.escape(_DRESSES.get(letter, letter))}]" for letter in word) for word in _TELLING]
    return re2.compile(r"(?i)(?:^|[^A-Za-z0-9])(" + "|".join(spread) + r")(?:$|[^A-Za-z0-9])")


@cache
def _small_sign() -> Any:
    """Small words of which at least one letter is dressed."""
    dressed = []
    for word in _SMALL:
        for at, letter in enumerate(word):
            if letter in _DRESSES:
                classes = [f"[{re2.escape(_DRESSES.get(other, other))}]" for other in word]
                classes[at] = f"[{re2.escape(_DRESSES[letter][1:])}]"
                dressed.append("".join(classes))
    return re2.compile(r"(?i)(?:^|[\s(,])(" + "|".join(dressed) + r")(?:$|[\s),.;:!?])")


def _bare(text: str) -> str:
    """``text`` without accents."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _words_of(letters: str) -> str:
    """``letters`` cut into common words, the longest first; as it is where that does not work out."""
    words, at, lower = [], 0, letters.lower()
    while at < len(lower):
        end = next((end for end in range(min(len(lower), at + _LONGEST_WORD), at, -1) if lower[at:end] in _COMMON), at)
        if end == at:
            return letters
        words.append(letters[at:end])
        at = end
    return " ".join(words)


def _together(run: str) -> str:
    """Letters set apart, as words. The commonest gap stands inside words; any other ends one."""
    letters = [(match.group(1), match.group(2)) for match in _LETTER.finditer(run)]
    gaps = [gap for _, gap in letters[:-1]]
    inner = max(sorted(set(gaps)), key=gaps.count)
    words = "".join(letter if gap == inner else f"{letter} " for letter, gap in letters).split()
    return " ".join(_words_of(word) for word in words)


def _plain_word(word: str) -> str:
    for table in (_LEET, _LEET_I):
        plain = word.lower().translate(table)
        if plain in _COMMON:
            return plain
    mixed = 3 <= len(word) <= _LONGEST_DRESSED and any(map(str.isalpha, word)) and not word.isalpha()
    return word.lower().translate(_LEET_I) if mixed else word


def _substituted(pattern: Any, text: str, change: Any) -> str:
    out, last = [], 0
    for match in pattern.finditer(text):
        out += [text[last : match.start()], change(match)]
        last = match.end()
    return "".join([*out, text[last:]])


def _plain(block: str) -> str:
    """``block`` in ordinary spelling."""
    block = _bare(_substituted(_TAG_IN_WORD, block, lambda match: match.group(1) + match.group(2)))
    block = _substituted(_EMPHASIS_IN_WORD, block, lambda match: match.group(1) + match.group(2))
    block = _substituted(_SET_APART, block, lambda match: _together(match.group()))

    def joined(match: Any) -> str:
        letters = str(match.group()).translate(_PUNCTUATION)
        return letters if letters.lower() in _COMMON else str(match.group())

    block = _substituted(_SPLIT_WORD, block, joined)
    return _substituted(_LEET_WORD, block, lambda match: _plain_word(match.group()))


def _dressed(text: str) -> list[tuple[int, int]]:
    """Where a word is spelled oddly, letters stand apart, or a mark or tag stands inside a word."""
    telling = (match for match in _sign().finditer(text))
    spans = [match.span(1) for match in telling if not (match.group(1).isascii() and match.group(1).isalpha())]
    for pattern, needed in (
        (_small_sign(), True),
        (_SET_APART, True),
        (_EMPHASIS_IN_WORD, "*" in text or "~~" in text),
        (_TAG_IN_WORD, "<" in text),
    ):
        if needed:
            spans += [match.span() for match in islice(pattern.finditer(text), _MAX_SIGNS)]
    return sorted(spans)


def respelled(text: str) -> Iterator[tuple[int, int, str]]:
    """``(start, end, plainly)`` of each block of ``text`` that a telling word shows to be spelled oddly."""
    done = -1
    for first, last in _dressed(text):
        if first < done:
            continue
        before, after = text.rfind("\n\n", 0, first), text.find("\n\n", last)
        start = max(before + 2 if before >= 0 else 0, first - _MAX_BLOCK, done, 0)
        done = min(len(text) if after < 0 else after, first + _MAX_BLOCK)
        block = text[start:done]
        plain = _plain(block)
        if plain != block:
            yield start, done, plain
    done = -1
    for match in _TURNED.finditer(text):
        if match.start() >= done:
            start = text.rfind("\n", 0, match.start()) + 1
            end = text.find("\n", match.end())
            done = len(text) if end < 0 else end
            yield start, done, text[start:done].translate(UPSIDE_DOWN)[::-1]
