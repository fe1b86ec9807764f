"""What goes wrong is said once, clearly, with the right exit code, and leaves nothing half-written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from command_line import HONEST, Said

from sigma_core.storage import engine

ANOTHER = HONEST.with_name("release-notes-api")
NOBODY = 65_534
SKILL = b"---\nname: greeter\ndescription: Greets people.\n---\n\n# Greeter\n"


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder of root's and a user who is not root, so that permissions count. Of any other user: their own folder."""
    folder = Path(tempfile.mkdtemp(prefix="sigma-"))
    folder.chmod(0o755)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(NOBODY)
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


def lying_zip(claimed: int) -> bytes:
    """A zip of one SKILL.md whose headers claim ``claimed`` bytes, in the ZIP64 fields."""
    packed = zlib.compress(SKILL)[2:-4]
    name, big = b"SKILL.md", 0xFFFFFFFF
    sizes = struct.pack("<HHQQ", 1, 16, claimed, len(packed))
    fields = struct.pack("<HHHHHIIIHH", 45, 0, 8, 0, 0x21, zlib.crc32(SKILL), big, big, len(name), len(sizes))
    local = b"PK\x03\x04" + fields + name + sizes + packed
    central = (
        b"PK\x01\x02"
        + struct.pack("<H", 45)
        + fields
        + struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, 0)
        + name
        + sizes
    )
    return local + central + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)


# Packages


@pytest.mark.parametrize("command", ["audit", "validate", "submit"])
@pytest.mark.parametrize(
    ("name", "files", "exit_code", "words"),
    [
        ("missing", None, 2, "missing"),
        ("empty", {}, 1, "at least one file"),
        ("without-skill", {"README.md": b"# Hello\n"}, 1, "SKILL.md"),
        ("broken-yaml", {"SKILL.md": b"---\nname: [a\ndescription: b\n---\n"}, 1, "SKILL.md:3"),
    ],
)
def test_a_package_that_cannot_be_taken_is_refused_by_name(
    sigma: Callable[..., Said],
    home: Path,
    tmp_path: Path,
    command: str,
    name: str,
    files: dict[str, bytes] | None,
    exit_code: int,
    words: str,
) -> None:
    package = tmp_path / name
    if files is not None:
        package.mkdir()
        for path, content in files.items():
            (package / path).write_bytes(content)
    said = sigma(command, package, "--json")
    assert said.exit_code == exit_code
    assert said.error["code"]
    assert words in said.error["message"]
    assert not home.exists()

    person = sigma(command, package)
    assert (person.exit_code, person.stdout) == (exit_code, "")
    assert person.stderr.startswith("sigma: ")


def test_a_zip_that_claims_10_gb_is_refused_by_its_header(
    sigma: Callable[..., Said], home: Path, tmp_path: Path
) -> None:
    package = tmp_path / "big.zip"
    package.write_bytes(lying_zip(len(SKILL)))
    assert sigma("validate", package).exit_code == 0  # the archive itself is sound
    package.write_bytes(lying_zip(10 * 1024**3))
    said = sigma("audit", package, "--json")
    assert (said.exit_code, said.error["code"]) == (1, "LIMIT_FILE_BYTES")
    assert (said.error["member"], said.error["found"]) == ("SKILL.md", 10 * 1024**3)
    assert not home.exists()


def test_a_file_that_may_not_be_read_is_named(sigma: Callable[..., Said], home: Path, ordinary_user: Path) -> None:
    package = ordinary_user / "skill"
    # Made by whoever owns the folder, and closed to everybody.
    effective = os.geteuid()
    os.seteuid(os.getuid())
    package.mkdir(mode=0o755)
    (package / "SKILL.md").write_bytes(SKILL)
    (package / "SKILL.md").chmod(0)
    os.seteuid(effective)
    said = sigma("validate", package, "--json")
    assert said.exit_code == 1
    assert said.error["message"].startswith("SKILL.md: ")
    assert said.error["found"] == "Permission denied"


# The deployment


