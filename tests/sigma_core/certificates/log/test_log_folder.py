"""The log's folder: a machine may stop between any two file operations, and what is there is some whole tree."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from log_samples import numbered

from sigma_core.certificates.log.append import append, audit
from sigma_core.certificates.log.folder import LogFolder
from sigma_core.certificates.log.tree import EMPTY_ROOT, TiledTree

OPERATIONS = ("open", "write", "fsync", "close", "replace", "rename", "mkdir", "unlink", "rmdir")


class Stopped(BaseException):
    """The machine stopped here."""


class Stopper:
    """Counts operations on files, and stops at one of them for good: before it, or halfway through a write."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int) -> None:
        self.count, self.at = 0, at
        for name in OPERATIONS:
            patch.setattr(os, name, self._counted(name, getattr(os, name)))

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self.count >= self.at:
                if name == "write" and self.count == self.at:
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                if name == "close":
                    real(*arguments, **options)  # the kernel does that for the dead
                raise Stopped
            return None if name == "fsync" else real(*arguments, **options)

        return counted


@pytest.fixture
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def grow(folder: LogFolder, size: int, root: bytes, entries: list[bytes]) -> tuple[int, bytes]:
    with folder.lock():
        appended = append(TiledTree(size, folder.read), root, entries)
        folder.write(appended.files)
        folder.publish(b"%d %s" % (appended.size, appended.root.hex().encode()))
        folder.drop_superseded(appended.files)
    return appended.size, appended.root


def published(folder: LogFolder) -> tuple[int, bytes]:
    note = folder.checkpoint()
    if note is None:
        return 0, EMPTY_ROOT
    size, root = note.split()
    return int(size), bytes.fromhex(root.decode())


@pytest.mark.usefixtures("_no_waiting_for_the_disk")
@pytest.mark.parametrize(("first", "more"), [(0, 3), (250, 10)])
def test_an_append_that_stops_at_any_operation_leaves_the_old_tree_or_the_new_and_is_mended_by_repetition(
    tmp_path: Path, first: int, more: int
) -> None:
    entries, at, outcomes = numbered(first + more), 0, set()
    while True:
        at += 1
        folder = LogFolder(tmp_path / str(at))
        if first:
            grow(folder, 0, EMPTY_ROOT, entries[:first])
        with pytest.MonkeyPatch.context() as patch:
            stopper = Stopper(patch, at)
            try:
                grow(folder, *published(folder), entries[first:])
                done = True
            except Stopped:
                done = False
        size, root = published(folder)
        outcomes.add(size)
        assert size in (first, first + more)
        audit(TiledTree(size, folder.read), root)
        if size == first:
            size, root = grow(folder, size, root, entries[first:])
        audit(TiledTree(size, folder.read), root)
        assert (size, list(TiledTree(size, folder.read).entries())) == (first + more, entries)
        if done:
            break
    assert at > 15
    assert stopper.count < at
    assert outcomes == {first, first + more}


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def write() -> None:
        nonlocal inside, most
        for _ in range(20):
            with LogFolder(tmp_path).lock():
                with lock:
                    inside += 1
                    most = max(most, inside)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_partial_files_go_once_their_full_one_is_there(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path)
    size, root = 0, EMPTY_ROOT
    for count in (100, 100, 56, 1):
        size, root = grow(folder, size, root, numbered(count, start=size))
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert names == [
        ".lock",
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/1",
    ]
    audit(TiledTree(size, folder.read), root)
