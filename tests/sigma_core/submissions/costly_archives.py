"""Archives of the largest size that is allowed, made to cost as much as possible. Each is made when it is called for."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib
from collections.abc import Callable

from archive_builders import (
    SKILL,
    TAR_SKILL,
    ZipMember,
    build_tar,
    build_zip,
    pax_header,
    pax_record,
    skill_member,
    tar_file,
    tar_header,
)

MEGABYTE = 2**20
LARGEST = 8 * MEGABYTE - 70_000


def _empty_deflate_blocks() -> bytes:
    """Eight megabytes of deflate blocks that hold nothing."""
    packed = b"\x00\x00\x00\xff\xff" * (LARGEST // 5) + b"\x03\x00"
    return build_zip(skill_member(), ZipMember(b"x", b"", packed=packed))


def _end_signatures() -> bytes:
    return b"PK\x03\x04" + b"PK\x05\x06" * (LARGEST // 4)


def _end_records() -> bytes:
    """End records each of whose comments reaches one byte short of the end, behind something that is no zip."""
    return b"?" + b"".join(b"PK\x05\x06" + bytes(16) + b"\x00\x00" for _ in range(LARGEST // 22))


def _xz_of_zeros() -> bytes:
    return lzma.compress(build_tar(TAR_SKILL) + bytes(64 * MEGABYTE), preset=1)


def _gzip_of_small_members() -> bytes:
    members = b"".join(tar_file(b"d%d/" % index, kind=b"5") for index in range(20_000))
    return gzip.compress(build_tar(TAR_SKILL, members), 1)


def _bzip2_of_a_claimed_size() -> bytes:
    return bz2.compress(tar_header(b"SKILL.md", 204_800) + bytes(32 * MEGABYTE))


def _many_central_records() -> bytes:
    record = struct.pack("<4s6HIIIHHHHHII", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = record * 65_534
    end = struct.pack("<4s4HIIH", b"PK\x05\x06", 0, 0, 65_534, 65_534, len(directory), 4, 0)
    return b"PK\x03\x04" + directory + end


def _many_extra_fields() -> bytes:
    members = [
        ZipMember(b"f%d" % index, extra=struct.pack("<HH", 0x5455, 65_000) + bytes(65_000)) for index in range(49)
    ]
    return build_zip(skill_member(), *members)


def _deep_pax_records() -> bytes:
    records = b"".join(pax_record(f"LIBARCHIVE.xattr.com.apple.{index}", b"") for index in range(80))
    return build_tar(*(pax_header(records) + tar_file(b"f%d" % index) for index in range(49)), TAR_SKILL)


def _deep_front_matter() -> bytes:
    return build_zip(ZipMember(b"SKILL.md", b"---\na: " + b"[" * 60_000 + b"\n---\n"))


def _long_front_matter() -> bytes:
    pairs = b"".join(b"k%d: {a: 1}\n" % index for index in range(4_500))
    return build_zip(ZipMember(b"SKILL.md", b"---\nname: a\ndescription: b\n" + pairs + b"---\n"))


def _many_fences() -> bytes:
    return build_zip(ZipMember(b"SKILL.md", SKILL + b"```yaml\ncapabilities: [a]\n```\n" * 6_500, method=0))


def _question_marks() -> bytes:
    return build_zip(ZipMember(b"SKILL.md", b"---\n" + b"? " * 30_000 + b"\n---\n", method=0))


def _openapi_of_many_values() -> bytes:
    return build_zip(ZipMember(b"openapi.yaml", b"openapi: 3\nx: [" + b"a," * 95_000 + b"]\n", method=0))


def _large_random_gzip() -> bytes:
    noise = zlib.compress(bytes(range(256)) * 100, 0)
    return gzip.compress(noise * 300, 0)


COSTLY: dict[str, Callable[[], bytes]] = {
    "empty_deflate_blocks": _empty_deflate_blocks,
    "end_signatures": _end_signatures,
    "end_records": _end_records,
    "xz_of_zeros": _xz_of_zeros,
    "gzip_of_small_members": _gzip_of_small_members,
    "bzip2_of_a_claimed_size": _bzip2_of_a_claimed_size,
    "many_central_records": _many_central_records,
    "many_extra_fields": _many_extra_fields,
    "deep_pax_records": _deep_pax_records,
    "deep_front_matter": _deep_front_matter,
    "long_front_matter": _long_front_matter,
    "many_fences": _many_fences,
    "question_marks": _question_marks,
    "openapi_of_many_values": _openapi_of_many_values,
    "large_random_gzip": _large_random_gzip,
}
