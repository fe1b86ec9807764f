"""A strict reader of zip archives (PKWARE APPNOTE 6.3.10), made so that no two readers can see different members.

Readers of zip take names, sizes and methods from the central directory, from the local headers or from data
descriptors, and start from the front, from the end or in between. Here all of them must agree, and members, directory
and end record must tile the file from its first byte to its last. That is checked before anything is decompressed.
"""

from __future__ import annotations

import stat
import struct
import zlib
from dataclasses import dataclass

from sigma_core.policy import PackageLimits
from sigma_core.submissions.intake_budget import IntakeBudget, check_mode, is_executable
from sigma_core.submissions.member_names import check_name, refuse_clashes
from sigma_core.submissions.package import PackageFile
from sigma_core.submissions.refusal import Refusal

LOCAL_MAGIC = b"PK\x03\x04"
_DIRECTORY_MAGIC = b"PK\x01\x02"
_DESCRIPTOR_MAGIC = b"PK\x07\x08"
_END64_MAGIC = b"PK\x06\x06"
_LOCATOR64_MAGIC = b"PK\x06\x07"
END_MAGIC = b"PK\x05\x06"

_LOCAL = struct.Struct("<4s5HIIIHH")
_DIRECTORY = struct.Struct("<4s6HIIIHHHHHII")
_END = struct.Struct("<4s4HIIH")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR64 = struct.Struct("<4sIQI")

_U16, _U32 = 0xFFFF, 0xFFFFFFFF
_STORED, _DEFLATED = 0, 8
_NEWEST_VERSION = 63
_ENCRYPTION_FLAGS = 0x0001 | 0x0040 | 0x2000
_DESCRIPTOR_FLAG, _UTF8_FLAG = 0x0008, 0x0800
_ALLOWED_FLAGS = 0x0002 | 0x0004 | _DESCRIPTOR_FLAG | _UTF8_FLAG
_DOS_DIRECTORY, _DOS_REPARSE_POINT = 0x10, 0x400

_ZIP64_EXTRA, _UNICODE_PATH_EXTRA = 0x0001, 0x7075
_ENCRYPTION_EXTRAS = frozenset({0x0014, 0x0015, 0x0016, 0x0017, 0x0018, 0x9901})
# Times and owners (NTFS, Unix old and new, extended timestamp), Unicode comment, the mark of a jar, alignment paddings.
_HARMLESS_EXTRAS = frozenset({0x000A, 0x5455, 0x5855, 0x7855, 0x7875, 0x6375, 0xCAFE, 0xA220, 0xD935})

MAX_COMMENT_BYTES = 256


@dataclass(frozen=True, slots=True)
class _Entry:
    """One central directory record, checked in itself. Sizes in bytes, ``offset`` of the local header."""

    name: str
    raw_name: bytes
    is_directory: bool
    mode: int
    flags: int
    method: int
    crc: int
    compressed: int
    size: int
    offset: int


@dataclass(frozen=True, slots=True)
class _End:
    """Where the central directory lies, and how many records it has."""

    directory_at: int
    directory_end: int
    count: int


def looks_like_zip(data: bytes) -> bool:
    """Whether ``data`` begins as a zip does."""
    return data.startswith((LOCAL_MAGIC, END_MAGIC))


def ends_like_zip(data: bytes) -> bool:
    """Whether a zip reader would find an end record whose comment reaches exactly to the end of ``data``."""
    tail = data[-(_END.size + _U16) :]
    at = tail.rfind(END_MAGIC, 0, max(0, len(tail) - _END.size + len(END_MAGIC)))
    while at >= 0:
        if at + _END.size + _END.unpack_from(tail, at)[7] == len(tail):
            return True
        at = tail.rfind(END_MAGIC, 0, at)
    return False


def read_zip(data: bytes, budget: IntakeBudget) -> list[PackageFile]:
    """The files of a zip, in the order of their bytes. Raises Refusal."""
    end = _find_end(data)
    entries = _read_directory(data, end, budget)
    refuse_clashes(
        (entry.name for entry in entries if not entry.is_directory),
        (entry.name for entry in entries if entry.is_directory),
    )
    entries.sort(key=lambda entry: entry.offset)
    files = []
    for entry, start in zip(entries, _check_tiling(data, entries, end), strict=True):
        content = _decompress(data[start : start + entry.compressed], entry)
        if not entry.is_directory:
            files.append(PackageFile.of(entry.name, content, executable=is_executable(entry.mode)))
    return files


