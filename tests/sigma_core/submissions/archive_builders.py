"""Builds zips and tars byte by byte, so that every field can be made to lie."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

SKILL = b"---\nname: greeter\ndescription: Greets people.\n---\n\n# Greeter\n\nSay hello.\n"
TREE: dict[str, bytes] = {
    "SKILL.md": SKILL,
    "docs/usage.md": b"# Usage\n" * 40,
    "scripts/greet.py": b"print('hello')\n",
    "empty.txt": b"",
}


def deflate(content: bytes, level: int = 9) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    return compressor.compress(content) + compressor.flush()


@dataclass
class ZipMember:
    """One member. ``local`` and ``central`` override fields of the two headers by name; ``packed`` the stored bytes."""

    name: bytes
    content: bytes = b""
    method: int = 8
    flags: int = 0
    mode: int | None = None
    packed: bytes | None = None
    extra: bytes = b""
    central_extra: bytes | None = None
    comment: bytes = b""
    descriptor: bytes = b""
    before: bytes = b""
    local: Mapping[str, int | bytes] = field(default_factory=dict)
    central: Mapping[str, int | bytes] = field(default_factory=dict)

    @property
    def attributes(self) -> int:
        usual = 0o040755 if self.name.endswith(b"/") else 0o100644
        return (usual if self.mode is None else self.mode) << 16

    @property
    def stored(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflate(self.content) if self.method == 8 else self.content

    def fields(self) -> dict[str, int | bytes]:
        return {
            "name": self.name,
            "version": 20,
            "flags": self.flags,
            "method": self.method,
            "crc": zlib.crc32(self.content),
            "compressed": len(self.stored),
            "size": len(self.content),
        }


def extra_field(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def skill_member(**changes: object) -> ZipMember:
    return ZipMember(b"SKILL.md", SKILL, **changes)  # type: ignore[arg-type]


def streamed(name: bytes, content: bytes, method: int = 8, **changes: object) -> ZipMember:
    """A member as writers to a pipe make it: zeros in the local header, a data descriptor behind the bytes."""
    packed = deflate(content) if method == 8 else content
    descriptor = b"PK\x07\x08" + struct.pack("<III", zlib.crc32(content), len(packed), len(content))
    settings = {"flags": 8, "local": {"crc": 0, "compressed": 0, "size": 0}, "descriptor": descriptor, **changes}
    return ZipMember(name, content, method, **settings)  # type: ignore[arg-type]


def build_zip(
    *members: ZipMember,
    before: bytes = b"",
    before_directory: bytes = b"",
    after_directory: bytes = b"",
    after: bytes = b"",
    comment: bytes = b"",
    end: Mapping[str, int] | None = None,
    end64: bytes = b"",
) -> bytes:
    """A zip of ``members``. Offsets count from the first byte of the whole, ``before`` included."""
    out = bytearray(before)
    directory = bytearray()
    for member in members:
        out += member.before
        offset = len(out)
        local = {**member.fields(), **member.local}
        out += struct.pack(
            "<4s5HIIIHH",
            b"PK\x03\x04",
            *(local["version"], local["flags"], local["method"], 0, 0x5821),
            *(local["crc"], local["compressed"], local["size"]),
            *(len(local["name"]), len(member.extra)),
        )
        out += local["name"] + member.extra + member.stored + member.descriptor
        central = {"attributes": member.attributes, "offset": offset, "disk": 0, **member.fields(), **member.central}
        extra = member.extra if member.central_extra is None else member.central_extra
        directory += struct.pack(
            "<4s6HIIIHHHHHII",
            b"PK\x01\x02",
            *(0x031E, central["version"], central["flags"], central["method"], 0, 0x5821),
            *(central["crc"], central["compressed"], central["size"]),
            *(len(central["name"]), len(extra), len(member.comment), central["disk"], 0),
            *(central["attributes"], central["offset"]),
        )
        directory += central["name"] + extra + member.comment
    out += before_directory
    ending = {"disk": 0, "directory_disk": 0, "here": len(members), "count": len(members)}
    ending |= {"size": len(directory), "offset": len(out), "comment": len(comment), **(end or {})}
    out += directory + after_directory + end64
    return bytes(out) + struct.pack("<4s4HIIH", b"PK\x05\x06", *ending.values()) + comment + after


def tar_header(
    name: bytes,
    size: int = 0,
    kind: bytes = b"0",
    mode: int = 0o644,
    *,
    link: bytes = b"",
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    raw: Mapping[int, bytes] | None = None,
    checksum: bytes | None = None,
) -> bytes:
    """One header block; ``raw`` overwrites bytes at offsets before the checksum is made."""
    block = bytearray(512)

    def put(offset: int, value: bytes) -> None:
        block[offset : offset + len(value)] = value

    put(0, name[:100])
    put(100, b"%07o\x00" % mode)
    put(108, b"0001750\x000001750\x00")
    put(124, b"%011o\x00" % size)
    put(136, b"14522137554\x00")
    put(148, b" " * 8)
    put(156, kind)
    put(157, link)
    put(257, magic)
    put(345, prefix)
    for offset, value in (raw or {}).items():
        put(offset, value)
    put(148, checksum or b"%06o\x00 " % sum(block))
    return bytes(block)


def padded(content: bytes, filler: bytes = b"\x00") -> bytes:
    return content + filler * (-len(content) % 512)


def tar_file(name: bytes, content: bytes = b"", kind: bytes = b"0", **header: object) -> bytes:
    return tar_header(name, len(content), kind, **header) + padded(content)  # type: ignore[arg-type]


def pax_record(key: str, value: bytes) -> bytes:
    body = b" " + key.encode() + b"=" + value + b"\n"
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def pax_header(*records: bytes, kind: bytes = b"x") -> bytes:
    return tar_file(b"PaxHeaders/SKILL.md", b"".join(records), kind)


TAR_END = bytes(1024)
TAR_SKILL = tar_file(b"SKILL.md", SKILL)


def build_tar(*parts: bytes) -> bytes:
    return b"".join(parts) + TAR_END


def zip_of(tree: Mapping[str, bytes]) -> bytes:
    """An ordinary zip, by the standard library."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in tree.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def tar_of(tree: Mapping[str, bytes], mode: str = "w", tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    """An ordinary tar, by the standard library; ``mode`` as for `tarfile.open`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tar_format) as archive:  # type: ignore[call-overload]
        for path, content in tree.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            member.mtime = 1_700_000_000.25  # type: ignore[assignment]
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
