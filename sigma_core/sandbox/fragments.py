"""Encoded text that stands in pieces: lines of a listing, values of one list, labelled parts of several sections; joined in every order that a reader would try."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import re2

from sigma_core.sandbox import encodings
from sigma_core.sandbox.encodings import Decoded
from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.linear_pattern import linear_pattern

# A piece of base64 or hexadecimal changes between small letters, capitals and digits; a word does not.
_TOKEN = r"([A-Za-z0-9+/_-]*(?:[a-z][A-Z]|[A-Za-z][0-9]|[0-9][A-Za-z+/]|[A-Za-z0-9]=)[A-Za-z0-9+/_-]*={0,2})"
_LINE_PIECE = re2.compile(
    r"(?m)^[ \t>#*/|+-]{0,12}(?:[\w. -]{1,40}[:=|]\s*|\d+[.)]\s+)?[\"'`]{0,3}"
    + _TOKEN
    + r"[\"'`]{0,3}[ \t,;+.\\|)\]}]{0,6}\r?$"
)
_QUOTED_PIECE = re2.compile(r"[\"'`]" + _TOKEN + r"[\"'`]")
_LABEL = re2.compile(r"(\d{1,3})[^\dA-Za-z]{0,6}$")
_PART = linear_pattern(
    r"(?i)\b(?:part|piece|chunk|fragment|segment|p|s|x|cmd|line)[ _#-]{0,2}(\d{1,3})[\"'`*]{0,3}\s{0,3}(?:[:=]|is|->)\s{0,3}[*]{0,2}\s?(?:\"([^\"\n]{1,400})\"|'([^'\n]{1,400})'|`([^`\n]{1,400})`)",
    2_097_152,
)
_HEX_PIECE = re2.compile(r"^[0-9a-f]+$|^[0-9A-F]+$")
_NUMBER = re2.compile(r"\d+")
_MAX_TEXT = 65_536
_MAX_PIECES = 400
_MIN_PIECE, _MIN_FRAGMENT, _MIN_JOINED = 4, 8, 24
_MAX_ACROSS = 4_096
_CLOSE = 3
"""Lines that may stand between two pieces of one block."""


def lone_fragments(text: str) -> Iterator[tuple[int, int, str]]:
    """Base64-like tokens that stand alone on a line or as the whole value of a name: pieces that other files may complete."""
    for match in _LINE_PIECE.finditer(text[:20_000]):
        token = match.group(1)
        mixed = any(map(str.isupper, token)) and any(map(str.islower, token))
        if len(token) >= _MIN_FRAGMENT and (mixed or _HEX_PIECE.search(token)):
            yield match.start(1), match.end(1), token


def text_across_files(pieces: Sequence[tuple[str, Location]]) -> str | None:
    """What fragments of several files say together: joined in the order of paths, of the numbers in their names, or backwards; else None."""

    def number(piece: tuple[str, Location]) -> tuple[int, str, int]:
        found = _NUMBER.findall(piece[1].file)
        return (int(found[-1][:9]) if found else 0), piece[1].file, piece[1].byte_start

    for ordered in (pieces, sorted(pieces, key=number), tuple(reversed(pieces))):
        found = _together([token for token, _ in ordered], _MAX_ACROSS)
        text = encodings.readable(found[1]) if found else None
        if text is not None:
            return text
    return None


def _pieces(text: str) -> list[tuple[int, int, str, int]]:
    """``(start, end, token, number)``; the number is that of a label before the token (``part 3:``), or -1."""
    found: dict[int, tuple[int, int, str, int]] = {}
    for pattern in (_LINE_PIECE, _QUOTED_PIECE):
        for match in pattern.finditer(text):
            start, end = match.span(1)
            if start in found or end - start < _MIN_PIECE:
                continue
            label = _LABEL.search(text[max(0, start - 24) : start])
            found[start] = (start, end, match.group(1), int(label.group(1)) if label else -1)
            if len(found) >= _MAX_PIECES:
                break
    return [found[at] for at in sorted(found)]


def _blocks(text: str, pieces: list[tuple[int, int, str, int]]) -> Iterator[list[tuple[int, int, str, int]]]:
    """Runs of pieces that stand close together, then all of them, then all in the order of their labels."""
    block: list[tuple[int, int, str, int]] = []
    for piece in pieces:
        if block and text.count("\n", block[-1][1], piece[0]) > _CLOSE:
            yield block
            block = []
        block.append(piece)
    if len(block) < len(pieces):
        yield block
    yield pieces
    numbered = [piece for piece in pieces if piece[3] >= 0]
    if len({piece[3] for piece in numbered}) > 1:
        yield sorted(numbered, key=lambda piece: (piece[3], piece[0]))


def joined_pieces(text: str) -> Iterator[Decoded]:
    """What the pieces of ``text`` decode to together, where that says something."""
    text = text[:_MAX_TEXT]
    pieces = _pieces(text)
    if len(pieces) < 2:
        return
    for block in _blocks(text, pieces):
        for tokens in ([piece[2] for piece in block], [piece[2] for piece in reversed(block)]):
            decoded = _together(tokens) if len(tokens) > 1 else None
            if decoded is not None:
                yield Decoded(min(p[0] for p in block), max(p[1] for p in block), *decoded)
                break


def labelled_parts(text: str) -> Iterator[tuple[int, int, str]]:
    """Values under numbered labels (``part 1: …``), joined in the order of the numbers, as they stand and with blanks between them."""
    parts = []
    for match in _PART.finditer(text):
        value = next(value for value in match.groups()[1:] if value is not None)
        parts.append((int(match.group(1)), match.start(), match.end(), value))
        if len(parts) >= _MAX_PIECES:
            break
    if len({part[0] for part in parts}) < 2:
        return
    values = [part[3] for part in sorted(parts)]
    start, end = min(part[1] for part in parts), max(part[2] for part in parts)
    for joined in ("".join(values), " ".join(values)):
        if encodings.speaks(joined):
            yield start, end, joined


def _together(tokens: list[str], most: int = _MAX_TEXT) -> tuple[str, bytes] | None:
    """Tokens joined and decoded, or decoded one by one and joined."""
    joined = "".join(tokens)[:most]
    if len(joined) < _MIN_JOINED:
        return None
    padded = any(token.endswith("=") for token in tokens[:-1])
    if padded:
        parts = [encodings.decode_base64(token) for token in tokens]
        found = encodings.meaning("joined-base64", b"".join(part for part in parts if part), joined)
        if found is not None:
            return found
    for found_piece in encodings.find_encoded(joined):
        if found_piece.end - found_piece.start >= len(joined) - 3:
            return f"joined-{found_piece.step}", found_piece.data
    return None