def test_a_locked_database_is_named_and_nothing_is_recorded(
    sigma: Callable[..., Said], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 50)
    locked = f"the database {home}/protocol.db is locked by another process"
    assert sigma("submit", HONEST).exit_code == 0
    with closing(sqlite3.connect(home / "protocol.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for command in ("submit", "audit"):
            said = sigma(command, ANOTHER, "--json")
            assert (said.exit_code, said.error["code"]) == (3, "DATABASE_UNAVAILABLE")
            assert said.error["message"] == locked
        other.execute("ROLLBACK")
        assert other.execute("SELECT count(*) FROM submissions").fetchone() == (1,)
        assert sigma("audit", HONEST).exit_code == 0
        # The package that was left to the daemon is still the daemon's.
        states = other.execute("SELECT state FROM submissions ORDER BY id").fetchall()
        assert states == [("RECEIVED",), ("APPROVED",)]


@pytest.mark.parametrize("command", ["audit", "submit"])
def test_a_home_that_cannot_be_made_is_named(
    sigma: Callable[..., Said], ordinary_user: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    if os.getuid() != 0:
        ordinary_user.chmod(0o500)
    monkeypatch.setenv("SIGMA_HOME", str(ordinary_user / "home"))
    said = sigma(command, HONEST, "--json")
    assert said.exit_code == 3
    assert str(ordinary_user / "home") in said.error["message"]
    assert list(ordinary_user.iterdir()) == []


def test_a_damaged_database_is_named(sigma: Callable[..., Said], home: Path) -> None:
    home.mkdir()
    (home / "protocol.db").write_bytes(b"this is no database " * 100)
    said = sigma("status", "sub_1", "--json")
    assert said.exit_code == 3
    assert f"{home}/protocol.db is damaged" in said.error["message"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SIGMA_API_PORT", "many"),
        ("SIGMA_BATCH_SIZE", "0"),
        ("SIGMA_LOG_LEVEL", "LOUD"),
        ("SIGMA_DATABASE_URL", "sqlite:///relative.db"),
    ],
)
@pytest.mark.parametrize("command", [["audit", str(HONEST)], ["status", "sub_1"], ["verify", "cert_1"], ["up"]])
def test_a_setting_that_cannot_be_used_is_named(
    sigma: Callable[..., Said],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    command: list[str],
) -> None:
    monkeypatch.setenv(variable, value)
    said = sigma(*command)
    assert (said.exit_code, said.stdout) == (2, "")
    assert said.stderr.startswith(f"sigma: {variable}: ")
    assert not home.exists()


# Options and identifiers


@pytest.mark.parametrize(
    "command",
    [
        ["audit", HONEST, "--out"],
        ["audit", HONEST, "--sarif"],
        ["validate", HONEST, "--sarif"],
        ["certificate", "cert_1", "--out"],
        ["replay", "rnd_1", "--out"],
    ],
)
def test_an_output_file_that_cannot_be_written_is_refused_before_any_work(
    sigma: Callable[..., Said], home: Path, tmp_path: Path, command: list[str | Path]
) -> None:
    for file, rule in ((tmp_path / "no" / "such.json", "does not exist"), (tmp_path, "is a folder")):
        said = sigma(*command, file, "--json")
        assert (said.exit_code, said.error["code"]) == (2, "USAGE")
        assert said.error["message"].startswith(f"{command[-1]} {file} ")
        assert rule in said.error["message"]
    assert not home.exists()
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["status", "sub_nobody"], "SUBMISSION_UNKNOWN"),
        (["certificate", "cert_nobody"], "CERTIFICATE_UNKNOWN"),
        (["verify", "cert_nobody"], "CERTIFICATE_UNKNOWN"),
        (["verify", "no-such-file.json"], "USAGE"),
        (["replay", "rnd_nobody"], "ROUND_UNKNOWN"),
    ],
)
def test_an_unknown_id_is_named(sigma: Callable[..., Said], home: Path, command: list[str], code: str) -> None:
    said = sigma(*command, "--json")
    assert (said.exit_code, said.error["code"]) == (2, code)
    assert command[1] in said.error["message"]
    assert set(said.error) >= {"code", "message", "hint"}
    assert said.stderr == ""


def test_a_round_that_is_not_decided_has_nothing_to_replay_or_to_certify(
    sigma: Callable[..., Said], home: Path
) -> None:
    submission_id = sigma("submit", HONEST, "--json").json["submissionId"]
    assert sigma("replay", submission_id, "--json").error["code"] == "ROUND_UNKNOWN"
    assert sigma("certificate", submission_id, "--json").error["code"] == "CERTIFICATE_UNKNOWN"


@pytest.mark.parametrize("arguments", [["audit"], ["conjure"], ["audit", "--no-such-option", "."]])
def test_wrong_use_ends_with_2_and_prints_no_data(sigma: Callable[..., Said], arguments: list[str]) -> None:
    said = sigma(*arguments)
    assert (said.exit_code, said.stdout) == (2, "")
    assert "Usage" in said.stderr


def test_names_from_a_package_cannot_move_the_cursor_or_style_the_terminal(
    sigma: Callable[..., Said], home: Path, tmp_path: Path
) -> None:
    package = tmp_path / "skill"
    package.mkdir()
    (package / "SKILL.md").write_bytes(
        b'---\nname: "[red]x\\e[2J\\u202e[/]"\ndescription: Greets people.\n---\n\n# Greeter\n'
    )
    said = sigma("validate", package)
    assert said.exit_code in (0, 1, 2)
    for text in (said.stdout, said.stderr):
        assert "\x1b" not in text
        assert "\u202e" not in text
