"""The running account of one intake: every reader charges it before it reads, so that limits hold while streaming."""

from __future__ import annotations

import stat

from sigma_core.policy import PackageLimits
from sigma_core.submissions.refusal import Refusal

ENTRIES_PER_FILE = 4
"""Directories, long-name headers and files together may be four times as many as files may be."""

FREE_EXPANSION_BYTES = 65_536
"""The ratio is judged beyond this much output only: a small file of blank lines may honestly shrink a thousandfold."""


class IntakeBudget:
    """Counts entries, files and bytes of one package; raises a ``LIMIT_`` Refusal at the first excess."""

    def __init__(self, limits: PackageLimits) -> None:
        self.limits = limits
        self.entries = 0
        self.files = 0
        self.total_bytes = 0

    def charge_entry(self, name: str = "") -> None:
        """One more entry of any kind."""
        self.entries += 1
        limit = self.limits.max_files * ENTRIES_PER_FILE
        if self.entries > limit:
            raise Refusal("LIMIT_ENTRIES", name, limit=limit, found=self.entries)

    def charge_file(self, name: str, size: int) -> None:
        """One more file that claims ``size`` bytes; call it before a byte is read."""
        limits = self.limits
        self.files += 1
        self.total_bytes += size
        if self.files > limits.max_files:
            raise Refusal("LIMIT_FILES", name, limit=limits.max_files, found=self.files)
        if size > limits.max_file_bytes:
            raise Refusal("LIMIT_FILE_BYTES", name, limit=limits.max_file_bytes, found=size)
        if self.total_bytes > limits.max_total_bytes:
            raise Refusal("LIMIT_TOTAL_BYTES", name, limit=limits.max_total_bytes, found=self.total_bytes)

    def check_ratio(self, name: str, compressed: int, expanded: int) -> None:
        """Refuse ``expanded`` bytes out of ``compressed`` bytes when that is a bomb's ratio."""
        if expanded > FREE_EXPANSION_BYTES and expanded > compressed * self.limits.max_expansion_ratio:
            found = f"{expanded} bytes from {compressed}"
            raise Refusal("LIMIT_EXPANSION_RATIO", name, limit=self.limits.max_expansion_ratio, found=found)


def check_mode(name: str, mode: int) -> None:
    """Refuse setuid, setgid and sticky bits in a Unix ``mode``."""
    if mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX):
        raise Refusal("HOSTILE_SPECIAL_MODE", name, found=f"{mode & 0o7777:04o}")


def is_executable(mode: int) -> bool:
    """Whether the owner may execute a file of this Unix ``mode``: the one bit of a mode that a tree keeps."""
    return bool(mode & stat.S_IXUSR)
