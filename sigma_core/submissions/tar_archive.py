"""A strict reader of tar archives: ustar and pax (POSIX.1-2017 ``pax``), plain GNU form ("Basic Tar Format").

Readers of tar disagree about long names, sizes and what comes after the end, so every header byte is accounted for:
what has no meaning here must be zero. Nothing but files and directories passes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sigma_core.submissions.compressed_stream import CompressedStream, PlainStream, tar_stream
from sigma_core.submissions.intake_budget import IntakeBudget, check_mode, is_executable
from sigma_core.submissions.member_names import check_name, refuse_clashes
from sigma_core.submissions.package import PackageFile
from sigma_core.submissions.refusal import Refusal

BLOCK = 512
_ZERO_BLOCK = bytes(BLOCK)
MAX_PADDING_BYTES = 2**20
"""Zeros after the end marker: tar fills its last record, 10 KiB by default."""
MAX_EXTENDED_HEADER_BYTES = 4_096

# Owner, group, time, device numbers: unused here, but a reader that cannot read them stops.
_OTHER_NUMBERS = ((108, 116), (116, 124), (136, 148), (329, 337), (337, 345))

_BASE_256 = (0x80, 0xFF)
"""First bytes of positive and negative base-256 numbers."""

_USTAR = b"ustar\x0000"
_GNU = b"ustar  \x00"
_V7 = bytes(8)

_LINKS_AND_DEVICES = {
    b"1": "HOSTILE_HARD_LINK",
    b"2": "HOSTILE_SYMLINK",
    b"3": "HOSTILE_SPECIAL_FILE",
    b"4": "HOSTILE_SPECIAL_FILE",
    b"6": "HOSTILE_SPECIAL_FILE",
    b"K": "HOSTILE_SYMLINK",
    b"S": "HOSTILE_SPARSE",
}

# pax records that change neither name, kind nor content of a member.
_HARMLESS_PAX_KEYS = frozenset(
    {"atime", "ctime", "mtime", "uid", "gid", "uname", "gname", "comment", "LIBARCHIVE.creationtime"}
    | {"SCHILY.dev", "SCHILY.ino", "SCHILY.nlink"}
)
_HARMLESS_PAX_PREFIXES = ("SCHILY.xattr.com.apple.", "LIBARCHIVE.xattr.com.apple.")


@dataclass(slots=True)
class _Header:
    name: bytes
    mode: int
    size: int
    kind: bytes
    magic: bytes


@dataclass(slots=True)
class _Overrides:
    """What extended headers say about the next member."""

    pax: dict[str, str] = field(default_factory=dict)
    gnu_name: bytes | None = None
    seen: bool = False


def looks_like_tar(data: bytes) -> bool:
    """Whether ``data`` begins with a header block whose checksum is right."""
    return len(data) >= BLOCK and data[:BLOCK] != _ZERO_BLOCK and _checksum(data[:BLOCK]) == _octal(data[148:156])


def read_tar(data: bytes, budget: IntakeBudget) -> list[PackageFile]:
    """The files of a plain or compressed tar, in the archive's order. Raises Refusal."""
    stream = tar_stream(data)
    files: list[PackageFile] = []
    directories: list[str] = []
    overrides = _Overrides()
    while True:
        block = _read_block(stream)
        if block == _ZERO_BLOCK:
            break
        budget.charge_entry()
        header = _parse_header(block)
        if header.kind in b"xgL":
            _read_extended_header(stream, header, overrides)
            continue
        name, is_directory = _member_name(header, overrides)
        _check_kind(name, header, is_directory)
        overrides = _Overrides()
        if is_directory:
            # "tar -c ." spells the root "./".
            if name:
                check_name(name, budget.limits)
                directories.append(name)
            continue
        check_name(name, budget.limits)
        budget.charge_file(name, header.size)
        # Headers and padding may honestly shrink a thousandfold; they are limited by the number of entries.
        budget.check_ratio(name, len(data), budget.total_bytes)
        content = _read_content(stream, header.size, name)
        files.append(PackageFile.of(name, content, executable=is_executable(header.mode)))
    if overrides.seen:
        raise Refusal("BROKEN_ARCHIVE", found="an extended header with no member after it")
    _read_end(stream)
    refuse_clashes((file.path for file in files), directories)
    return files


