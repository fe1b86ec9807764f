"""A folder on disk: links and special files are refused, nothing is left out unsaid, and what changes is noticed."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from archive_builders import SKILL, TREE

from sigma_core.policy import load_policy
from sigma_core.submissions import folder
from sigma_core.submissions.intake import read_package
from sigma_core.submissions.refusal import Refusal

POLICY = load_policy()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "greeter"
    for path, content in TREE.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def refusal_of(path: Path) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read_package(path, POLICY)
    return caught.value


def test_members_are_sorted_by_the_bytes_of_their_paths(root: Path) -> None:
    package = read_package(root, POLICY)
    assert [file.path for file in package.files] == ["SKILL.md", "docs/usage.md", "empty.txt", "scripts/greet.py"]
    assert package.source_name == "greeter"


def test_version_control_at_the_root_is_left_out_and_said_so(root: Path) -> None:
    before = read_package(root, POLICY)
    (root / ".git").mkdir()
    (root / ".git/config").write_text("[core]\n")
    package = read_package(root, POLICY)
    assert package.tree_hash == before.tree_hash
    assert package.intake_notes == (".git at the folder's root is version control, not part of the package",)


def test_nothing_else_is_left_out(root: Path) -> None:
    droppings = [".DS_Store", "docs/.git/config", "__pycache__/a.pyc", ".env", ".claude/settings.json"]
    for path in droppings:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    assert set(droppings) < set(read_package(root, POLICY).by_path)


@pytest.mark.parametrize("target", ["SKILL.md", "/etc/passwd", "nowhere", "docs"])
def test_a_symbolic_link_is_refused(root: Path, target: str) -> None:
    (root / "link").symlink_to(target)
    assert (refusal_of(root).code, refusal_of(root).member) == ("HOSTILE_SYMLINK", "link")


def test_the_folder_itself_may_be_reached_through_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert read_package(tmp_path / "link", POLICY).tree_hash == read_package(root, POLICY).tree_hash


def test_a_fifo_is_refused_without_waiting_for_a_writer(root: Path) -> None:
    os.mkfifo(root / "docs/pipe")
    assert (refusal_of(root).code, refusal_of(root).member) == ("HOSTILE_SPECIAL_FILE", "docs/pipe")


def test_a_socket_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        assert (refusal_of(root).code, refusal_of(root).member) == ("HOSTILE_SPECIAL_FILE", "s")


def test_setuid_is_refused(root: Path) -> None:
    (root / "empty.txt").chmod(0o4755)
    assert (refusal_of(root).code, refusal_of(root).member) == ("HOSTILE_SPECIAL_MODE", "empty.txt")


def test_a_name_that_is_not_utf8_is_refused(root: Path) -> None:
    (root / os.fsdecode(b"caf\xe9")).write_bytes(b"")
    assert refusal_of(root).code == "HOSTILE_PATH_NOT_UTF8"


def test_a_case_twin_is_refused(root: Path) -> None:
    (root / "skill.md").write_bytes(SKILL)
    assert (refusal_of(root).code, refusal_of(root).member) == ("HOSTILE_DUPLICATE_NAME", "skill.md")


def test_size_is_checked_before_a_byte_is_read(root: Path) -> None:
    with (root / "huge").open("wb") as file:
        file.truncate(2**40)
    refusal = refusal_of(root)
    assert (refusal.code, refusal.member, refusal.limit) == ("LIMIT_FILE_BYTES", "huge", 204_800)


def test_depth_and_count_are_limited(root: Path) -> None:
    deep = root / "/".join("d" * 17)
    deep.mkdir(parents=True)
    assert refusal_of(root).code == "LIMIT_PATH_DEPTH"
    for index in range(200):
        (root / f"f{index}").write_bytes(b"")
    assert refusal_of(root).code == "LIMIT_ENTRIES"


def test_an_unreadable_file_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def denied(path: str, flags: int, *args: int, **kwargs: int) -> int:
        if path == "usage.md":
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(folder.os, "open", denied)  # root may read everything, so chmod would not do
    refusal = refusal_of(root)
    assert (refusal.code, refusal.member, refusal.found) == ("BROKEN_FILE", "docs/usage.md", "Permission denied")


def test_a_file_that_changes_while_it_is_read_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = folder.read_at_most

    def growing(descriptor: int, size: int) -> bytes:
        with (root / "SKILL.md").open("ab") as file:
            file.write(b"more")
        return real(descriptor, size)

    monkeypatch.setattr(folder, "read_at_most", growing)
    refusal = refusal_of(root)
    assert (refusal.code, refusal.member, refusal.found) == ("BROKEN_FILE", "SKILL.md", "changed while it was read")


def test_a_file_that_becomes_a_link_before_it_is_opened_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat

    def swapping(path: str, **kwargs: object) -> os.stat_result:
        status = real(path, **kwargs)  # type: ignore[arg-type]
        if path == "empty.txt":
            (root / path).unlink()
            (root / path).symlink_to("/etc/passwd")
        return status

    monkeypatch.setattr(folder.os, "stat", swapping)
    assert (refusal_of(root).code, refusal_of(root).member) == ("BROKEN_FILE", "empty.txt")


class TestSource:
    def test_nothing_there(self, tmp_path: Path) -> None:
        refusal = refusal_of(tmp_path / "nothing")
        assert refusal.code == "BROKEN_SOURCE"
        assert "No such file or directory" in refusal.message

    def test_a_fifo_is_no_package(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        assert refusal_of(tmp_path / "pipe").code == "BROKEN_SOURCE"

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        assert refusal_of(tmp_path).code == "BROKEN_EMPTY"

    def test_a_folder_without_a_skill_file(self, tmp_path: Path) -> None:
        (tmp_path / "README.md").write_text("hi")
        assert refusal_of(tmp_path).code == "BROKEN_NO_SKILL_FILE"

    def test_an_archive_that_is_too_large_is_not_read(self, tmp_path: Path) -> None:
        with (tmp_path / "huge.zip").open("wb") as file:
            file.truncate(2**40)
        refusal = refusal_of(tmp_path / "huge.zip")
        assert (refusal.code, refusal.limit, refusal.found) == ("LIMIT_ARCHIVE_BYTES", 8_388_608, 2**40)
