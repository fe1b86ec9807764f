"""Members of the archives and compressed streams that stand inside a package: zip, tar, gzip, bzip2, xz and lzma, opened in memory within bounds.

Zip and tar are read by their own records (APPNOTE 6.3, POSIX.1-2017 pax) rather than by the standard library, whose readers make an object of every record before anything can be refused.
Nothing is written anywhere, and no name is used as a path. What is encrypted, or in a form that is not opened (7z, rar, zstd), is named as such.
"""

from __future__ import annotations

import bz2
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from sigma_core.sandbox.encodings import MAX_DECODED, bounded_decompress

MAX_MEMBERS = 512
"""Members that are read of one archive."""
_MAX_RECORDS = 4_096
_UNOPENED = {
    b"7z\xbc\xaf": "7z",
    b"Rar!": "rar",
    b"(\xb5/\xfd": "zstd",
}
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_ENCRYPTED, _STORED, _DEFLATED, _BZIP2 = 1, 0, 8, 12
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Member:
    """``content`` is what could be read, at most `MAX_DECODED` bytes; ``problem`` says what could not (``encrypted member`` …)."""

    name: str
    content: bytes = b""
    cut: bool = False
    problem: str = ""


def members(data: bytes) -> Iterator[Member]:
    """The members of an archive in the order of their records, or the one content of a compressed stream."""
    form = next((form for magic, form in _UNOPENED.items() if data.startswith(magic)), "")
    if form:
        yield Member(form, problem=f"{form} not opened")
    elif data.startswith(b"PK"):
        yield from _zip_members(data)
    elif data[257:262] == b"ustar":
        yield from _tar_members(data)
    else:
        unpacked = bounded_decompress(data)
        if unpacked is None:
            yield Member("", problem="damaged stream")
        else:
            yield Member(unpacked[0], unpacked[1], len(unpacked[1]) >= MAX_DECODED)


def _zip_members(data: bytes) -> Iterator[Member]:
    end = data.rfind(b"PK\x05\x06")
    if end < 0 or end + 22 > len(data):
        yield Member("", problem="damaged zip")
        return
    size, start = struct.unpack_from("<2I", data, end + 12)
    shift = max(0, end - size - start)
    at, listed = end - size if end >= size else start, set[int]()
    for _ in range(_MAX_RECORDS):
        if at + _CENTRAL.size > end or data[at : at + 4] != b"PK\x01\x02":
            break
        record = _CENTRAL.unpack_from(data, at)
        flags, method, packed = record[3], record[4], record[8]
        name_size, extra_size, comment_size, offset = record[10], record[11], record[12], record[16]
        name = data[at + 46 : at + 46 + name_size].decode("utf-8", "replace")
        at += 46 + name_size + extra_size + comment_size
        listed.add(offset + shift)
        if len(listed) > MAX_MEMBERS:
            yield Member(name, problem="too many members")
            return
        if not name.endswith("/"):
            yield _zip_member(data, name, flags, method, packed, offset + shift)
    else:
        yield Member("", problem="too many members")
        return
    yield from _unlisted_members(data[:end], listed)


def _zip_member(data: bytes, name: str, flags: int, method: int, packed: int, offset: int) -> Member:
    if flags & _ENCRYPTED:
        return Member(name, problem="encrypted member")
    if offset + _LOCAL.size > len(data) or data[offset : offset + 4] != b"PK\x03\x04":
        return Member(name, problem="damaged zip")
    name_size, extra_size = struct.unpack_from("<2H", data, offset + 26)
    first = offset + _LOCAL.size + name_size + extra_size
    # A view: thousands of records may point at the same bytes.
    content = _inflate(memoryview(data)[first : first + packed], method)
    if content is None:
        return Member(
            name, problem="damaged member" if method in {_STORED, _DEFLATED, _BZIP2} else "unusual compression"
        )
    return Member(name, content, len(content) >= MAX_DECODED)


def _inflate(raw: memoryview, method: int) -> bytes | None:
    if method == _STORED:
        return bytes(raw[:MAX_DECODED])
    try:
        if method == _DEFLATED:
            return zlib.decompressobj(-15).decompress(raw[:MAX_DECODED], MAX_DECODED)
        if method == _BZIP2:
            return bz2.BZ2Decompressor().decompress(bytes(raw[:MAX_DECODED]), MAX_DECODED)
    except (zlib.error, OSError, ValueError, EOFError):
        return None
    return None


def _unlisted_members(data: bytes, listed: set[int]) -> Iterator[Member]:
    """Members that stand in the bytes and not in the directory: some programs read them, most do not."""
    at, found = data.find(b"PK\x03\x04"), 0
    while at >= 0 and found < MAX_MEMBERS:
        if at not in listed and at + _LOCAL.size <= len(data):
            record = _LOCAL.unpack_from(data, at)
            flags, method, packed, name_size = record[2], record[3], record[7], record[9]
            plausible = method in {_STORED, _DEFLATED} and 0 < name_size <= 255 and not flags & _ENCRYPTED
            name = data[at + 30 : at + 30 + name_size]
            inside = any(start < at for start in listed) and any(start > at for start in listed)
            if plausible and packed and name.isascii() and name.decode().isprintable() and not inside:
                found += 1
                yield _zip_member(data, f"{name.decode()} (unlisted)", flags, method, packed, at)
        at = data.find(b"PK\x03\x04", at + 4)


def _tar_members(data: bytes) -> Iterator[Member]:
    at, long_name, count = 0, "", 0
    while at + _BLOCK <= len(data):
        header = data[at : at + _BLOCK]
        if not header.strip(b"\0"):
            return
        size = _octal(header[124:136])
        if size is None or size > len(data) - at:
            yield Member("", problem="damaged tar")
            return
        body = data[at + _BLOCK : at + _BLOCK + min(size, MAX_DECODED)]
        at += _BLOCK + -(-size // _BLOCK) * _BLOCK
        kind = header[156:157]
        if kind == b"L":
            long_name = body[:4_096].rstrip(b"\0").decode("utf-8", "replace")
        elif kind in {b"0", b"\0", b"7"}:
            count += 1
            if count > MAX_MEMBERS:
                yield Member("", problem="too many members")
                return
            name = long_name or header[:100].rstrip(b"\0").decode("utf-8", "replace")
            long_name = ""
            yield Member(name, body, size > MAX_DECODED)


def _octal(field: bytes) -> int | None:
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        return None
