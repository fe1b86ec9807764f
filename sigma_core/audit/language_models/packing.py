"""The package as marked text: every line numbered, every sign that could act as markup or hide escaped, nothing left out.

A package whose text fits goes into one prompt; a larger one is packed file by file, and a file that is larger than a
prompt is cut before a heading or definition where one is near, with lines that both parts show. `Chunk.spans` says which
lines each prompt holds, and `uncovered` proves from them that together they hold all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import re2

from sigma_core.submissions.package import Package

_HIDDEN = re2.compile(
    # Controls but tab, format and private signs, separators, variation selectors, fillers: what a reader would not see.
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\p{Cf}\p{Co}\p{Zl}\p{Zp}"
    r"\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}\x{115F}\x{1160}\x{3164}\x{FFA0}\x{2800}\x{034F}\x{180B}-\x{180E}]"
)
_MARKED = re2.compile(r"&(?:amp|lt|gt|quot|#x[0-9A-F]{1,6});")
_LINE_MARK = re2.compile(r"(?m)^ *[0-9]+(?:\.[0-9]+)?\|")
_OPENS = re2.compile(
    r"^(?:#{1,6} |(?:async )?def |class |(?:export )?(?:default )?(?:async )?function\b|(?:pub )?fn |func |[A-Za-z_][\w-]*\(\) *\{)"
)
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_BY_NAME = {mark: sign for sign, mark in _NAMED.items()}
_LINE_PART_OVERLAP = 400
"""Signs that two parts of one very long line share: as long as the longest quote."""


@dataclass(frozen=True, slots=True)
class Span:
    """Lines ``first`` to ``last`` (1-based, inclusive) of a file; the parts of a split line are told apart by ``part`` of
    ``parts`` (1 of 1 for whole lines)."""

    path: str
    first: int
    last: int
    part: int = 1
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive lines of one file as they are shown, and which lines those are."""

    path: str
    spans: tuple[Span, ...]
    text: str

    @property
    def lines(self) -> str:
        """``3-40``, with the parts of split lines as ``41.2``: what the piece's tag says."""
        first, last = self.spans[0], self.spans[-1]
        return f"{_place(first, first.first)}-{_place(last, last.last)}"


@dataclass(frozen=True, slots=True)
class Chunk:
    """The package text of one prompt, in package order."""

    pieces: tuple[Piece, ...]

    @property
    def spans(self) -> tuple[Span, ...]:
        """Which lines are in here."""
        return tuple(span for piece in self.pieces for span in piece.spans)

    @property
    def files(self) -> tuple[str, ...]:
        """Paths, in package order, each once."""
        return tuple(dict.fromkeys(piece.path for piece in self.pieces))


def escape(text: str) -> str:
    """``text`` that can neither open nor close a tag nor hold a sign that does not show: those become ``&#x…;``."""
    for sign, mark in _NAMED.items():
        text = text.replace(sign, mark)
    if text.isascii() and text.isprintable():
        return text
    return str(_HIDDEN.sub(lambda found: f"&#x{ord(found.group()):X};", text))


def unescape(text: str) -> str:
    """The inverse of `escape`, and of nothing else."""

    def sign(found: re2.Match) -> str:
        mark = found.group()
        if mark in _BY_NAME:
            return _BY_NAME[mark]
        number = int(mark[3:-1], 16)
        return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else mark

    return str(_MARKED.sub(sign, text))


def without_marks(quote: str) -> str:
    """A quote as it stands in the file, where a model has copied our line numbers or escapes along with it."""
    return unescape(_LINE_MARK.sub("", quote))