def _find_end(data: bytes) -> _End:
    """Read the end record, and the zip64 one where there is one. Both must be exactly where the file says and ends."""
    at = data.rfind(END_MAGIC)
    if at < 0 or at + _END.size > len(data):
        raise Refusal("BROKEN_ARCHIVE", found="zip without an end record")
    _, disk, directory_disk, count_here, count, size, offset, comment = _END.unpack_from(data, at)
    rest = len(data) - at - _END.size
    if comment > rest:
        raise Refusal("BROKEN_ARCHIVE", found="zip is cut off in its comment")
    if comment < rest:
        raise Refusal("HOSTILE_BYTES_AFTER", found=f"{rest - comment} bytes after the end record")
    _check_comment(data[at + _END.size :], "")
    narrow = (disk, directory_disk, count_here, count, size, offset)
    wide: tuple[int, ...] = narrow
    directory_end = at
    if data[max(0, at - _LOCATOR64.size) : at].startswith(_LOCATOR64_MAGIC):
        directory_end = at - _LOCATOR64.size - _END64.size
        wide = _read_end64(data, directory_end, narrow)
    disk, directory_disk, count_here, count, size, offset = wide
    if disk or directory_disk or count_here != count:
        raise Refusal("HOSTILE_MULTI_DISK")
    if offset + size > directory_end:
        raise Refusal("BROKEN_ARCHIVE", found="the central directory is not where the end record says")
    if offset + size < directory_end:
        between = data[offset + size : directory_end]
        found = "a second end record" if END_MAGIC in between else f"{len(between)} bytes after the central directory"
        raise Refusal("HOSTILE_GAP", found=found)
    return _End(offset, directory_end, count)


def _read_end64(data: bytes, at: int, narrow: tuple[int, ...]) -> tuple[int, ...]:
    """The zip64 values of the end record, each of which the narrow record must repeat or leave saturated."""
    _, disk, end64_at, disks = _LOCATOR64.unpack_from(data, at + _END64.size)
    if at < 0 or disk or disks != 1 or end64_at != at or data[at : at + 4] != _END64_MAGIC:
        raise Refusal("HOSTILE_ZIP64", found="the zip64 end record is not right before its locator")
    _, length, _, _, *wide = _END64.unpack_from(data, at)
    saturated = (_U16, _U16, _U16, _U16, _U32, _U32)
    if length != _END64.size - 12 or any(
        few not in {many, full} for few, many, full in zip(narrow, wide, saturated, strict=True)
    ):
        raise Refusal("HOSTILE_ZIP64", found="the two end records disagree")
    return tuple(wide)


def _check_comment(comment: bytes, member: bytes | str) -> None:
    if len(comment) > MAX_COMMENT_BYTES or not (comment.isascii() and comment.decode().isprintable()):
        raise Refusal("HOSTILE_COMMENT", member, limit=MAX_COMMENT_BYTES, found=len(comment))


def _read_directory(data: bytes, end: _End, budget: IntakeBudget) -> list[_Entry]:
    """The central directory's records, each checked in itself, charged to ``budget`` before its bytes are read."""
    entries = []
    at = end.directory_at
    for _ in range(end.count):
        if at + _DIRECTORY.size > end.directory_end or data[at : at + 4] != _DIRECTORY_MAGIC:
            raise Refusal("BROKEN_ARCHIVE", found=f"central directory has fewer than the {end.count} records it claims")
        entry, at = _read_record(data, at, budget.limits)
        if at > end.directory_end:
            raise Refusal("BROKEN_ARCHIVE", entry.name, found="record reaches beyond the central directory")
        budget.charge_entry(entry.name)
        if not entry.is_directory:
            budget.charge_file(entry.name, entry.size)
            budget.check_ratio(entry.name, entry.compressed, entry.size)
        entries.append(entry)
    budget.check_ratio("", len(data), budget.total_bytes)
    if at != end.directory_end:
        raise Refusal("HOSTILE_GAP", found=f"the central directory has more than the {end.count} records it claims")
    return entries


