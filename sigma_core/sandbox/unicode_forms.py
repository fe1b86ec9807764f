"""Text that reads differently for a person and for a program: invisible characters, direction controls, look-alike letters.

Sources: Unicode 16 blocks (tags, variation selectors, default ignorables), UTS 39 confusables (the Latin look-alikes that attacks use).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import re2

INVISIBLE = "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\u206a\u206b\u206c\u206d\u206e\u206f\u3164\ufeff\uffa0"
DIRECTION = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
TAG_BASE = 0xE0000

_SPECIAL = re2.compile(
    "["
    + INVISIBLE
    + DIRECTION
    + "\U000e0001-\U000e007f\U000e0100-\U000e01ef\ufe00-\ufe0f\uff01-\uff5e\u0370-\u03ff\u0400-\u04ff\u0530-\u058f\u2100-\u214f\U0001d400-\U0001d7ff]"
)
_TAGS = re2.compile("[\U000e0001-\U000e007f]+")
_SELECTORS = re2.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
_WORD = re2.compile(r"[\pL\pM\pN_]+")
_ZERO_WIDTH_IN_WORD = re2.compile("[A-Za-z0-9][" + INVISIBLE + "]+[A-Za-z0-9]")
_ZERO_WIDTH_RUN = re2.compile("[\u200b\u200c\u200d\u2060\ufeff\u2062\u2063\u2064]{8,}")
_DIRECTION = re2.compile("[\u202d\u202e\u2066\u2067\u2068]")

# Latin letter <- letters of other scripts drawn alike (UTS 39 confusables, the single-character Latin targets).
_LOOK_ALIKE = str.maketrans(
    {
        **dict(zip("асеорхуіјѕԁһӏԛԝмтвнкгп", "aceopxyijsdhlqwmtbhkrn", strict=True)),
        **dict(zip("АВСЕНІЈКМОРЅТХУԌ", "ABCEHIJKMOPSTXYG", strict=True)),
        **dict(zip("αοερτυικνχγηϲϳ", "aoeptuikvxyncj".replace(" ", ""), strict=True)),
        **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True)),
        **dict(zip("ոսցօհո", "nugohn", strict=True)),
        "ı": "i", "ɡ": "g", "ɑ": "a", "ℓ": "l", "ᴀ": "a", "ᴄ": "c", "ᴇ": "e", "ᴏ": "o",
    }
)  # fmt: skip
_DELETE = {ord(character): None for character in INVISIBLE + DIRECTION}
_DELETE.update(dict.fromkeys(range(0xFE00, 0xFE10)))
_DELETE.update(dict.fromkeys(range(0xE0100, 0xE01F0)))
_DELETE.update(dict.fromkeys(range(0xE0000, 0xE0080)))


@dataclass(frozen=True, slots=True)
class UnicodeForms:
    """What was found: character spans by kind, the text with it all undone (same lines), and texts written in invisible characters."""

    plain: str
    invisible: tuple[tuple[int, int], ...] = ()
    direction: tuple[tuple[int, int], ...] = ()
    look_alike: tuple[tuple[int, int, str], ...] = ()
    compatibility: tuple[tuple[int, int, str], ...] = ()
    hidden_texts: tuple[tuple[int, int, str, str], ...] = ()


def _spans(pattern: object, text: str) -> tuple[tuple[int, int], ...]:
    return tuple(match.span() for match in pattern.finditer(text))  # type: ignore[attr-defined]


def _bits_text(run: str) -> str:
    """A run of two (or of zero/one/separator) invisible characters read as 8-bit ASCII, or empty."""
    for zero, one in (
        ("\u200b", "\u200c"),
        ("\u200c", "\u200b"),
        ("\u200b", "\u200d"),
        ("\u200c", "\u200d"),
        ("\u2062", "\u2064"),
    ):
        bits = "".join("0" if character == zero else "1" for character in run if character in {zero, one})
        if len(bits) < 32:
            continue
        for width in (8, 7):
            text = "".join(chr(int(bits[at : at + width], 2)) for at in range(0, len(bits) - width + 1, width))
            if text.isprintable() and text.isascii():
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
    for match in _SELECTORS.finditer(text):
        values = [ord(c) - 0xFE00 if ord(c) < 0xFE10 else ord(c) - 0xE0100 + 16 for c in match.group()]
        found.append(
            (*match.span(), "variation-selectors", bytes(value & 0xFF for value in values).decode("utf-8", "replace"))
        )
    for match in _ZERO_WIDTH_RUN.finditer(text):
        decoded = _bits_text(match.group())
        found.append((*match.span(), "zero-width", decoded))
    return tuple(found)


def _mixed(word: str) -> str | None:
    """The Latin reading of a word that mixes Latin with look-alike letters, or is wholly made of them beside Latin digits; else None."""
    plain = word.translate(_LOOK_ALIKE)
    if plain == word or not plain.isascii():
        return None
    latin = sum(1 for character in word if character.isascii() and character.isalpha())
    return plain if latin else None


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
        if word.isascii():
            continue
        compatible = unicodedata.normalize("NFKC", word)
        replacement = None
        if compatible != word and compatible.isascii() and len(compatible) >= 3:
            compatibility.append((*match.span(), compatible))
            replacement = compatible
        else:
            plain = _mixed(compatible)
            if plain is not None and len(plain) >= 2:
                look_alike.append((*match.span(), plain))
                replacement = plain
        if replacement is not None:
            pieces += [text[last : match.start()], replacement]
            last = match.end()
    pieces.append(text[last:])
    plain_text = "".join(pieces).translate(_DELETE)
    return UnicodeForms(
        plain=plain_text,
        invisible=_spans(_ZERO_WIDTH_IN_WORD, text),
        direction=_spans(_DIRECTION, text),
        look_alike=tuple(look_alike),
        compatibility=tuple(compatibility),
        hidden_texts=_hidden_texts(text),
    )
