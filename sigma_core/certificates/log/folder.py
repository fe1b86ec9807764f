"""The log's files in a folder, as any web server can serve them: tiles, entry bundles, and ``checkpoint``.

Written so that a machine that stops at any instant leaves the folder as some whole tree: tiles are durable before the checkpoint that
needs them, every file is replaced by rename, and what a crash leaves behind is overwritten with the same bytes.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sigma_core.certificates.log.note import MAX_NOTE_BYTES
from sigma_core.certificates.log.tiles import MAX_ENTRY_BYTES, TILE_WIDTH

CHECKPOINT = "checkpoint"
MAX_FILE_BYTES = TILE_WIDTH * (MAX_ENTRY_BYTES + 2)


class LogFolder:
    """A log's folder; made on first write. Every method may raise OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder: other processes and threads that write to it wait. The kernel releases what a dead process held."""
        self._make(self.path)
        descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def read(self, name: str) -> bytes | None:
        """The file of that path in the log, or None where there is none."""
        try:
            with (self.path / name).open("rb") as file:
                return file.read(MAX_FILE_BYTES)
        except FileNotFoundError:
            return None

    def checkpoint(self) -> bytes | None:
        """The published checkpoint, if there is one."""
        note = self.read(CHECKPOINT)
        return None if note is None else note[: MAX_NOTE_BYTES + 1]

    def write(self, files: Mapping[str, bytes]) -> None:
        """Make ``files`` durable: when this returns, a power failure loses none of them."""
        folders = set()
        for name, content in files.items():
            path = self.path / name
            self._make(path.parent)
            draft = path.with_name(f".{path.name}.draft")  # one writer at a time, under `lock`
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                _write_all(descriptor, content)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            draft.replace(path)
            folders.add(path.parent)
        for folder in sorted(folders):
            _sync(folder)

    def publish(self, note: bytes) -> None:
        """Replace the checkpoint; the files of its tree must have been written."""
        if self.read(CHECKPOINT) != note:
            self.write({CHECKPOINT: note})

    def drop_superseded(self, names: Iterable[str]) -> None:
        """Remove the partial files of those tiles in ``names`` that are full now, as the format allows; after `publish`."""
        for name in names:
            partials = self.path / f"{name}.p"
            if partials.is_dir():
                for partial in partials.iterdir():
                    partial.unlink(missing_ok=True)
                partials.rmdir()

    @staticmethod
    def _make(folder: Path) -> None:
        if folder.is_dir():
            return
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for each in missing:
            _sync(each.parent)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
