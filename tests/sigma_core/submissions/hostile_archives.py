"""Archives that must be refused, each named by its fault, with the code and the member that the refusal must name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib

from archive_builders import (
    SKILL,
    TAR_END,
    TAR_SKILL,
    TREE,
    ZipMember,
    build_tar,
    build_zip,
    deflate,
    extra_field,
    pax_header,
    pax_record,
    skill_member,
    streamed,
    tar_file,
    tar_header,
    tar_of,
    zip_of,
)

Hostile = tuple[bytes, str, str]
GIGABYTES_10 = 10 * 2**30


def _zip_named(name: bytes, **changes: object) -> bytes:
    return build_zip(skill_member(), ZipMember(name, b"x\n", **changes))  # type: ignore[arg-type]


def _utf8(name: str) -> bytes:
    return _zip_named(name.encode(), flags=0x800)


def _names() -> dict[str, Hostile]:
    return {
        "traversal": (_zip_named(b"../evil.sh"), "HOSTILE_PATH_TRAVERSAL", "../evil.sh"),
        "traversal_inside": (_zip_named(b"a/../../evil.sh"), "HOSTILE_PATH_TRAVERSAL", "a/../../evil.sh"),
        "traversal_directory": (_zip_named(b"../", packed=b"", method=0), "HOSTILE_PATH_TRAVERSAL", ".."),
        "absolute": (_zip_named(b"/etc/passwd"), "HOSTILE_PATH_ABSOLUTE", "/etc/passwd"),
        "drive": (_zip_named(b"C:/evil.bat"), "HOSTILE_PATH_ABSOLUTE", "C:/evil.bat"),
        "drive_relative": (_zip_named(b"C:evil.bat"), "HOSTILE_PATH_ABSOLUTE", "C:evil.bat"),
        "backslash": (_zip_named(rb"..\evil.bat"), "HOSTILE_PATH_BACKSLASH", r"..\\evil.bat"),
        "unc": (_zip_named(rb"\\host\share\x"), "HOSTILE_PATH_BACKSLASH", r"\\\\host\\share\\x"),
        "empty_component": (_zip_named(b"a//b"), "HOSTILE_PATH_COMPONENT", "a//b"),
        "dot_component": (_zip_named(b"./SKILL.md"), "HOSTILE_PATH_COMPONENT", "./SKILL.md"),
        "empty_name": (_zip_named(b""), "HOSTILE_PATH_COMPONENT", ""),
        "nul_in_name": (_zip_named(b"run.sh\x00.md"), "HOSTILE_PATH_CHARACTER", r"run.sh\x00.md"),
        "newline_in_name": (_zip_named(b"a\nb"), "HOSTILE_PATH_CHARACTER", r"a\nb"),
        "bidirectional_name": (_utf8("exe\u202egpj.sh"), "HOSTILE_PATH_CHARACTER", r"exe\u202egpj.sh"),
        "zero_width_name": (_utf8("SKILL\u200b.md"), "HOSTILE_PATH_CHARACTER", r"SKILL\u200b.md"),
        "tag_character_name": (_utf8("a\U000e0041.md"), "HOSTILE_PATH_CHARACTER", r"a\U000e0041.md"),
        "blank_letter_name": (_utf8("\u3164.md"), "HOSTILE_PATH_CHARACTER", "\u3164.md"),
        "not_nfc": (_utf8("cafe\u0301.md"), "HOSTILE_PATH_NOT_NFC", "cafe\u0301.md"),
        "not_utf8": (_zip_named(b"caf\xe9.md", flags=0x800), "HOSTILE_PATH_NOT_UTF8", r"caf\udce9.md"),
        "utf8_not_flagged": (_zip_named("café.md".encode()), "HOSTILE_PATH_NOT_UTF8", "café.md"),
        "windows_device": (_zip_named(b"docs/con.md"), "HOSTILE_PATH_WINDOWS_NAME", "docs/con.md"),
        "windows_device_spaced": (_zip_named(b"nul .txt"), "HOSTILE_PATH_WINDOWS_NAME", "nul .txt"),
        "trailing_dot": (_zip_named(b"SKILL.md."), "HOSTILE_PATH_WINDOWS_NAME", "SKILL.md."),
        "trailing_space": (_zip_named(b"SKILL.md "), "HOSTILE_PATH_WINDOWS_NAME", "SKILL.md "),
        "alternate_stream": (_zip_named(b"SKILL.md:evil"), "HOSTILE_PATH_WINDOWS_NAME", "SKILL.md:evil"),
        "path_too_deep": (_zip_named(b"a/" * 16 + b"b"), "LIMIT_PATH_DEPTH", "a/" * 16 + "b"),
        "path_too_long": (_zip_named(b"a" * 513), "LIMIT_PATH_BYTES", "a" * 200 + "…"),
    }


def _duplicates() -> dict[str, Hostile]:
    return {
        "two_skill_files": (build_zip(skill_member(), skill_member()), "HOSTILE_DUPLICATE_NAME", "SKILL.md"),
        "case_twin": (_zip_named(b"skill.MD"), "HOSTILE_DUPLICATE_NAME", "skill.MD"),
        "case_twin_folder": (
            build_zip(skill_member(), ZipMember(b"docs/a", b"1"), ZipMember(b"Docs/b", b"2")),
            "HOSTILE_DUPLICATE_NAME",
            "Docs",
        ),
        "folded_twin": (
            build_zip(
                skill_member(),
                ZipMember("straße".encode(), b"1", flags=0x800),
                ZipMember(b"STRASSE", b"2"),
            ),
            "HOSTILE_DUPLICATE_NAME",
            "STRASSE",
        ),
        "compatibility_twin": (_utf8("ＳＫＩＬＬ.md"), "HOSTILE_DUPLICATE_NAME", "ＳＫＩＬＬ.md"),
        "file_and_directory": (
            build_zip(skill_member(), ZipMember(b"a", b"1"), ZipMember(b"a/b", b"2")),
            "HOSTILE_FILE_IS_DIRECTORY",
            "a",
        ),
        "directory_twice": (
            build_zip(skill_member(), ZipMember(b"d/", method=0), ZipMember(b"d/", method=0)),
            "HOSTILE_DUPLICATE_NAME",
            "d",
        ),
        "tar_two_skill_files": (build_tar(TAR_SKILL, TAR_SKILL), "HOSTILE_DUPLICATE_NAME", "SKILL.md"),
        "tar_dot_twin": (build_tar(TAR_SKILL, tar_file(b"./SKILL.md", b"x")), "HOSTILE_DUPLICATE_NAME", "SKILL.md"),
    }


def _kinds() -> dict[str, Hostile]:
    def zip_mode(mode: int, name: bytes = b"x") -> bytes:
        return build_zip(skill_member(), ZipMember(name, b"/etc/passwd", mode=mode))

    def tar_kind(kind: bytes, link: bytes = b"") -> bytes:
        return build_tar(TAR_SKILL, tar_header(b"x", 0, kind, link=link))

    return {
        "symlink": (zip_mode(0o120777), "HOSTILE_SYMLINK", "x"),
        "reparse_point": (_zip_named(b"x", central={"attributes": 0x400}), "HOSTILE_SYMLINK", "x"),
        "fifo": (zip_mode(0o010644), "HOSTILE_SPECIAL_FILE", "x"),
        "socket": (zip_mode(0o140644), "HOSTILE_SPECIAL_FILE", "x"),
        "device": (zip_mode(0o020644), "HOSTILE_SPECIAL_FILE", "x"),
        "setuid": (zip_mode(0o104755), "HOSTILE_SPECIAL_MODE", "x"),
        "sticky": (zip_mode(0o101644), "HOSTILE_SPECIAL_MODE", "x"),
        "directory_named_as_file": (zip_mode(0o040755), "HOSTILE_TYPE_DISAGREES", "x"),
        "file_named_as_directory": (zip_mode(0o100644, b"x/"), "HOSTILE_TYPE_DISAGREES", "x/"),
        "dos_directory_named_as_file": (_zip_named(b"x", central={"attributes": 0x10}), "HOSTILE_TYPE_DISAGREES", "x"),
        "directory_with_content": (_zip_named(b"x/", mode=0o040755), "HOSTILE_SIZE_LIE", "x/"),
        "tar_symlink": (tar_kind(b"2", b"/etc/passwd"), "HOSTILE_SYMLINK", "x"),
        "tar_hard_link": (tar_kind(b"1", b"SKILL.md"), "HOSTILE_HARD_LINK", "x"),
        "tar_character_device": (tar_kind(b"3"), "HOSTILE_SPECIAL_FILE", "x"),
        "tar_block_device": (tar_kind(b"4"), "HOSTILE_SPECIAL_FILE", "x"),
        "tar_fifo": (tar_kind(b"6"), "HOSTILE_SPECIAL_FILE", "x"),
        "tar_contiguous": (tar_kind(b"7"), "HOSTILE_TAR_TYPE", "x"),
        "tar_sparse": (tar_kind(b"S"), "HOSTILE_SPARSE", "x"),
        "tar_multivolume": (tar_kind(b"M"), "HOSTILE_TAR_TYPE", "x"),
        "tar_long_link": (tar_kind(b"K"), "HOSTILE_SYMLINK", "x"),
        "tar_setgid": (build_tar(TAR_SKILL, tar_file(b"x", b"1", mode=0o2755)), "HOSTILE_SPECIAL_MODE", "x"),
        "tar_mode_of_a_link": (build_tar(tar_file(b"x", b"1", mode=0o120644)), "HOSTILE_TYPE_DISAGREES", "x"),
        "tar_directory_with_content": (build_tar(tar_file(b"x/", b"1", b"5")), "HOSTILE_SIZE_LIE", "x"),
    }


def _zip_structure() -> dict[str, Hostile]:
    honest = zip_of(TREE)
    inner = zip_of({"SKILL.md": b"another\n"})
    skill_offset_twice = build_zip(skill_member(), ZipMember(b"b", SKILL, central={"offset": 0}))
    aes = extra_field(0x9901, b"\x02\x00AE\x03\x08\x00")
    unicode_path = extra_field(0x7075, struct.pack("<BI", 1, zlib.crc32(b"x")) + b"y")
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, 7, 1)
    one_end64 = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 9, 9, 46, 0)
    return {
        "bytes_before": (b"#!/bin/sh\n" + honest, "HOSTILE_BYTES_BEFORE", ""),
        "bytes_before_with_offsets": (build_zip(skill_member(), before=b"MZ"), "HOSTILE_BYTES_BEFORE", ""),
        "zip_bytes_before": (
            build_zip(skill_member(), before=b"PK\x03\x04"),
            "HOSTILE_BYTES_BEFORE",
            "SKILL.md",
        ),
        "bytes_after": (honest + b"\n", "HOSTILE_BYTES_AFTER", ""),
        "zip_after_zip": (honest + inner, "HOSTILE_GAP", ""),
        "second_end_record": (honest + honest[-22:], "HOSTILE_GAP", ""),
        "second_zip_in_comment": (build_zip(skill_member(), comment=inner), "HOSTILE_GAP", ""),
        "binary_comment": (build_zip(skill_member(), comment=b"\x00\x01"), "HOSTILE_COMMENT", ""),
        "long_comment": (build_zip(skill_member(), comment=b"a" * 257), "HOSTILE_COMMENT", ""),
        "member_comment": (_zip_named(b"x", comment=b"\xff"), "HOSTILE_COMMENT", "x"),
        "gap_between_members": (_zip_named(b"x", before=b"hidden"), "HOSTILE_GAP", "x"),
        "gap_before_directory": (build_zip(skill_member(), before_directory=b"hidden"), "HOSTILE_GAP", ""),
        "gap_after_directory": (build_zip(skill_member(), after_directory=b"hidden"), "HOSTILE_GAP", ""),
        "unlisted_member": (
            build_zip(skill_member(), before_directory=build_zip(ZipMember(b"x", b"1"))[:33]),
            "HOSTILE_GAP",
            "",
        ),
        "overlap": (skill_offset_twice, "HOSTILE_OVERLAP", "SKILL.md"),
        "quoted_overlap": (
            build_zip(
                ZipMember(b"SKILL.md", SKILL, method=0, central={"compressed": 200, "size": 200}),
                ZipMember(b"x", SKILL),
            ),
            "HOSTILE_HEADERS_DISAGREE",
            "SKILL.md",
        ),
        "reaches_into_the_next": (
            build_zip(
                ZipMember(
                    b"SKILL.md",
                    SKILL,
                    method=0,
                    local={"compressed": 99, "size": 99},
                    central={"compressed": 99, "size": 99},
                ),
                ZipMember(b"x", SKILL),
            ),
            "HOSTILE_OVERLAP",
            "SKILL.md",
        ),
        "truncated": (honest[:-10], "BROKEN_ARCHIVE", ""),
        "truncated_early": (honest[: len(honest) // 2], "BROKEN_ARCHIVE", ""),
        "truncated_deflate": (build_zip(ZipMember(b"x", SKILL, packed=deflate(SKILL)[:-9])), "BROKEN_ARCHIVE", "x"),
        "broken_deflate": (_zip_named(b"x", packed=b"\xff\xff\xff"), "BROKEN_ARCHIVE", "x"),
        "encrypted": (_zip_named(b"x", flags=1), "HOSTILE_ENCRYPTED", "x"),
        "strongly_encrypted": (_zip_named(b"x", flags=0x40), "HOSTILE_ENCRYPTED", "x"),
        "masked_headers": (_zip_named(b"x", flags=0x2000), "HOSTILE_ENCRYPTED", "x"),
        "aes_method": (_zip_named(b"x", method=99), "HOSTILE_ENCRYPTED", "x"),
        "aes_extra": (_zip_named(b"x", extra=aes), "HOSTILE_ENCRYPTED", "x"),
        "patch_flag": (_zip_named(b"x", flags=0x20), "HOSTILE_FLAGS", "x"),
        "lzma_method": (_zip_named(b"x", method=14), "HOSTILE_COMPRESSION_METHOD", "x"),
        "unknown_method": (_zip_named(b"x", method=77), "HOSTILE_COMPRESSION_METHOD", "x"),
        "version_of_tomorrow": (_zip_named(b"x", central={"version": 64}), "HOSTILE_ZIP_VERSION", "x"),
        "local_version_of_tomorrow": (_zip_named(b"x", local={"version": 255}), "HOSTILE_ZIP_VERSION", "x"),
        "local_name_differs": (_zip_named(b"x", local={"name": b"y"}), "HOSTILE_NAME_DISAGREES", "x"),
        "unicode_path_differs": (_zip_named(b"x", extra=unicode_path), "HOSTILE_NAME_DISAGREES", "x"),
        "local_method_differs": (_zip_named(b"x", local={"method": 0}), "HOSTILE_HEADERS_DISAGREE", "x"),
        "local_flags_differ": (_zip_named(b"x", local={"flags": 0x800}), "HOSTILE_HEADERS_DISAGREE", "x"),
        "local_size_differs": (_zip_named(b"x", local={"size": 1}), "HOSTILE_HEADERS_DISAGREE", "x"),
        "local_crc_differs": (_zip_named(b"x", local={"crc": 1}), "HOSTILE_HEADERS_DISAGREE", "x"),
        "local_zeros_without_descriptor": (
            _zip_named(b"x", local={"crc": 0, "compressed": 0, "size": 0}),
            "HOSTILE_HEADERS_DISAGREE",
            "x",
        ),
        "size_too_small": (
            _zip_named(b"x", packed=deflate(b"x" * 5000), local={"size": 10}, central={"size": 10}),
            "HOSTILE_SIZE_LIE",
            "x",
        ),
        "size_too_large": (_zip_named(b"x", local={"size": 99}, central={"size": 99}), "HOSTILE_SIZE_LIE", "x"),
        "stored_size_differs": (_zip_named(b"x", method=0, central={"size": 99}), "HOSTILE_SIZE_LIE", "x"),
        "bytes_after_deflate_stream": (_zip_named(b"x", packed=deflate(b"x\n") + b"more"), "HOSTILE_SIZE_LIE", "x"),
        "wrong_crc": (_zip_named(b"x", local={"crc": 1}, central={"crc": 1}), "BROKEN_CHECKSUM", "x"),
        "descriptor_missing": (
            build_zip(skill_member(), streamed(b"x", b"1" * 9, descriptor=b"")),
            "HOSTILE_DATA_DESCRIPTOR",
            "x",
        ),
        "descriptor_lies": (
            build_zip(skill_member(), streamed(b"x", b"1", descriptor=b"PK\x07\x08" + bytes(12))),
            "HOSTILE_DATA_DESCRIPTOR",
            "x",
        ),
        "descriptor_without_flag": (_zip_named(b"x", descriptor=b"PK\x07\x08" + bytes(12)), "HOSTILE_GAP", ""),
        "descriptor_inside_stored_bytes": (
            build_zip(skill_member(), streamed(b"x", b"a" + b"PK\x07\x08" + bytes(12) + b"PK\x03\x04...", method=0)),
            "HOSTILE_DATA_DESCRIPTOR",
            "x",
        ),
        "unknown_extra": (_zip_named(b"x", extra=extra_field(0x4321, b"hidden")), "HOSTILE_EXTRA_FIELD", "x"),
        "unix_extra_with_link_target": (
            _zip_named(b"x", extra=extra_field(0x756E, bytes(14))),
            "HOSTILE_EXTRA_FIELD",
            "x",
        ),
        "extra_cut_off": (_zip_named(b"x", extra=b"UT\x09\x00\x03"), "HOSTILE_EXTRA_FIELD", "x"),
        "ten_gigabytes_claimed": (
            _zip_named(
                b"x",
                extra=extra_field(1, struct.pack("<QQ", GIGABYTES_10, 4)),
                local={"size": 0xFFFFFFFF, "compressed": 0xFFFFFFFF},
                central={"size": 0xFFFFFFFF, "compressed": 0xFFFFFFFF},
            ),
            "LIMIT_FILE_BYTES",
            "x",
        ),
        "zip64_contradicts": (_zip_named(b"x", extra=extra_field(1, struct.pack("<QQ", 9, 9))), "HOSTILE_ZIP64", "x"),
        "zip64_cut_off": (_zip_named(b"x", extra=extra_field(1, b"123")), "HOSTILE_ZIP64", "x"),
        "zip64_locator_astray": (build_zip(skill_member(), end64=locator), "HOSTILE_ZIP64", ""),
        "zip64_end_contradicts": (
            build_zip(skill_member(), end64=one_end64 + b"PK\x06\x07" + struct.pack("<IQI", 0, 0, 1)),
            "HOSTILE_ZIP64",
            "",
        ),
        "multi_disk": (build_zip(skill_member(), end={"disk": 1}), "HOSTILE_MULTI_DISK", ""),
        "member_on_another_disk": (_zip_named(b"x", central={"disk": 2}), "HOSTILE_MULTI_DISK", "x"),
        "count_too_small": (build_zip(skill_member(), ZipMember(b"x"), end={"here": 1, "count": 1}), "HOSTILE_GAP", ""),
        "count_too_large": (build_zip(skill_member(), end={"here": 2, "count": 2}), "BROKEN_ARCHIVE", ""),
        "directory_elsewhere": (build_zip(skill_member(), end={"offset": 2**31}), "BROKEN_ARCHIVE", ""),
        "no_members": (build_zip(), "BROKEN_EMPTY", "upload"),
        "only_directories": (build_zip(ZipMember(b"d/", method=0)), "BROKEN_EMPTY", "upload"),
    }


def _tar_structure() -> dict[str, Hostile]:
    long_name = b"docs/" + b"a" * 120
    big = tar_header(b"x", raw={124: b"\x80" + bytes(6) + b"\x00\x00\x00\x00\x05"})
    negative = tar_header(b"x", raw={124: b"\xff" * 12})
    rest_of_tar = -len(build_zip(skill_member())) % 512 + len(TAR_END)
    zip_to_the_end = build_zip(skill_member(), end={"comment": rest_of_tar})
    return {
        "tar_traversal": (build_tar(TAR_SKILL, tar_file(b"../x", b"1")), "HOSTILE_PATH_TRAVERSAL", "../x"),
        "tar_absolute": (build_tar(TAR_SKILL, tar_file(b"/x", b"1")), "HOSTILE_PATH_ABSOLUTE", "/x"),
        "tar_dot_inside": (build_tar(TAR_SKILL, tar_file(b"././x", b"1")), "HOSTILE_PATH_COMPONENT", "./x"),
        "tar_not_utf8": (build_tar(TAR_SKILL, tar_file(b"\xff", b"1")), "HOSTILE_PATH_NOT_UTF8", r"\udcff"),
        "tar_file_with_slash": (build_tar(tar_file(b"x/", b"1")), "HOSTILE_TYPE_DISAGREES", "x/"),
        "tar_bytes_after": (build_tar(TAR_SKILL) + b"hidden".ljust(512, b"\x00"), "HOSTILE_BYTES_AFTER", ""),
        "tar_concatenated": (build_tar(TAR_SKILL) + build_tar(tar_file(b"x", b"1")), "HOSTILE_BYTES_AFTER", ""),
        "tar_member_after_one_zero_block": (
            TAR_SKILL + bytes(512) + build_tar(tar_file(b"x", b"1")),
            "HOSTILE_BYTES_AFTER",
            "",
        ),
        "tar_not_in_blocks": (build_tar(TAR_SKILL) + b"\x00", "BROKEN_ARCHIVE", ""),
        "tar_padding_without_end": (build_tar(TAR_SKILL) + bytes(2**20 + 512), "LIMIT_ARCHIVE_PADDING", ""),
        "tar_truncated_member": (tar_header(b"SKILL.md", 5000) + SKILL, "BROKEN_ARCHIVE", "SKILL.md"),
        "tar_without_end": (TAR_SKILL, "BROKEN_ARCHIVE", ""),
        "tar_half_an_end": (TAR_SKILL + bytes(512), "BROKEN_ARCHIVE", ""),
        "tar_wrong_checksum": (build_tar(tar_header(b"x", checksum=b"000001\x00 ")), "BROKEN_CHECKSUM", "x"),
        "tar_hidden_padding": (
            build_tar(tar_header(b"SKILL.md", len(SKILL)) + SKILL.ljust(512, b"!")),
            "HOSTILE_PADDING",
            "SKILL.md",
        ),
        "tar_bytes_after_name": (build_tar(tar_header(b"x\x00hidden")), "HOSTILE_PADDING", "x"),
        "tar_bytes_in_unused_header": (build_tar(tar_header(b"x", raw={505: b"!"})), "HOSTILE_PADDING", "x"),
        "tar_unknown_magic": (build_tar(tar_header(b"x", magic=b"ustar\x0001")), "HOSTILE_TAR_HEADER", "x"),
        "tar_link_name_on_a_file": (build_tar(tar_header(b"x", link=b"y")), "HOSTILE_TAR_HEADER", "x"),
        "tar_base256_size": (build_tar(big), "HOSTILE_TAR_NUMBER", "x"),
        "tar_negative_size": (build_tar(negative), "HOSTILE_TAR_NUMBER", "x"),
        "tar_signed_octal_size": (
            build_tar(tar_header(b"x", raw={124: b"-0000000001\x00"})),
            "HOSTILE_TAR_NUMBER",
            "x",
        ),
        "tar_size_claimed": (build_tar(TAR_SKILL, tar_header(b"x", 8**11 - 1)), "LIMIT_FILE_BYTES", "x"),
        "tar_owner_is_no_number": (build_tar(tar_header(b"x", raw={108: b"nobody!\x00"})), "HOSTILE_TAR_NUMBER", "x"),
        "pax_header_too_large": (
            build_tar(pax_header(pax_record("comment", b"a" * 20_000)), TAR_SKILL),
            "LIMIT_TAR_EXTENDED_HEADER",
            "PaxHeaders/SKILL.md",
        ),
        "pax_name_disagrees": (
            build_tar(pax_header(pax_record("path", b"SKILL.md")), tar_file(b"README.md", SKILL)),
            "HOSTILE_NAME_DISAGREES",
            "SKILL.md",
        ),
        "pax_long_name_disagrees": (
            build_tar(TAR_SKILL, pax_header(pax_record("path", b"d/" + b"a" * 120)), tar_file(b"README.md", b"1")),
            "HOSTILE_NAME_DISAGREES",
            "d/" + "a" * 120,
        ),
        "pax_traversal": (
            build_tar(TAR_SKILL, pax_header(pax_record("path", b"../x")), tar_file(b"../x", b"1")),
            "HOSTILE_PATH_TRAVERSAL",
            "../x",
        ),
        "pax_size_lies": (
            build_tar(pax_header(pax_record("size", b"1")), TAR_SKILL),
            "HOSTILE_SIZE_LIE",
            "SKILL.md",
        ),
        "pax_link_path": (
            build_tar(pax_header(pax_record("linkpath", b"/etc")), TAR_SKILL),
            "HOSTILE_TAR_PAX",
            "PaxHeaders/SKILL.md",
        ),
        "pax_key_twice": (
            build_tar(pax_header(pax_record("path", b"a"), pax_record("path", b"b")), tar_file(b"b")),
            "HOSTILE_TAR_PAX",
            "PaxHeaders/SKILL.md",
        ),
        "pax_malformed": (build_tar(pax_header(b"99 path=x\n"), TAR_SKILL), "HOSTILE_TAR_PAX", "PaxHeaders/SKILL.md"),
        "pax_sparse": (
            build_tar(pax_header(pax_record("GNU.sparse.major", b"1")), TAR_SKILL),
            "HOSTILE_SPARSE",
            "PaxHeaders/SKILL.md",
        ),
        "pax_twice": (
            build_tar(pax_header(pax_record("path", b"a")), pax_header(pax_record("path", b"b")), tar_file(b"b")),
            "HOSTILE_NAME_DISAGREES",
            "PaxHeaders/SKILL.md",
        ),
        "pax_global_name": (
            build_tar(pax_header(pax_record("path", b"SKILL.md"), kind=b"g"), tar_file(b"SKILL.md", SKILL)),
            "HOSTILE_TAR_PAX",
            "PaxHeaders/SKILL.md",
        ),
        "pax_without_member": (build_tar(TAR_SKILL, pax_header(pax_record("mtime", b"1"))), "BROKEN_ARCHIVE", ""),
        "gnu_name_disagrees": (
            build_tar(
                tar_file(b"././@LongLink", long_name + b"\x00", b"L", magic=b"ustar  \x00"),
                tar_file(b"SKILL.md", SKILL, magic=b"ustar  \x00"),
            ),
            "HOSTILE_NAME_DISAGREES",
            long_name.decode(),
        ),
        "gnu_name_malformed": (
            build_tar(tar_file(b"././@LongLink", b"a\x00b\x00", b"L", magic=b"ustar  \x00"), TAR_SKILL),
            "HOSTILE_TAR_HEADER",
            "././@LongLink",
        ),
        "tar_and_zip": (build_tar(TAR_SKILL, tar_file(b"inner.zip", zip_to_the_end)), "HOSTILE_POLYGLOT", ""),
        "zip_and_tar": (
            tar_header(b"PK\x03\x04 is a tar") + TAR_END,
            "HOSTILE_POLYGLOT",
            "",
        ),
    }


def _compression() -> dict[str, Hostile]:
    honest = tar_of(TREE)
    packed = gzip.compress(honest, mtime=0)
    zeros = bytes(20_000_000)
    return {
        "gzip_second_member": (packed + packed, "HOSTILE_BYTES_AFTER", ""),
        "gzip_bytes_after": (packed + b"hidden", "HOSTILE_BYTES_AFTER", ""),
        "gzip_zeros_after": (packed + bytes(512), "HOSTILE_BYTES_AFTER", ""),
        "gzip_truncated": (packed[:-4], "BROKEN_ARCHIVE", ""),
        "gzip_wrong_crc": (packed[:-8] + bytes(8), "BROKEN_ARCHIVE", ""),
        "gzip_of_a_bomb": (gzip.compress(tar_file(b"SKILL.md", zeros)), "LIMIT_FILE_BYTES", "SKILL.md"),
        "gzip_of_padding": (gzip.compress(build_tar(TAR_SKILL) + zeros), "LIMIT_ARCHIVE_PADDING", ""),
        "bzip2_second_stream": (bz2.compress(honest) * 2, "HOSTILE_BYTES_AFTER", ""),
        "bzip2_truncated": (bz2.compress(honest)[:-4], "BROKEN_ARCHIVE", ""),
        "bzip2_bomb": (bz2.compress(tar_file(b"SKILL.md", zeros)), "LIMIT_FILE_BYTES", "SKILL.md"),
        "xz_second_stream": (lzma.compress(honest) * 2, "HOSTILE_BYTES_AFTER", ""),
        "xz_padding": (lzma.compress(honest) + bytes(4), "HOSTILE_BYTES_AFTER", ""),
        "xz_truncated": (lzma.compress(honest)[:-20], "BROKEN_ARCHIVE", ""),
        "xz_of_padding": (lzma.compress(build_tar(TAR_SKILL) + zeros), "LIMIT_ARCHIVE_PADDING", ""),
        "xz_bomb": (tar_of({"SKILL.md": SKILL, "a": zeros[:200_000]}, "w:xz"), "LIMIT_EXPANSION_RATIO", "a"),
        "xz_dictionary": (_huge_dictionary(honest), "LIMIT_DECOMPRESSION_MEMORY", ""),
        "compressed_nothing": (gzip.compress(b""), "BROKEN_ARCHIVE", ""),
        "compressed_text": (gzip.compress(b"not a tar " * 100), "BROKEN_CHECKSUM", "not a tar " * 10),
    }


def _huge_dictionary(content: bytes) -> bytes:
    """An xz stream whose header asks for 1.5 GiB of dictionary."""
    data = bytearray(lzma.compress(content))
    # The block header begins at 12: its size, flags, filter, length of properties, code of the dictionary size; CRC-32.
    checksum_at = 12 + data[12] * 4
    data[16] = 37
    data[checksum_at : checksum_at + 4] = struct.pack("<I", zlib.crc32(data[12:checksum_at]))
    return bytes(data)


def _limits() -> dict[str, Hostile]:
    many = {"SKILL.md": SKILL} | {f"f{index:02}": b"x" for index in range(50)}
    heavy = {"SKILL.md": SKILL} | {f"f{index}": bytes(range(256)) * 700 for index in range(3)}
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("SKILL.md", SKILL)
        archive.writestr("bomb", bytes(200_000))
    return {
        "too_many_files": (zip_of(many), "LIMIT_FILES", "f49"),
        "tar_too_many_files": (tar_of(many), "LIMIT_FILES", "f49"),
        "too_many_directories": (
            build_zip(skill_member(), *(ZipMember(b"d%d/" % index, method=0) for index in range(200))),
            "LIMIT_ENTRIES",
            "d199",
        ),
        "one_file_too_large": (zip_of({"SKILL.md": SKILL + bytes(range(256)) * 800}), "LIMIT_FILE_BYTES", "SKILL.md"),
        "too_many_bytes": (zip_of(heavy), "LIMIT_TOTAL_BYTES", "f2"),
        "ratio_bomb": (bomb.getvalue(), "LIMIT_EXPANSION_RATIO", "bomb"),
        "ratio_of_the_whole": (
            zip_of({"SKILL.md": SKILL} | {f"f{index:02}": bytes(36_000) for index in range(14)}),
            "LIMIT_EXPANSION_RATIO",
            "",
        ),
        "archive_too_large": (b"PK\x03\x04" + bytes(8_388_608), "LIMIT_ARCHIVE_BYTES", "upload"),
    }


def _not_packages() -> dict[str, Hostile]:
    return {
        "empty_file": (b"", "BROKEN_ARCHIVE_TYPE", ""),
        "text": (b"hello\n", "BROKEN_ARCHIVE_TYPE", ""),
        "seven_zip": (b"7z\xbc\xaf\x27\x1c" + bytes(600), "BROKEN_ARCHIVE_TYPE", ""),
        "zeros": (bytes(10_240), "BROKEN_ARCHIVE_TYPE", ""),
        "no_skill_file": (zip_of({"README.md": b"hi\n"}), "BROKEN_NO_SKILL_FILE", "upload"),
        "two_wrapping_folders": (
            zip_of({"a/SKILL.md": SKILL, "b/SKILL.md": SKILL}),
            "BROKEN_NO_SKILL_FILE",
            "upload",
        ),
        "wrapped_twice": (zip_of({"a/b/SKILL.md": SKILL}), "BROKEN_NO_SKILL_FILE", "upload"),
    }


HOSTILE: dict[str, Hostile] = {
    **_names(),
    **_duplicates(),
    **_kinds(),
    **_zip_structure(),
    **_tar_structure(),
    **_compression(),
    **_limits(),
    **_not_packages(),
}
