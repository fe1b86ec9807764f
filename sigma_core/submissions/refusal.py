"""Why intake says no: one error type, and the one table of its codes.

Three prefixes, so that a caller can tell the cases apart without knowing every code: ``LIMIT_`` (more than the policy
allows; another policy may allow it), ``HOSTILE_`` (made so that two readers see different packages, or so that reading
hurts) and ``BROKEN_`` (damaged, unreadable or not a package). Intake refuses and never repairs.
"""

from __future__ import annotations

from typing import Any

from sigma_core.errors import ExitCode, SigmaError

RULES: dict[str, str] = {
    # Limits of the policy's [package] section.
    "LIMIT_ARCHIVE_BYTES": "an archive may not be larger than max_archive_bytes",
    "LIMIT_FILES": "a package may not hold more than max_files files",
    "LIMIT_ENTRIES": "directories, extended headers and files together may be four for each file that max_files allows",
    "LIMIT_FILE_BYTES": "a file may not be larger than max_file_bytes",
    "LIMIT_TOTAL_BYTES": "all files together may not be larger than max_total_bytes",
    "LIMIT_PATH_BYTES": "a path may not be longer than max_path_bytes in UTF-8",
    "LIMIT_PATH_DEPTH": "a path may not have more than max_path_depth components",
    "LIMIT_EXPANSION_RATIO": "compressed bytes may not expand by more than max_expansion_ratio",
    "LIMIT_TAR_EXTENDED_HEADER": "an extended header of a tar may not be larger than 4 KiB",
    "LIMIT_ARCHIVE_PADDING": "an archive may not carry more than 1 MiB of padding",
    "LIMIT_DECOMPRESSION_MEMORY": "an xz stream may not ask for more than 68 MiB of dictionary",
    "LIMIT_MANIFEST_BYTES": "a manifest may not be larger than max_manifest_bytes",
    "LIMIT_MANIFEST_DEPTH": "a manifest may not nest deeper than max_manifest_depth",
    "LIMIT_MANIFEST_NODES": "a manifest may not have more than max_manifest_nodes values",
    "LIMIT_MANIFEST_BLOCKS": "a SKILL.md may not hold more than 16 fenced manifest blocks",
    # Names.
    "HOSTILE_PATH_TRAVERSAL": "a path may not have a '..' component",
    "HOSTILE_PATH_COMPONENT": "a path may not have an empty or '.' component",
    "HOSTILE_PATH_ABSOLUTE": "a path must be relative: no leading slash, drive letter or UNC prefix",
    "HOSTILE_PATH_BACKSLASH": "a path uses forward slashes only",
    "HOSTILE_PATH_CHARACTER": "a path may not have control, bidirectional, zero-width or unassigned characters",
    "HOSTILE_PATH_NOT_UTF8": "a path must be valid UTF-8 and say so",
    "HOSTILE_PATH_NOT_NFC": "a path must be in Unicode normal form NFC",
    "HOSTILE_PATH_WINDOWS_NAME": "a path may not use names or characters that Windows reads as something else",
    "HOSTILE_DUPLICATE_NAME": "no two paths may be equal, or equal after Unicode case folding and normalisation",
    "HOSTILE_FILE_IS_DIRECTORY": "a path may not be a file and a directory at once",
    "HOSTILE_NAME_DISAGREES": "every place that names a member must give the same name",
    # Kinds of member.
    "HOSTILE_SYMLINK": "symbolic links are not allowed",
    "HOSTILE_HARD_LINK": "hard links are not allowed",
    "HOSTILE_SPECIAL_FILE": "devices, fifos, sockets and other special files are not allowed",
    "HOSTILE_SPECIAL_MODE": "setuid, setgid and sticky bits are not allowed",
    "HOSTILE_TYPE_DISAGREES": "every place that says whether a member is a file or a directory must agree",
    # Archives.
    "HOSTILE_BYTES_BEFORE": "an archive must begin with its first member",
    "HOSTILE_BYTES_AFTER": "nothing may follow the end of an archive",
    "HOSTILE_POLYGLOT": "a file may not be two kinds of archive at once",
    "HOSTILE_OVERLAP": "members may not overlap",
    "HOSTILE_GAP": "there may be no bytes between members",
    "HOSTILE_PADDING": "padding and unused header bytes must be zero",
    "HOSTILE_ENCRYPTED": "encrypted members are not allowed",
    "HOSTILE_COMPRESSION_METHOD": "members are stored or deflated, nothing else",
    "HOSTILE_FLAGS": "only the flags for deflate options, data descriptor and UTF-8 are allowed",
    "HOSTILE_ZIP_VERSION": "a member may not need a zip version beyond 6.3",
    "HOSTILE_HEADERS_DISAGREE": "central directory and local headers must agree",
    "HOSTILE_SIZE_LIE": "a member must have the size that its headers claim",
    "HOSTILE_DATA_DESCRIPTOR": "a data descriptor must follow its member at once and repeat the central directory",
    "HOSTILE_EXTRA_FIELD": "only well-known harmless extra fields are allowed",
    "HOSTILE_COMMENT": "a comment is at most 256 bytes of printable ASCII",
    "HOSTILE_ZIP64": "zip64 fields must be needed or equal to the fields that they extend",
    "HOSTILE_MULTI_DISK": "archives that span several disks are not allowed",
    "HOSTILE_TAR_TYPE": "only files, directories, and pax or GNU long-name headers are allowed in a tar",
    "HOSTILE_TAR_NUMBER": "numbers in tar headers are octal; times and owners may be base-256",
    "HOSTILE_TAR_HEADER": "a tar header must be in ustar, pax or plain GNU form",
    "HOSTILE_TAR_PAX": "a pax header holds well-formed, well-known records, each key once",
    "HOSTILE_SPARSE": "sparse files are not allowed",
    # Manifest.
    "HOSTILE_MANIFEST_DUPLICATE_KEY": "a key may appear once in a mapping, in one spelling",
    "HOSTILE_MANIFEST_ALIAS": "anchors, aliases and merge keys are not allowed",
    "HOSTILE_MANIFEST_TAG": "tags and directives are not allowed",
    "HOSTILE_MANIFEST_CHARACTER": "a manifest may not have characters that only some readers take for line breaks",
    # Damage.
    "BROKEN_SOURCE": "the package must be a folder or an archive that can be read",
    "BROKEN_ARCHIVE_TYPE": "an archive is a zip, or a tar that is plain or compressed by gzip, bzip2 or xz",
    "BROKEN_ARCHIVE": "an archive must be whole and well formed",
    "BROKEN_CHECKSUM": "the bytes must match their checksum",
    "BROKEN_FILE": "every file must be readable and may not change while it is read",
    "BROKEN_EMPTY": "a package must hold at least one file",
    "BROKEN_NO_SKILL_FILE": "a skill has a SKILL.md at its root; an API has an openapi or swagger document there",
    "BROKEN_MANIFEST": "front matter, manifest blocks and OpenAPI documents must be YAML or JSON of the expected shape",
    "BROKEN_MANIFEST_ENCODING": "SKILL.md and OpenAPI documents must be UTF-8 text",
}
"""Every refusal code and the rule behind it."""

