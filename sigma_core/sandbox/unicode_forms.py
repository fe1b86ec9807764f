"""Text that reads differently for a person and for a program: invisible characters, direction controls, look-alike and styled letters, overlaid marks.

Sources: Unicode 16 blocks (tags, variation selectors, default ignorables), UAX 9 (direction), UTS 39 (`sigma_core.sandbox.confusables`).
"""

from __future__ import annotations

import itertools
import unicodedata
from dataclasses import dataclass
from typing import Any

import re2

from sigma_core.sandbox.confusables import LOOK_ALIKE, STYLED
from sigma_core.sandbox.linear_pattern import linear_pattern

INVISIBLE = "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\u206a\u206b\u206c\u206d\u206e\u206f\u3164\ufeff\uffa0"
DIRECTION = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
TAG_BASE = 0xE0000

_DELIBERATE = INVISIBLE.replace("\u00ad", "")
"""A soft hyphen inside a word is what typesetting leaves behind."""
_SPECIAL = re2.compile(
    "["
    + INVISIBLE
    + DIRECTION
    + "\U000e0001-\U000e007f\U000e0100-\U000e01ef\ufe00-\ufe0f\uff01-\uff5e\u0300-\u036f\u0370-\u03ff\u0400-\u052f\u0530-\u058f\u10a0-\u10ff\u13a0-\u13ff\u1400-\u167f\u1d00-\u1dbf\u2070-\u209f\u20d0-\u20ff\u2100-\u218f"
    + "\u2460-\u24ff\u2c60-\u2c7f\u2c80-\u2cff\ua4d0-\ua4ff\ua720-\ua7ff\uab30-\uab6f\ufb00-\ufb06\u0250-\u02af\U0001d400-\U0001d7ff\U0001f130-\U0001f189]"
)
_TAGS = re2.compile("[\U000e0001-\U000e007f]+")
_SELECTORS = re2.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
_WORD = linear_pattern(
    "[\\pL\\pM\\pN_\u2460-\u24ff\U0001f130-\U0001f189]*[^\\x00-\\x7f\\pP\\pZ\\pC][\\pL\\pM\\pN_\u2460-\u24ff\U0001f130-\U0001f189]*"
)
_MARK = re2.compile(r"\pM+")
_INVISIBLE_IN_WORD = re2.compile("[A-Za-z0-9][" + INVISIBLE + "]*[" + _DELIBERATE + "][" + INVISIBLE + "]*[A-Za-z0-9]")
_SOFT_HYPHEN_IN_WORD = re2.compile("[A-Za-z]\u00ad[A-Za-z]")
_ZERO_WIDTH_RUN = re2.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u180e]{8,}")
_ZERO_WIDTH = re2.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u180e]+")
_OVERRIDE = re2.compile("[\u202d\u202e]")
_EMBEDDING = re2.compile("[\u202a\u202b\u2066\u2067\u2068]")
_RIGHT_TO_LEFT = re2.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_EAST_ASIAN = re2.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]")
_OTHER_SCRIPT = re2.compile(r"[\p{Cyrillic}\p{Greek}\p{Armenian}]")
_GREEK = re2.compile(r"\p{Greek}")
_TELLING = frozenset("exec copy pass paste cookie token open eval xor sh bash curl root sudo".split())
"""Words of letters that other scripts have too; written wholly in those, only such a word is taken for the Latin one."""
_AROUND = 40
_MAX_BITS = 65_536

_DELETE: dict[int, None] = dict.fromkeys(
    [
        *(ord(character) for character in INVISIBLE + DIRECTION),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
        *range(0xE0000, 0xE0080),
    ]
)


@dataclass(frozen=True, slots=True)
class UnicodeForms:
    """What was found: character spans by kind, the text with it all undone (same lines), and texts written in invisible characters.

    ``plain`` is the text itself where nothing was done to mislead.
    """

    plain: str
    invisible: tuple[tuple[int, int], ...] = ()
    direction: tuple[tuple[int, int], ...] = ()
    look_alike: tuple[tuple[int, int, str], ...] = ()
    compatibility: tuple[tuple[int, int, str], ...] = ()
    hidden_texts: tuple[tuple[int, int, str, str], ...] = ()


def _spans(pattern: Any, text: str) -> tuple[tuple[int, int], ...]:
    return tuple(match.span() for match in pattern.finditer(text))


def _bits_text(run: str) -> str:
    """Invisible characters read as bits: two of them as zero and one, any third as a separator; 8 or 7 bits a character. Empty where nothing readable comes out."""
    run = run[:_MAX_BITS]
    signs = sorted(set(run), key=lambda sign: (-run.count(sign), sign))[:3]
    for zero, one in itertools.permutations(signs, 2):
        bits = run.translate({ord(sign): "0" if sign == zero else "1" if sign == one else None for sign in set(run)})
        for width in (8, 7):
            if len(bits) >= 4 * width:
                text = "".join(chr(int(bits[at : at + width], 2)) for at in range(0, len(bits) - width + 1, width))
                if text.isascii() and text.replace("\n", " ").isprintable():
                    return text
    return ""