def pack(package: Package, limit: int, overlap_lines: int) -> tuple[Chunk, ...]:
    """The package in as few chunks of at most ``limit`` rendered signs as packing in order allows; at least one.

    Time and memory are linear in the package: two parts of a file share at most ``overlap_lines`` lines and an eighth of
    ``limit``.
    """
    chunks: list[list[Piece]] = [[]]
    room = limit
    for file in package.files:
        units = list(_units(file.path, file.content.decode("utf-8", "replace"), limit))
        size = sum(len(text) + 1 for _, text in units)
        if size <= limit:
            if size > room:
                chunks.append([])
                room = limit
            chunks[-1].append(_joined(file.path, units))
            room -= size
            continue
        parts = [[_joined(file.path, part)] for part in _cut(units, limit, overlap_lines)]
        if chunks[-1]:
            chunks.extend(parts)
        else:
            chunks[-1:] = parts
        chunks.append([])
        room = limit
    return tuple(Chunk(tuple(pieces)) for pieces in chunks if pieces) or (Chunk(()),)


def uncovered(package: Package, chunks: Iterable[Chunk]) -> tuple[str, ...]:
    """Files of which some line is in no chunk: empty, or packing is broken."""
    seen: dict[str, set[int]] = {file.path: set() for file in package.files}
    parts: dict[tuple[str, int], set[int]] = {}
    for chunk in chunks:
        for span in chunk.spans:
            if span.parts == 1:
                seen[span.path].update(range(span.first, span.last + 1))
                continue
            shown = parts.setdefault((span.path, span.first), set())
            shown.add(span.part)
            if len(shown) == span.parts:
                seen[span.path].add(span.first)
    return tuple(file.path for file in package.files if len(seen[file.path]) != file.content.count(b"\n") + 1)


_Unit = tuple[Span, str]


def _units(path: str, text: str, limit: int) -> Iterator[_Unit]:
    """Each line as it is shown; a line that is longer than an eighth of a prompt in overlapping parts."""
    most = max(limit // 8, 2 * _LINE_PART_OVERLAP)
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.removesuffix("\r")  # a line's ending, not a sign in it
        shown = escape(line)
        if len(shown) <= most:
            yield Span(path, number, number), f"{number:>5}|{shown}"
            continue
        # An escape is at most ten signs for one, so that a part stays far below a prompt whatever it holds.
        step = max(most // 10, _LINE_PART_OVERLAP)
        starts = range(0, max(len(line) - _LINE_PART_OVERLAP, 1), step)
        for part, start in enumerate(starts, start=1):
            shown = escape(line[start : start + step + _LINE_PART_OVERLAP])
            yield Span(path, number, number, part, len(starts)), f"{number:>5}.{part}|{shown}"


def _cut(units: list[_Unit], limit: int, overlap_lines: int) -> Iterator[list[_Unit]]:
    start = 0
    while True:
        size, end = 0, start
        while end < len(units) and (size + len(units[end][1]) + 1 <= limit or end == start):
            size += len(units[end][1]) + 1
            end += 1
        if end == len(units):
            yield units[start:end]
            return
        end = _boundary(units, start, end)
        yield units[start:end]
        back, shared = end, 0
        while back - 1 > start and end - back < overlap_lines and shared + len(units[back - 1][1]) <= limit // 8:
            back -= 1
            shared += len(units[back][1])
        start = back


def _boundary(units: list[_Unit], start: int, end: int) -> int:
    """Where to cut at ``end`` or up to a quarter of the part before it: before a definition or heading, else there."""
    for at in range(end, end - (end - start) // 4, -1):
        text = units[at][1]
        if units[at][0].parts == 1 and _OPENS.match(text[text.index("|") + 1 :]):
            return at
    return end


def _joined(path: str, units: list[_Unit]) -> Piece:
    """Consecutive units as one piece, whole lines under one span."""
    spans: list[Span] = []
    for span, _ in units:
        if spans and span.parts == spans[-1].parts == 1:
            spans[-1] = Span(path, spans[-1].first, span.last)
        else:
            spans.append(span)
    return Piece(path, tuple(spans), "\n".join(shown for _, shown in units))


def _place(span: Span, line: int) -> str:
    return str(line) if span.parts == 1 else f"{line}.{span.part}"