def _read_block(stream: PlainStream | CompressedStream) -> bytes:
    block = stream.read(BLOCK)
    if len(block) != BLOCK:
        raise Refusal("BROKEN_ARCHIVE", found="tar ends before its end marker")
    return block


def _read_content(stream: PlainStream | CompressedStream, size: int, name: str | bytes) -> bytes:
    padded = -(-size // BLOCK) * BLOCK
    content = stream.read(padded)
    if len(content) != padded:
        raise Refusal("BROKEN_ARCHIVE", name, found="tar ends inside this member")
    if any(content[size:]):
        raise Refusal("HOSTILE_PADDING", name)
    return content[:size]


def _read_end(stream: PlainStream | CompressedStream) -> None:
    """After the first zero block: a second one, then zeros only, then nothing."""
    if _read_block(stream) != _ZERO_BLOCK:
        raise Refusal("HOSTILE_BYTES_AFTER", found="data after the end marker of the tar")
    rest = stream.read(MAX_PADDING_BYTES + 1)
    if any(rest):
        raise Refusal("HOSTILE_BYTES_AFTER", found="data after the end marker of the tar")
    if len(rest) > MAX_PADDING_BYTES:
        raise Refusal("LIMIT_ARCHIVE_PADDING", limit=MAX_PADDING_BYTES)
    if len(rest) % BLOCK:
        raise Refusal("BROKEN_ARCHIVE", found="tar does not end at a block boundary")
    stream.finish()


def _checksum(block: bytes) -> int:
    return sum(block[:148]) + 8 * 0x20 + sum(block[156:])


def _octal(number: bytes) -> int | None:
    """The value of an octal field (spaces before, spaces or NULs after), or None for anything else."""
    digits = number.rstrip(b"\x00 ").lstrip(b" ")
    if not digits:
        return 0
    return int(digits, 8) if digits.strip(b"01234567") == b"" else None


def _text(raw: bytes, place: str) -> bytes:
    """A text field up to its NUL; whatever follows the NUL must be zero."""
    text, _, rest = raw.partition(b"\x00")
    if rest.strip(b"\x00"):
        raise Refusal("HOSTILE_PADDING", text, found=f"bytes after the end of the {place} field")
    return text


def _parse_header(block: bytes) -> _Header:
    name = _text(block[0:100], "name")
    written = _octal(block[148:156])
    if written != _checksum(block):
        raise Refusal("BROKEN_CHECKSUM", name, found="tar header")
    magic = block[257:265]
    if magic == _USTAR:
        prefix = _text(block[345:500], "prefix")
        unused = block[500:]
        name = prefix + b"/" + name if prefix else name
    elif magic == _GNU:
        unused = block[345:]
    elif magic == _V7:
        # GNU tar writes the device numbers, zero, even in this form.
        unused = block[265:329] + block[345:]
    else:
        raise Refusal("HOSTILE_TAR_HEADER", name, found=repr(magic))
    if any(unused):
        raise Refusal("HOSTILE_PADDING", name, found="unused bytes of the header")
    kind = block[156:157]
    if _text(block[157:257], "link name") and kind not in _LINKS_AND_DEVICES:
        raise Refusal("HOSTILE_TAR_HEADER", name, found="a link name on a member that is no link")
    size, mode = _octal(block[124:136]), _octal(block[100:108])
    others = [block[start:end] for start, end in _OTHER_NUMBERS]
    if size is None or mode is None or any(_octal(number) is None and number[0] not in _BASE_256 for number in others):
        raise Refusal("HOSTILE_TAR_NUMBER", name)
    return _Header(name, mode, size, kind, magic)


def _read_extended_header(stream: PlainStream | CompressedStream, header: _Header, overrides: _Overrides) -> None:
    """Read a pax (x, g) or GNU long-name (L) header into ``overrides``."""
    if header.size > MAX_EXTENDED_HEADER_BYTES:
        limit = MAX_EXTENDED_HEADER_BYTES
        raise Refusal("LIMIT_TAR_EXTENDED_HEADER", header.name, limit=limit, found=header.size)
    content = _read_content(stream, header.size, header.name)
    if header.kind == b"g":
        for key in _pax_records(content, header.name):
            if key not in _HARMLESS_PAX_KEYS:
                raise Refusal("HOSTILE_TAR_PAX", header.name, found=f"global record {key!r}")
        return
    if overrides.seen:
        raise Refusal("HOSTILE_NAME_DISAGREES", header.name, found="two extended headers for one member")
    overrides.seen = True
    if header.kind == b"x":
        overrides.pax = _pax_records(content, header.name)
    elif content[-1:] != b"\x00" or b"\x00" in content[:-1] or header.magic != _GNU:
        raise Refusal("HOSTILE_TAR_HEADER", header.name, found="a malformed GNU long name")
    else:
        overrides.gnu_name = content[:-1]


def _pax_records(content: bytes, name: bytes) -> dict[str, str]:
    """The records ``<length> <key>=<value>\\n`` of a pax header; only keys that we know."""
    records: dict[str, str] = {}
    at = 0
    while at < len(content):
        digits, space, _ = content[at : at + 8].partition(b" ")
        if not space or not digits.isdigit() or digits.startswith(b"0"):
            raise Refusal("HOSTILE_TAR_PAX", name, found="a record without a length")
        end = at + int(digits)
        key, equals, value = content[at + len(digits) + 1 : end - 1].partition(b"=")
        if end > len(content) or content[end - 1 : end] != b"\n" or not equals or not key.isascii():
            raise Refusal("HOSTILE_TAR_PAX", name, found="a malformed record")
        word = key.decode()
        if word.startswith("GNU.sparse.") or word == "SCHILY.realsize":
            raise Refusal("HOSTILE_SPARSE", name, found=word)
        known = word in {"path", "size"} or word in _HARMLESS_PAX_KEYS or word.startswith(_HARMLESS_PAX_PREFIXES)
        if not known or word in records:
            raise Refusal("HOSTILE_TAR_PAX", name, found=f"record {word!r}")
        records[word] = value.decode("utf-8", "surrogateescape")
        at = end
    return records


def _member_name(header: _Header, overrides: _Overrides) -> tuple[str, bool]:
    """The member's name without the leading ``./`` and trailing slash, and whether it is a directory."""
    raw = header.name
    if overrides.gnu_name is not None:
        raw = overrides.gnu_name
        if raw[:100] != header.name:
            raise Refusal("HOSTILE_NAME_DISAGREES", raw, found=header.name.decode("utf-8", "replace"))
    elif "path" in overrides.pax:
        raw = overrides.pax["path"].encode("utf-8", "surrogateescape")
        if not _abbreviates(header.name, raw):
            raise Refusal("HOSTILE_NAME_DISAGREES", raw, found=header.name.decode("utf-8", "replace"))
    size = overrides.pax.get("size")
    if size is not None and size != str(header.size):
        raise Refusal("HOSTILE_SIZE_LIE", raw, found=f"pax {size}, header {header.size}")
    name = raw.decode("utf-8", "surrogateescape")
    # Before POSIX.1-1988 the slash was what made a directory.
    is_directory = header.kind == b"5" or (header.kind == b"\x00" and name.endswith("/"))
    if name.endswith("/"):
        if not is_directory:
            raise Refusal("HOSTILE_TYPE_DISAGREES", name)
        name = name[:-1]
    if name == "." and is_directory:
        return "", True
    return name.removeprefix("./"), is_directory


def _abbreviates(short: bytes, full: bytes) -> bool:
    """Whether a header name is what an archiver makes of a pax path.

    That is the same, or, where the path is long or not ASCII, a shortened form: its bytes in order, ``?`` for what
    ASCII lacks.
    """
    if full.isascii() and len(full) <= 100:
        return short == full
    rest = iter(full)
    return all(byte in rest for byte in short.replace(b"?", b""))


def _check_kind(name: str, header: _Header, is_directory: bool) -> None:
    if header.kind in _LINKS_AND_DEVICES:
        raise Refusal(_LINKS_AND_DEVICES[header.kind], name)
    if header.kind not in {b"0", b"\x00", b"5"}:
        raise Refusal("HOSTILE_TAR_TYPE", name, found=repr(header.kind))
    if is_directory and header.size:
        raise Refusal("HOSTILE_SIZE_LIE", name, found="a directory with content")
    # The bits above are file types, which have no business in a tar header; old archivers wrote the regular one.
    if header.mode & ~0o7777 not in {0, 0o040000 if is_directory else 0o100000}:
        raise Refusal("HOSTILE_TYPE_DISAGREES", name, found=f"mode {header.mode:o}")
    check_mode(name, header.mode)
