"""Blobs: stored once under the SHA-256 of their bytes, checked at every read."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.errors import ExitCode, SigmaError, Unavailable
from sigma_core.storage.blobs import BlobCorrupt, BlobMissing, Blobs

HELLO = hashlib.sha256(b"hello").hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs of 100% #1"


@pytest.fixture(params=["file", "memory"])
def blobs(request: pytest.FixtureRequest, folder: Path) -> Blobs:
    return Blobs("memory://" if request.param == "memory" else folder.as_uri())


def blob_file(folder: Path, digest: str) -> Path:
    return folder / "sha256" / digest[:2] / digest


def test_a_blob_is_named_by_its_hash_and_read_by_that_name(blobs: Blobs) -> None:
    assert blobs.put(b"hello") == HELLO
    assert blobs.get(HELLO) == b"hello"


@given(contents=st.lists(st.binary(max_size=300), max_size=8))
def test_any_bytes_come_back_unchanged_and_equal_bytes_have_one_name(contents: list[bytes]) -> None:
    blobs = Blobs("memory://")
    digests = blobs.put_all(contents)
    assert [blobs.get(digest) for digest in digests] == contents
    assert len(set(digests)) == len(set(contents))


def test_storing_the_same_bytes_again_changes_nothing(folder: Path) -> None:
    Blobs(folder.as_uri()).put(b"hello")
    before = blob_file(folder, HELLO).stat()
    assert Blobs(folder.as_uri()).put(b"hello") == HELLO
    after = blob_file(folder, HELLO).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_threads_may_store_the_same_bytes_at_once(blobs: Blobs) -> None:
    content = b"x" * 100_000
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(blobs.put, [content] * 32)) == {hashlib.sha256(content).hexdigest()}
    assert blobs.get(hashlib.sha256(content).hexdigest()) == content


def test_nothing_but_whole_blobs_is_left_in_the_folder(folder: Path) -> None:
    digests = Blobs(folder.as_uri()).put_all([b"", b"one", b"two", b"one"])
    files = {path.name for path in folder.rglob("*") if path.is_file()}
    assert files == set(digests)


def test_a_blob_that_was_never_stored_is_missing(blobs: Blobs) -> None:
    with pytest.raises(BlobMissing, match=HELLO):
        blobs.get(HELLO)


@pytest.mark.parametrize("name", ["", "..", "../../../../etc/passwd", "a/../..", "\x00", "sha256", "x" * 5_000])
def test_what_is_no_hash_names_no_blob(blobs: Blobs, name: str) -> None:
    blobs.put(b"hello")
    with pytest.raises(SigmaError):
        blobs.get(name)


def test_a_blob_that_was_lost_can_be_stored_again(folder: Path) -> None:
    blobs = Blobs(folder.as_uri())
    blob_file(folder, blobs.put(b"hello")).unlink()
    blobs.put(b"hello")
    assert blobs.get(HELLO) == b"hello"


@pytest.mark.parametrize("damage", [b"", b"hell", b"jello", b"hello\n"])
def test_a_blob_with_other_bytes_than_its_name_says_is_corrupt(folder: Path, damage: bytes) -> None:
    blobs = Blobs(folder.as_uri())
    blobs.put(b"hello")
    blob_file(folder, HELLO).write_bytes(damage)
    with pytest.raises(BlobCorrupt, match=f"blob {HELLO} holds other bytes"):
        blobs.get(HELLO)


def test_what_was_written_or_recalled_here_is_recalled_without_the_store(folder: Path) -> None:
    writer, reader = Blobs(folder.as_uri()), Blobs(folder.as_uri())
    writer.put(b"hello")
    assert reader.recall(HELLO) == b"hello"
    blob_file(folder, HELLO).unlink()
    assert writer.recall(HELLO) == reader.recall(HELLO) == b"hello"
    with pytest.raises(BlobMissing):
        Blobs(folder.as_uri()).recall(HELLO)


def test_reading_sees_the_damage_that_recalling_does_not(folder: Path) -> None:
    blobs = Blobs(folder.as_uri())
    blobs.put(b"hello")
    blob_file(folder, HELLO).write_bytes(b"jello")
    assert blobs.recall(HELLO) == b"hello"
    with pytest.raises(BlobCorrupt):
        blobs.get(HELLO)
    with pytest.raises(BlobCorrupt):
        Blobs(folder.as_uri()).recall(HELLO)


@given(contents=st.lists(st.binary(max_size=40), max_size=30), room=st.integers(0, 60))
def test_no_more_bytes_are_remembered_than_there_is_room_for_and_the_latest_first(
    contents: list[bytes], room: int
) -> None:
    blobs = Blobs("memory://", remembered_bytes=room)
    digests = blobs.put_all(contents)
    remembered = list(blobs._remembered.values())
    assert sum(map(len, remembered)) <= room
    latest = list(dict.fromkeys(reversed(contents)))
    assert remembered[::-1] == latest[: len(remembered)]
    assert [blobs.recall(digest) for digest in digests] == contents


def test_a_file_where_the_folder_should_be_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("")
    with pytest.raises(Unavailable, match=r"blob folder .*/blobs: File exists \(check SIGMA_BLOB_URL") as refusal:
        Blobs((tmp_path / "blobs").as_uri())
    assert refusal.value.exit_code == ExitCode.UNAVAILABLE


def test_a_folder_that_cannot_be_written_is_unavailable_and_says_why(folder: Path) -> None:
    blobs = Blobs(folder.as_uri())
    (folder / "sha256").write_text("")  # in the way: permissions would not stop root
    with pytest.raises(Unavailable, match=f"blob {HELLO[:12]}… cannot be written: ") as refusal:
        blobs.put(b"hello")
    assert refusal.value.hint == "check space and permissions of the blob store"
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    ["", "blobs", "file://blobs", "s3://", "s3://[bucket", "nothing://key:correct-horse@host"],
)
def test_a_url_that_names_no_store_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(SigmaError, match=r"blob URL names no store.*SIGMA_BLOB_URL") as refusal:
        Blobs(url)
    assert refusal.value.code == "SETTINGS_INVALID"
    assert "correct-horse" not in str(refusal.value)