def _read_record(data: bytes, at: int, limits: PackageLimits) -> tuple[_Entry, int]:
    """The record at ``at`` and where the next one begins."""
    record = _DIRECTORY.unpack_from(data, at)
    needed, flags, method = record[2:5]
    crc, compressed, size, name_length, extra_length, comment_length, disk = record[7:14]
    attributes, offset = record[15:17]
    name_at = at + _DIRECTORY.size
    extra_at = name_at + name_length
    comment_at = extra_at + extra_length
    raw_name = data[name_at:extra_at]
    name = raw_name.decode("utf-8", "surrogateescape")
    check_name(name.removesuffix("/"), limits)
    _check_comment(data[comment_at : comment_at + comment_length], raw_name)
    extras = _extras(data[extra_at:comment_at], raw_name)
    size, compressed, offset = _widened(extras.get(_ZIP64_EXTRA), (size, compressed, offset), raw_name)
    if disk:
        raise Refusal("HOSTILE_MULTI_DISK", raw_name)
    _check_version(needed, raw_name)
    if flags & _ENCRYPTION_FLAGS or method == 99:
        raise Refusal("HOSTILE_ENCRYPTED", raw_name)
    if flags & ~_ALLOWED_FLAGS:
        raise Refusal("HOSTILE_FLAGS", raw_name, found=f"0x{flags:04x}")
    if method not in {_STORED, _DEFLATED}:
        raise Refusal("HOSTILE_COMPRESSION_METHOD", raw_name, found=method)
    if method == _STORED and compressed != size:
        raise Refusal("HOSTILE_SIZE_LIE", raw_name, found=f"stored, but {compressed} bytes become {size}")
    if not name.isascii() and not flags & _UTF8_FLAG and _UNICODE_PATH_EXTRA not in extras:
        raise Refusal("HOSTILE_PATH_NOT_UTF8", raw_name, found="not ASCII, and the UTF-8 flag is not set")
    is_directory = name.endswith("/")
    mode = attributes >> 16
    _check_kind(name, is_directory, mode, attributes)
    if is_directory and size:
        raise Refusal("HOSTILE_SIZE_LIE", raw_name, found="a directory with content")
    entry = _Entry(
        name=name.removesuffix("/"),
        raw_name=raw_name,
        is_directory=is_directory,
        mode=mode,
        flags=flags,
        method=method,
        crc=crc,
        compressed=compressed,
        size=size,
        offset=offset,
    )
    return entry, comment_at + comment_length


def _check_version(needed: int, name: bytes) -> None:
    if needed > _NEWEST_VERSION:
        raise Refusal("HOSTILE_ZIP_VERSION", name, limit=_NEWEST_VERSION, found=needed)


def _check_kind(name: str, is_directory: bool, mode: int, attributes: int) -> None:
    """The trailing slash, the Unix mode and the DOS attributes must tell of the same kind: a file or a directory."""
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFLNK or attributes & _DOS_REPARSE_POINT:
        raise Refusal("HOSTILE_SYMLINK", name)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise Refusal("HOSTILE_SPECIAL_FILE", name, found=f"mode {mode:o}")
    wrong_kind = stat.S_IFREG if is_directory else stat.S_IFDIR
    if kind == wrong_kind or (attributes & _DOS_DIRECTORY and not is_directory):
        raise Refusal("HOSTILE_TYPE_DISAGREES", name, found=f"mode {mode:o}")
    check_mode(name, mode)


def _extras(raw: bytes, name: bytes) -> dict[int, bytes]:
    """Extra fields by id: only well-known ones, each once, filling ``raw`` exactly."""
    extras: dict[int, bytes] = {}
    at = 0
    while at < len(raw):
        if at + 4 > len(raw):
            raise Refusal("HOSTILE_EXTRA_FIELD", name, found="left-over bytes")
        kind, length = struct.unpack_from("<HH", raw, at)
        body = raw[at + 4 : at + 4 + length]
        if len(body) != length or kind in extras:
            raise Refusal("HOSTILE_EXTRA_FIELD", name, found=f"0x{kind:04x} is cut off or appears twice")
        if kind in _ENCRYPTION_EXTRAS:
            raise Refusal("HOSTILE_ENCRYPTED", name, found=f"extra field 0x{kind:04x}")
        if kind == _UNICODE_PATH_EXTRA and body != struct.pack("<BI", 1, zlib.crc32(name)) + name:
            raise Refusal("HOSTILE_NAME_DISAGREES", name, found=body[5:].decode("utf-8", "replace"))
        if kind not in _HARMLESS_EXTRAS and kind not in {_ZIP64_EXTRA, _UNICODE_PATH_EXTRA}:
            raise Refusal("HOSTILE_EXTRA_FIELD", name, found=f"0x{kind:04x}")
        extras[kind] = body
        at += 4 + length
    return extras


def _widened(extra: bytes | None, values: tuple[int, ...], name: bytes) -> tuple[int, ...]:
    """``values`` with saturated ones taken from the zip64 field. The field holds the saturated values only, or, as some
    writers have it, leading ones that equal what they extend."""
    if extra is None:
        return values
    if len(extra) % 8 or len(extra) > 8 * len(values):
        raise Refusal("HOSTILE_ZIP64", name, found=f"{len(extra)} bytes")
    wide = list(struct.unpack(f"<{len(extra) // 8}Q", extra))
    if len(wide) == values.count(_U32):
        replacements = iter(wide)
        return tuple(next(replacements) if value == _U32 else value for value in values)
    if any(value not in {_U32, other} for value, other in zip(values, wide, strict=False)):
        raise Refusal("HOSTILE_ZIP64", name)
    return (*wide, *values[len(wide) :])


