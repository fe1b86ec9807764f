"""Text that a picture carries: PNG text chunks, JPEG comments and EXIF strings, GIF comments, XMP; and what follows the picture's end.

Formats: PNG (W3C, third edition), JPEG (ITU-T T.81), GIF89a, XMP part 3. A picture's pixels are not read.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import re2

_PNG, _JPEG, _GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8"
_MAX_TEXT = 65_536
_MAX_CHUNKS = 2_000
_MAX_TEXTS = 32
_PRINTABLE = re2.compile(r"[ -~\t\r\n]{24,}")


def picture_texts(data: bytes) -> Iterator[tuple[str, bytes]]:
    """``(where, bytes)`` of each piece of text, then ``("tail", bytes)`` of what follows the end."""
    if data.startswith(_PNG):
        texts, end = _png(data)
    elif data.startswith(_JPEG):
        texts, end = _jpeg(data)
    elif data.startswith(_GIF):
        texts, end = _gif(data)
    else:
        texts, end = [], len(data)
    yield from texts[:_MAX_TEXTS]
    first = data.find(b"<x:xmpmeta")
    if first >= 0:
        last = data.find(b"</x:xmpmeta>", first)
        yield "xmp", data[first : min(last if last >= 0 else len(data), first + _MAX_TEXT)]
    if end < len(data):
        yield "tail", data[end:]


def _png(data: bytes) -> tuple[list[tuple[str, bytes]], int]:
    texts, at = list[tuple[str, bytes]](), 8
    for _ in range(_MAX_CHUNKS):
        size, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        if at + 12 + size > len(data):
            return texts, len(data)
        body = data[at + 8 : at + 8 + min(size, _MAX_TEXT)]
        at += 12 + size
        if kind == b"IEND":
            return texts, at
        if kind == b"tEXt":
            texts.append(("tEXt", body.partition(b"\0")[2]))
        elif kind == b"zTXt":
            texts.append(("zTXt", _inflated(body.partition(b"\0")[2][1:])))
        elif kind == b"iTXt":
            packed, rest = body.partition(b"\0")[2][:1], body.partition(b"\0")[2][2:]
            words = rest.partition(b"\0")[2].partition(b"\0")[2]
            texts.append(("iTXt", _inflated(words) if packed == b"\1" else words))
    return texts, len(data)


def _jpeg(data: bytes) -> tuple[list[tuple[str, bytes]], int]:
    texts, at = list[tuple[str, bytes]](), 2
    for _ in range(_MAX_CHUNKS):
        if data[at : at + 1] != b"\xff" or at + 4 > len(data):
            break
        kind, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if kind == 0xDA:
            break
        body = data[at + 4 : at + 2 + min(size, _MAX_TEXT)]
        at += 2 + max(size, 2)
        if kind == 0xFE:
            texts.append(("comment", body))
        elif kind == 0xE1 and body.startswith(b"Exif"):
            texts += [("exif", run.encode()) for run in _PRINTABLE.findall(body.decode("latin-1"))]
    end = data.rfind(b"\xff\xd9")
    return texts, end + 2 if end >= at else len(data)


def _gif(data: bytes) -> tuple[list[tuple[str, bytes]], int]:
    texts, at = list[tuple[str, bytes]](), data.find(b"\x21\xfe")
    while at >= 0 and len(texts) < _MAX_TEXTS:
        words, position = b"", at + 2
        while position < len(data) and data[position] and len(words) < _MAX_TEXT:
            words += data[position + 1 : position + 1 + data[position]]
            position += 1 + data[position]
        texts.append(("comment", words))
        at = data.find(b"\x21\xfe", position)
    end = data.rfind(b"\x00;")
    return texts, end + 2 if end >= 0 else len(data)


def _inflated(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, _MAX_TEXT)
    except zlib.error:
        return b""
