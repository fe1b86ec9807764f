"""A strict reader of a folder on disk, which may change or lie while it is read.

Every step is relative to an open directory and never follows a link; a file is opened without blocking, checked to be a
regular file, measured before and after it is read.
"""

from __future__ import annotations

import os
import stat
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
    files: list[PackageFile] = []
    directories: list[str] = []
    notes: list[str] = []
    try:
        # The folder itself may be reached through a link: that is the caller's own choice.
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Refusal("BROKEN_SOURCE", str(path), found=error.strerror or str(error)) from None
    try:
        _read_directory(root, "", budget, files, directories, notes)
    finally:
        os.close(root)
    refuse_clashes((file.path for file in files), directories)
    return files, notes


def _read_directory(
    descriptor: int,
    prefix: str,
    budget: IntakeBudget,
    files: list[PackageFile],
    directories: list[str],
    notes: list[str],
) -> None:
    for name in _names(descriptor, prefix, budget):
        path = prefix + name
        if path == VERSION_CONTROL:
            notes.append(f"{VERSION_CONTROL} at the folder's root is version control and not part of the package")
            continue
        check_name(path, budget.limits)
        try:
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except OSError as error:
            raise Refusal("BROKEN_FILE", path, found=error.strerror) from None
        if stat.S_ISDIR(status.st_mode):
            directories.append(path)
            below = _open(name, _OPEN_DIRECTORY, descriptor, path)
            try:
                _read_directory(below, path + "/", budget, files, directories, notes)
            finally:
                os.close(below)
        elif stat.S_ISREG(status.st_mode):
            files.append(_read_file(name, descriptor, path, budget))
        else:
            raise Refusal("HOSTILE_SYMLINK" if stat.S_ISLNK(status.st_mode) else "HOSTILE_SPECIAL_FILE", path)


def _names(descriptor: int, prefix: str, budget: IntakeBudget) -> list[str]:
    """Names in one directory, sorted so that the first refusal does not depend on the file system."""
    names = []
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if prefix + entry.name != VERSION_CONTROL:
                    budget.charge_entry(prefix + entry.name)
                names.append(entry.name)
    except OSError as error:
        raise Refusal("BROKEN_FILE", prefix, found=error.strerror) from None
    return sorted(names)


def _open(name: str, flags: int, directory: int, path: str) -> int:
    try:
        return os.open(name, flags, dir_fd=directory)
    except OSError as error:
        raise Refusal("BROKEN_FILE", path, found=error.strerror) from None


def _read_file(name: str, directory: int, path: str, budget: IntakeBudget) -> PackageFile:
    descriptor = _open(name, _OPEN_FILE, directory, path)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 (a descriptor, not a path)
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise Refusal("HOSTILE_SPECIAL_FILE", path)
        check_mode(path, before.st_mode)
        budget.charge_file(path, before.st_size)
        try:
            content = read_at_most(descriptor, before.st_size + 1)
        except OSError as error:
            raise Refusal("BROKEN_FILE", path, found=error.strerror) from None
        after = os.fstat(descriptor)
    if len(content) != before.st_size or _version(before) != _version(after):
        raise Refusal("BROKEN_FILE", path, found="changed while it was read")
    return PackageFile.of(path, content, executable=is_executable(before.st_mode))


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def read_at_most(descriptor: int, size: int) -> bytes:
    """Up to ``size`` bytes from ``descriptor``, fewer only at the end. Raises OSError."""
    pieces = []
    while size and (piece := os.read(descriptor, min(size, 2**20))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
