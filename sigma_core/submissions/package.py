"""A package as everything after intake sees it: sorted members, bytes in memory, hashes. Never a path on disk.

Packages that reach this type have passed intake: at most `PackageLimits` files and bytes, names that are clean relative
NFC paths, no two of which fold to the same name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any

from sigma_core.canonical import canonical_json, sha256_hex


class ProductType(StrEnum):
    """What a submission is (literal values of spec/surfaces.md)."""

    SKILL = "SKILL"
    API = "API"
    SKILL_API = "SKILL_API"


class SourceType(StrEnum):
    """Where the bytes came from."""

    GITHUB = "github"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One member: an NFC, forward-slash, relative path and its bytes."""

    path: str
    content: bytes = field(repr=False)
    sha256: str
    executable: bool = False

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.content)

    @classmethod
    def of(cls, path: str, content: bytes, *, executable: bool = False) -> PackageFile:
        """The member with its hash computed."""
        return cls(path=path, content=content, sha256=sha256_hex(content), executable=executable)


@dataclass(frozen=True)
class Package:
    """Members sorted by the UTF-8 bytes of their paths, and the manifest that intake read from SKILL.md.

    ``manifest`` is plain JSON data (see `sigma_core.submissions.manifest`); ``source_name`` is the name of the folder
    or archive as submitted, ``intake_notes`` say what intake left out or saw through; both are for people only: no hash
    covers them.
    """

    files: tuple[PackageFile, ...]
    manifest: Mapping[str, Any]
    product_type: ProductType
    source_name: str
    intake_notes: tuple[str, ...] = ()

    @cached_property
    def by_path(self) -> Mapping[str, PackageFile]:
        """Members by path."""
        return MappingProxyType({file.path: file for file in self.files})

    @cached_property
    def tree(self) -> list[dict[str, Any]]:
        """The canonical tree: ``[{path, sha256, size, executable}]``, sorted by path bytes."""
        return [
            {"path": file.path, "sha256": file.sha256, "size": file.size, "executable": file.executable}
            for file in self.files
        ]

    @cached_property
    def tree_hash(self) -> str:
        """SHA-256 hex of the canonical JSON of `tree`: the identity of the submitted content."""
        return sha256_hex(canonical_json({"schema": "sigma-tree-v1", "files": self.tree}))

    @cached_property
    def skill_file(self) -> PackageFile | None:
        """The root ``SKILL.md``, in any case of letters (intake admits one), or None for an API package."""
        return next((file for file in self.files if is_skill_file(file.path)), None)

    @cached_property
    def skill_hash(self) -> str | None:
        """SHA-256 hex of the LF-normalised SKILL.md (spec/surfaces.md), or None where there is none."""
        return None if self.skill_file is None else skill_hash(self.skill_file.content)

    @property
    def total_bytes(self) -> int:
        """Sum of member sizes in bytes."""
        return sum(file.size for file in self.files)


def is_skill_file(path: str) -> bool:
    """Whether ``path`` is the root SKILL.md; some published skills write it in lower case."""
    return path.lower() == "skill.md"


def skill_hash(content: bytes) -> str:
    """SHA-256 hex of ``content`` with CRLF and lone CR turned into LF."""
    return sha256_hex(content.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))


def sorted_files(files: Iterable[PackageFile]) -> tuple[PackageFile, ...]:
    """Members in canonical order: by the UTF-8 bytes of the path."""
    return tuple(sorted(files, key=lambda file: file.path.encode()))