def _hidden_texts(text: str) -> tuple[tuple[int, int, str, str], ...]:
    found: list[tuple[int, int, str, str]] = []
    for match in _TAGS.finditer(text):
        decoded = "".join(
            chr(ord(character) - TAG_BASE) for character in match.group() if 0x20 <= ord(character) - TAG_BASE < 0x7F
        )
        # Regional flags (England, Scotland, Wales) are the one honest use of tag characters.
        if decoded and not (match.start() and text[match.start() - 1] == "\U0001f3f4" and len(decoded) <= 6):
            found.append((*match.span(), "tags", decoded))
    spread = [entry for entry in found if len(entry[3]) < 4]
    if len(spread) >= 8:
        # One tag character after each visible one: the message is what they give together.
        found = [entry for entry in found if len(entry[3]) >= 4]
        found.append((spread[0][0], spread[-1][1], "tags", "".join(entry[3] for entry in spread)))
    for match in _SELECTORS.finditer(text):
        found.append((*match.span(), "variation-selectors", _selector_bytes(match.group()).decode("utf-8", "replace")))
    runs = False
    for match in _ZERO_WIDTH_RUN.finditer(text):
        runs = True
        found.append((*match.span(), "zero-width", _bits_text(match.group())))
    if not runs:
        found += _spread_bits(text)
    return tuple(found)


def _selector_bytes(run: str) -> bytes:
    return bytes((ord(c) - 0xFE00 if ord(c) < 0xFE10 else ord(c) - 0xE0100 + 16) & 0xFF for c in run)


def _spread_bits(text: str) -> list[tuple[int, int, str, str]]:
    """Invisible characters strewn over the whole text that are bits of one message."""
    spans = [match.span() for match in _ZERO_WIDTH.finditer(text)]
    if len(spans) < 16:
        return []
    decoded = _bits_text("".join(text[start:end] for start, end in spans))
    return [(spans[0][0], spans[-1][1], "zero-width", decoded)] if decoded else []


def _latin_reading(word: str) -> str | None:
    """The Latin reading of a word that mixes Latin with look-alike letters, or is a well-known word wholly made of them; else None."""
    plain = word.translate(LOOK_ALIKE)
    if plain == word or not plain.isascii():
        return None
    latin = sum(1 for character in word if character.isascii() and character.isalpha())
    letters = sum(1 for character in plain if character.isalpha())
    if plain.lower() in _TELLING:
        return plain
    # One Greek letter beside an index or a unit is mathematics.
    formula = letters - latin == 1 and latin < 5 and bool(_GREEK.search(word))
    return plain if latin >= 2 and letters >= 3 and not formula else None


def _styled_reading(word: str) -> str | None:
    """The plain reading of a word in styled letters or under overlaid marks; else None."""
    plain = unicodedata.normalize("NFKC", word.translate(STYLED))
    if not plain.isascii():
        bare = _MARK.sub("", plain)
        plain = bare if len(plain) - len(bare) >= 2 else plain
    # Raised and lowered digits are those of a formula.
    styled = sum(1 for character in word if not character.isascii() and not character.isdigit())
    return plain if plain != word and plain.isascii() and len(plain) >= 3 and styled >= 2 else None


def _among_its_own(text: str, start: int, end: int) -> bool:
    """Whether letters of another script stand around ``start:end``: a slip of the keyboard in a text of that script."""
    around = text[max(0, start - _AROUND) : start] + text[end : end + _AROUND]
    others = [match.group() for match in _OTHER_SCRIPT.finditer(around)]
    return sum(1 for letter in others if ord(letter) not in LOOK_ALIKE) >= 4


def _directions(text: str) -> tuple[tuple[int, int], ...]:
    """Overrides anywhere, and embeddings and isolates in lines without letters that are written from right to left."""
    spans = list(_spans(_OVERRIDE, text))
    for start, end in _spans(_EMBEDDING, text):
        line = text[max(text.rfind("\n", 0, start) + 1, start - 200) : start + 200].partition("\n")[0]
        if not _RIGHT_TO_LEFT.search(line):
            spans.append((start, end))
    return tuple(sorted(spans))


def read_forms(text: str) -> UnicodeForms:
    """Undo the tricks in ``text``. Costs one scan where there are none."""
    if text.isascii() or not _SPECIAL.search(text):
        return UnicodeForms(text)
    look_alike: list[tuple[int, int, str]] = []
    compatibility: list[tuple[int, int, str]] = []
    pieces: list[str] = []
    last = 0
    for match in _WORD.finditer(text):
        word = match.group()
        plain = _styled_reading(word)
        if plain is not None:
            if not _EAST_ASIAN.search(text[max(0, match.start() - _AROUND) : match.end() + _AROUND]):
                compatibility.append((*match.span(), plain))
        else:
            plain = _latin_reading(unicodedata.normalize("NFKC", word))
            if plain is None:
                continue
            if not _among_its_own(text, *match.span()):
                look_alike.append((*match.span(), plain))
        pieces += [text[last : match.start()], plain]
        last = match.end()
    pieces.append(text[last:])
    invisible, direction = _spans(_INVISIBLE_IN_WORD, text), _directions(text)
    disguised = len(pieces) > 1 or invisible or direction or _SOFT_HYPHEN_IN_WORD.search(text)
    return UnicodeForms(
        plain="".join(pieces).translate(_DELETE) if disguised else text,
        invisible=invisible,
        direction=direction,
        look_alike=tuple(look_alike),
        compatibility=tuple(compatibility),
        hidden_texts=_hidden_texts(text),
    )
