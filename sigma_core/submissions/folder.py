"""A strict reader of a folder on disk, which may change or lie while it is read.

Every step is relative to an open directory and never follows a link; a file is opened without blocking, checked to be a
regular file, and measured before and after it is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sigma_core.submissions.intake_budget import IntakeBudget, check_mode, is_executable
from sigma_core.submissions.member_names import check_name, refuse_clashes
from sigma_core.submissions.package import PackageFile
from sigma_core.submissions.refusal import Refusal

VERSION_CONTROL = ".git"
"""The one thing at a folder's root that is not part of the package; the note says so."""

_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


def read_folder(path: Path, budget: IntakeBudget) -> tuple[list[PackageFile], list[str]]:
    """The files below ``path`` and notes on what was left out. Raises Refusal."""
    reader = _FolderReader(budget)
    # The folder itself may be reached through a link: that is the caller's own choice.
    with _opened(str(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, None, str(path)) as root:
        reader.read_directory(root, "")
    refuse_clashes((file.path for file in reader.files), reader.directories)
    return reader.files, reader.notes


class _FolderReader:
    def __init__(self, budget: IntakeBudget) -> None:
        self.budget = budget
        self.files: list[PackageFile] = []
        self.directories: list[str] = []
        self.notes: list[str] = []

    def read_directory(self, directory: int, prefix: str) -> None:
        for name in self._names(directory, prefix):
            path = prefix + name
            if path == VERSION_CONTROL:
                self.notes.append(f"{VERSION_CONTROL} at the folder's root is version control, not part of the package")
                continue
            check_name(path, self.budget.limits)
            with _named_failures(path):
                mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                self.directories.append(path)
                with _opened(name, _OPEN_DIRECTORY, directory, path) as below:
                    self.read_directory(below, path + "/")
            elif stat.S_ISREG(mode):
                with _opened(name, _OPEN_FILE, directory, path) as file:
                    self.files.append(self._read_file(file, path))
            else:
                raise Refusal("HOSTILE_SYMLINK" if stat.S_ISLNK(mode) else "HOSTILE_SPECIAL_FILE", path)

    def _names(self, directory: int, prefix: str) -> list[str]:
        """Names in one directory, sorted so that the first refusal does not depend on the file system."""
        names = []
        with _named_failures(prefix), os.scandir(directory) as entries:
            for entry in entries:
                self.budget.charge_entry(prefix + entry.name)
                names.append(entry.name)
        return sorted(names)

    def _read_file(self, file: int, path: str) -> PackageFile:
        with _named_failures(path):
            before = os.fstat(file)
            if not stat.S_ISREG(before.st_mode):
                raise Refusal("HOSTILE_SPECIAL_FILE", path)
            check_mode(path, before.st_mode)
            self.budget.charge_file(path, before.st_size)
            content = read_at_most(file, before.st_size + 1)
            after = os.fstat(file)
        if len(content) != before.st_size or _version(before) != _version(after):
            raise Refusal("BROKEN_FILE", path, found="changed while it was read")
        return PackageFile.of(path, content, executable=is_executable(before.st_mode))


@contextmanager
def _named_failures(path: str) -> Iterator[None]:
    """Turn a failed system call into a Refusal that names ``path``."""
    try:
        yield
    except OSError as error:
        raise Refusal("BROKEN_FILE", path, found=error.strerror) from None


@contextmanager
def _opened(name: str, flags: int, directory: int | None, path: str) -> Iterator[int]:
    with _named_failures(path):
        descriptor = os.open(name, flags, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def read_at_most(descriptor: int, size: int) -> bytes:
    """Up to ``size`` bytes from ``descriptor``, fewer only at the end. Raises OSError."""
    pieces = []
    while size and (piece := os.read(descriptor, min(size, 2**20))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