MAX_SHOWN = 200


def printable(name: str | bytes) -> str:
    """``name`` for a person: what is invisible, directional or undecodable is escaped; cut at 200 characters."""
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    shown = "".join(
        character if character.isprintable() and character != "\\" else ascii(character)[1:-1]
        for character in text[: MAX_SHOWN + 1]
    )
    return shown if len(shown) <= MAX_SHOWN else shown[:MAX_SHOWN] + "…"


class Refusal(SigmaError):
    """A package that intake does not take in.

    ``member`` is the path or record concerned ("" = the package as a whole), ``rule`` the sentence of `RULES` for
    ``code``, ``limit`` and ``found`` the numbers or words that were compared, where there are any, and ``line`` a
    1-based line in ``member`` for refusals about its text.
    """

    def __init__(
        self,
        code: str,
        member: str | bytes = "",
        *,
        limit: int | str | None = None,
        found: int | str | None = None,
        line: int | None = None,
    ) -> None:
        self.rule = RULES[code]
        self.member = printable(member)
        self.limit = limit
        self.found = printable(found) if isinstance(found, str) else found
        self.line = line
        place = f"{self.member or 'package'}:{line}" if line is not None else self.member or "package"
        compared = [f"{word} {value}" for word, value in (("found", self.found), ("limit", limit)) if value is not None]
        super().__init__(f"{place}: {self.rule}" + (f" [{', '.join(compared)}]" if compared else ""), code=code)
        # A path that leads nowhere is wrong use; everything else is a verdict on the package.
        self.exit_code = ExitCode.USAGE if code == "BROKEN_SOURCE" else ExitCode.NEGATIVE

    def as_json(self) -> dict[str, Any]:
        """``{code, member, line, rule, limit, found, message}``; absent values are null."""
        return {
            "code": self.code,
            "member": self.member,
            "line": self.line,
            "rule": self.rule,
            "limit": self.limit,
            "found": self.found,
            "message": self.message,
        }
