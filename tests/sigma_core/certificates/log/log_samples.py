"""A log in memory."""

from __future__ import annotations

from sigma_core.certificates.log.append import Appended, append
from sigma_core.certificates.log.tree import EMPTY_ROOT, TiledTree


class MemoryLog:
    """Files in a dictionary, grown by `append` as a writer would."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.size = 0
        self.root = EMPTY_ROOT

    def tree(self, size: int | None = None) -> TiledTree:
        return TiledTree(self.size if size is None else size, self.files.get)

    def grow(self, *entries: bytes) -> Appended:
        appended = append(self.tree(), self.root, entries)
        self.files |= appended.files
        self.size, self.root = appended.size, appended.root
        return appended


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"entry %d" % number for number in range(start, start + count)]