def _check_tiling(data: bytes, entries: list[_Entry], end: _End) -> list[int]:
    """Where each member's bytes begin. ``entries`` are sorted by offset.

    Refuses local headers that say something else than the directory, and any byte before the directory that no member
    owns or two members share.
    """
    starts = []
    expected = 0
    for index, entry in enumerate(entries):
        if entry.offset < expected:
            raise Refusal("HOSTILE_OVERLAP", entry.raw_name)
        if entry.offset > expected:
            code = "HOSTILE_GAP" if expected else "HOSTILE_BYTES_BEFORE"
            raise Refusal(code, entry.raw_name, found=f"{entry.offset - expected} bytes before this member")
        following = entries[index + 1].offset if index + 1 < len(entries) else end.directory_at
        start = _check_local_header(data, entry)
        expected = start + entry.compressed
        if expected > following:
            raise Refusal("HOSTILE_OVERLAP", entry.raw_name, found="reaches into what follows")
        if entry.flags & _DESCRIPTOR_FLAG:
            _check_descriptor(data, entry, start, following)
            expected = following
        starts.append(start)
    if expected != end.directory_at:
        raise Refusal("HOSTILE_GAP", found=f"{end.directory_at - expected} bytes before the central directory")
    return starts


def _check_local_header(data: bytes, entry: _Entry) -> int:
    """Where the member's bytes begin; refuses a local header that the directory contradicts."""
    if data[entry.offset : entry.offset + 4] != LOCAL_MAGIC or entry.offset + _LOCAL.size > len(data):
        raise Refusal("BROKEN_ARCHIVE", entry.raw_name, found="no local header where the directory says")
    _, needed, flags, method, _, _, crc, compressed, size, name_length, extra_length = _LOCAL.unpack_from(
        data, entry.offset
    )
    name_at = entry.offset + _LOCAL.size
    start: int = name_at + name_length + extra_length
    name = data[name_at : name_at + name_length]
    if name != entry.raw_name:
        raise Refusal("HOSTILE_NAME_DISAGREES", entry.raw_name, found=name.decode("utf-8", "replace"))
    _check_version(needed, name)
    if (flags, method) != (entry.flags, entry.method):
        raise Refusal("HOSTILE_HEADERS_DISAGREE", name, found=f"flags 0x{flags:04x}, method {method}")
    extras = _extras(data[name_at + name_length : start], name)
    size, compressed = _widened(extras.get(_ZIP64_EXTRA), (size, compressed), name)
    local = (crc, compressed, size)
    deferred = entry.flags & _DESCRIPTOR_FLAG and local == (0, 0, 0)
    if not deferred and local != (entry.crc, entry.compressed, entry.size):
        found = f"checksum {crc:08x}, {compressed} bytes become {size}"
        raise Refusal("HOSTILE_HEADERS_DISAGREE", name, found=found)
    return start


def _check_descriptor(data: bytes, entry: _Entry, start: int, following: int) -> None:
    """The bytes between a member and the next one must be its data descriptor, 32 or 64 bits wide."""
    at = start + entry.compressed
    descriptor = data[at:following]
    values = (entry.crc, entry.compressed, entry.size)
    if descriptor not in {_DESCRIPTOR_MAGIC + struct.pack(form, *values) for form in ("<III", "<IQQ")}:
        raise Refusal("HOSTILE_DATA_DESCRIPTOR", entry.raw_name)
    # A stored member does not end by itself: a reader that starts from the front ends it at the first descriptor.
    if entry.method == _STORED and _DESCRIPTOR_MAGIC in data[start:at]:
        raise Refusal("HOSTILE_DATA_DESCRIPTOR", entry.raw_name, found="a second descriptor inside the stored bytes")


def _decompress(raw: bytes, entry: _Entry) -> bytes:
    """The member's bytes, at most one more than it claims to have. Refuses any other length and a wrong CRC-32."""
    content = raw
    if entry.method == _DEFLATED:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = inflate.decompress(raw, entry.size + 1)
        except zlib.error as error:
            raise Refusal("BROKEN_ARCHIVE", entry.raw_name, found=str(error)) from None
        if len(content) > entry.size or inflate.unused_data:
            raise Refusal("HOSTILE_SIZE_LIE", entry.raw_name, limit=entry.size, found="more bytes than claimed")
        if not inflate.eof:
            raise Refusal("BROKEN_ARCHIVE", entry.raw_name, found="the deflate stream is cut off")
        if len(content) < entry.size:
            raise Refusal("HOSTILE_SIZE_LIE", entry.raw_name, limit=entry.size, found=len(content))
    if zlib.crc32(content) != entry.crc:
        raise Refusal("BROKEN_CHECKSUM", entry.raw_name)
    return content
