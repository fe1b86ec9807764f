"""PDF (ISO 32000-1): the words of its page streams as far as they are written plainly, and the actions it takes.

No rendering and no object graph: streams are found by their keywords, inflated within bounds, and searched. Fonts with codes of their own stay unread.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import re2

from sigma_core.sandbox.linear_pattern import linear_pattern

_MAX_STREAMS = 256
_MAX_STREAM = 65_536
_MAX_TOTAL = 1_048_576
_HEX_NAME = re2.compile(r"#([0-9A-Fa-f]{2})")
_ACTION = re2.compile(r"/(JavaScript|JS|Launch|OpenAction|AA|SubmitForm|ImportData|GoToR|EmbeddedFile|RichMedia|XFA)\b")
_URI = re2.compile(r"/URI\s*\(((?:[^()\\]|\\.)+)\)")
_SCRIPT = linear_pattern(r"/JS\s*\(((?:[^()\\]|\\.|\((?:[^()\\]|\\.){0,400}\))+)\)")
_SHOWN = re2.compile(r"\(((?:[^()\\]|\\.)*)\)|<([0-9A-Fa-f\s]{4,})>|(T\*|Td|TD|ET|'|\")\b?")
_LITERAL_ESCAPE = re2.compile(r"\\([0-7]{1,3}|.)")
_ESCAPES = {"n": "\n", "r": "\n", "t": "\t", "b": "", "f": "\n"}
_RUNNING = frozenset({"JavaScript", "JS", "Launch", "SubmitForm", "ImportData", "XFA"})


@dataclass
class PdfDocument:
    """``actions`` are names of actions in order; ``running`` those that execute or send; ``partial`` where a bound was hit or the file is encrypted."""

    words: str = ""
    actions: dict[str, None] = field(default_factory=dict)
    uris: dict[str, None] = field(default_factory=dict)
    scripts: list[str] = field(default_factory=list)
    partial: str = ""

    @property
    def running(self) -> list[str]:
        """Actions that execute something or send it."""
        return [name for name in self.actions if name in _RUNNING]


def read_pdf(data: bytes) -> PdfDocument:
    """Read a PDF within bounds; never raises for damaged data."""
    document, words = PdfDocument(), list[str]()
    if b"/Encrypt" in data[-4_096:] or b"/Encrypt" in data[:4_096]:
        document.partial = "encrypted PDF"
    total, count, outside, last = 0, 0, list[bytes](), 0
    at = data.find(b"stream")
    while at >= 0:
        first = at + 6 + (2 if data[at + 6 : at + 8] == b"\r\n" else 1)
        end = data.find(b"endstream", first)
        if end < 0:
            break
        count += 1
        if count > _MAX_STREAMS or total > _MAX_TOTAL:
            document.partial = document.partial or "many streams"
            break
        outside.append(data[last:at])
        head = data[max(last, at - 1_000) : at]
        if b"/Image" not in head and b"/FontFile" not in head and b"/Length1" not in head:
            content = _inflated(data[first : min(end, first + _MAX_STREAM)], head)
            total += len(content)
            plain = content.decode("latin-1")
            if b"/ObjStm" in head:
                _actions(document, plain)
            elif "Tj" in plain or "TJ" in plain or "'" in plain:
                words.append(_shown(plain))
        last = end + 9
        at = data.find(b"stream", last)
    outside.append(data[last : last + _MAX_TOTAL])
    _actions(document, b"\n".join(outside)[:_MAX_TOTAL].decode("latin-1"))
    document.words = "\n".join(piece for piece in words if piece.strip())
    return document


def _inflated(raw: bytes, head: bytes) -> bytes:
    if b"Flate" not in head and b"/Fl" not in head:
        return raw
    try:
        return zlib.decompressobj().decompress(raw, _MAX_STREAM)
    except zlib.error:
        return b""


def _actions(document: PdfDocument, plain: str) -> None:
    plain = _HEX_NAME.sub(lambda match: chr(int(match.group(1), 16)), plain) if "#" in plain else plain
    for match in _ACTION.finditer(plain):
        document.actions.setdefault(match.group(1))
    for match in _URI.finditer(plain):
        document.uris.setdefault(_literal(match.group(1)))
    document.scripts += [_literal(match.group(1)) for match in _SCRIPT.finditer(plain)][:16]


def _shown(plain: str) -> str:
    """The strings that a page stream shows; moves to another place as line ends."""
    pieces = []
    for match in _SHOWN.finditer(plain):
        literal, digits, move = match.groups()
        if literal is not None:
            pieces.append(_literal(literal))
        elif digits is not None:
            bare = "".join(digits.split())
            pieces.append(bytes.fromhex(bare[: len(bare) - len(bare) % 2]).decode("latin-1").replace("\0", ""))
        elif move is not None:
            pieces.append("\n")
    return "".join(pieces)


def _literal(text: str) -> str:
    if "\\" not in text:
        return text
    out, last = [], 0
    for match in _LITERAL_ESCAPE.finditer(text):
        code = match.group(1)
        out += [text[last : match.start()], chr(int(code, 8) & 0xFF) if code.isdigit() else _ESCAPES.get(code, code)]
        last = match.end()
    return "".join([*out, text[last:]])
