"""`sigma validate --each`: every package of a folder gets its line, whatever it holds and whatever goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import HONEST, HOSTILE, ROOT, Said

from cli import batch
from cli.batch import INTERNAL_ERROR, WORKER_LOST, Terms, packages_in, validate_each, validate_one
from cli.validate import OPEN_MAX_FILES, package_limits
from sigma_core.policy import load_policy
from sigma_core.sandbox.derive import derive_facts
from sigma_core.submissions.intake import read_package

POLICY = load_policy()
TERMS = Terms(POLICY, POLICY.package)
FIELDS = [
    "path",
    "decision",
    "code",
    "sandboxRiskLevel",
    "securityLevel",
    "coverageComplete",
    "factsSha256",
    "ruleIds",
    "cpuSeconds",
    "error",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages of every kind, and things that are none."""
    root = tmp_path_factory.mktemp("packages")
    shutil.copytree(HONEST, root / "honest")
    shutil.copytree(HOSTILE, root / "hostile")
    with tarfile.open(root / "packed.tar.gz", "w:gz") as archive:
        archive.add(HONEST, "changelog-writer")
    with zipfile.ZipFile(root / "no-suffix", "w") as zipped:
        zipped.writestr("SKILL.md", "---\nname: a\ndescription: b\n---\n# A\n")
    (root / "broken.zip").write_bytes(b"nothing")
    (root / "unknown.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    (root / "no-skill").mkdir()
    (root / "no-skill" / "README.md").write_text("# Hello\n", encoding="utf-8")
    (root / "empty").mkdir()
    (root / "gone.zip").symlink_to(root / "nowhere")
    (root / "loop").symlink_to(root / "loop")
    (root / ".git").mkdir()
    (root / "notes.txt").write_text("no package\n", encoding="utf-8")
    os.mkfifo(root / "pipe.zip")
    (root / "many").mkdir()
    for number in range(POLICY.package.max_files + 1):
        (root / "many" / f"{number}.md").write_text("x\n", encoding="utf-8")
    (root / "many" / "SKILL.md").write_text("---\nname: many\ndescription: b\n---\n# A\n", encoding="utf-8")
    return root


def lines(said: Said) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.stdout.splitlines()]


def untimed(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "cpuSeconds"} for record in records]


def test_every_folder_and_archive_has_its_line_sorted_by_path(folder: Path, sigma: Callable[..., Said]) -> None:
    said = sigma("validate", "--each", folder, "--jsonl")
    records = lines(said)
    assert [list(record) for record in records] == [FIELDS] * len(records)
    assert {Path(record["path"]).name: (record["decision"], record["code"]) for record in records} == {
        "broken.zip": ("refused", "BROKEN_ARCHIVE_TYPE"),
        "empty": ("refused", "BROKEN_EMPTY"),
        "gone.zip": ("refused", "BROKEN_SOURCE"),
        "honest": ("allow", None),
        "hostile": ("block", None),
        "loop": ("refused", "BROKEN_SOURCE"),
        "many": ("refused", "LIMIT_FILES"),
        "no-skill": ("refused", "BROKEN_NO_SKILL_FILE"),
        "no-suffix": ("allow", None),
        "packed.tar.gz": ("allow", None),
        "unknown.7z": ("refused", "BROKEN_ARCHIVE_TYPE"),
    }
    assert [record["path"] for record in records] == sorted(record["path"] for record in records)
    assert said.exit_code == 1
    assert said.stderr == "11 packages: 3 allow, 1 block, 7 refused\n"


def test_a_line_says_what_the_facts_say(folder: Path, sigma: Callable[..., Said]) -> None:
    by_name = {Path(record["path"]).name: record for record in lines(sigma("validate", "--each", folder, "--jsonl"))}
    facts = derive_facts(read_package(HOSTILE, POLICY), POLICY)
    hostile = by_name["hostile"]
    assert hostile["factsSha256"] == facts.sha256
    assert hostile["sandboxRiskLevel"] == facts.risk_level
    assert hostile["ruleIds"][0] in {blocking["ruleId"] for blocking in facts.blocking_signals}
    assert by_name["packed.tar.gz"]["factsSha256"] == by_name["honest"]["factsSha256"]


def test_open_limits_take_what_the_policy_refuses_and_change_no_facts(folder: Path, sigma: Callable[..., Said]) -> None:
    by_policy = lines(sigma("validate", "--each", folder, "--jsonl"))
    opened = lines(sigma("validate", "--each", folder, "--jsonl", "--limits", "open"))
    differing = [one["path"] for one, other in zip(untimed(by_policy), untimed(opened), strict=True) if one != other]
    assert [Path(path).name for path in differing] == ["many"]
    limits = package_limits(POLICY, "open")
    assert (
        (limits.max_files, limits.max_total_bytes)
        == (5_000, 50 * 1024 * 1024)
        == (OPEN_MAX_FILES, limits.max_file_bytes)
    )
    assert limits.max_expansion_ratio == POLICY.package.max_expansion_ratio


def test_more_processes_give_the_same_lines(folder: Path) -> None:
    paths = packages_in(folder)
    one, two = (untimed(list(validate_each(paths, TERMS, jobs))) for jobs in (1, 2))
    assert one == two


def test_a_fault_of_ours_is_a_line_and_the_rest_goes_on(
    folder: Path, sigma: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    def derive(package: Any, policy: Any) -> Any:
        if package.manifest["name"] == "a":
            raise ZeroDivisionError("ours")
        return derive_facts(package, policy)

    monkeypatch.setattr(batch, "derive_facts", derive)
    said = sigma("validate", "--each", folder, "--jsonl")
    [fault] = [record for record in lines(said) if record["code"] == INTERNAL_ERROR]
    assert (fault["decision"], fault["error"]) == ("refused", "ZeroDivisionError: ours")
    assert len(lines(said)) == 11
    assert said.exit_code == 3


class Deadly(type(Path())):  # type: ignore[misc]
    """A path that ends whichever process receives it."""

    def __reduce__(self) -> Any:
        return os._exit, (9,)


def test_a_process_that_dies_is_a_line_and_the_rest_goes_on() -> None:
    paths = [HONEST, Deadly("deadly"), HOSTILE, HONEST]
    records = list(validate_each(paths, TERMS, 2))
    assert [record["decision"] for record in records] == ["allow", "refused", "block", "allow"]
    assert (records[1]["code"], records[1]["error"]) == (WORKER_LOST, "the worker process ended with 9")


def test_a_name_that_is_no_text_can_be_told_and_opened_again(tmp_path: Path, sigma: Callable[..., Said]) -> None:
    strange = os.fsencode(tmp_path) + b"/b\xffd"
    shutil.copytree(HONEST, os.fsdecode(strange))
    [record] = lines(sigma("validate", "--each", tmp_path, "--jsonl"))
    assert os.fsencode(record["path"]) == strange


def test_a_reader_that_leaves_early_ends_it_without_a_trace(folder: Path) -> None:
    command = f'"{sys.executable}" -m cli validate --each "{folder}" --jsonl | head -n 1'
    ran = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert len(ran.stdout.splitlines()) == 1
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_ends_it_cleanly_after_whole_lines(tmp_path: Path, jobs: str) -> None:
    # More lines than a pipe holds: it cannot be done before it is interrupted.
    for number in range(400):
        shutil.copytree(HONEST, tmp_path / f"{number:03}")
    command = [sys.executable, "-m", "cli", "validate", "--each", str(tmp_path), "--jsonl", "--jobs", jobs]
    said = tmp_path.with_suffix(".stderr")
    with said.open("w") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
        with process:
            assert process.stdout is not None
            json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            # Not communicate(): it reads past what readline() has taken ahead.
            rest = process.stdout.read()
    assert process.returncode == 130
    assert said.read_text().startswith("sigma: interrupted")
    assert all(json.loads(line)["decision"] == "allow" for line in rest.splitlines())


def test_without_jsonl_it_is_a_list_for_people(folder: Path, sigma: Callable[..., Said]) -> None:
    said = sigma("validate", "--each", folder)
    first = {line.split()[1].rpartition("/")[2]: line.split()[0] for line in said.stdout.splitlines()}
    assert (first["honest"], first["hostile"], first["empty"]) == ("allow", "block", "refused")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["validate"], "either a PATH or --each"),
        (["validate", "PACKAGE", "--each", "FOLDER"], "either a PATH or --each"),
        (["validate", "PACKAGE", "--jsonl"], "go with --each"),
        (["validate", "PACKAGE", "--jobs", "2"], "go with --each"),
        (["validate", "--each", "FOLDER", "--sarif", "x.sarif"], "--each goes with"),
        (["validate", "--each", "nowhere", "--jsonl"], "is not a folder"),
    ],
)
def test_wrong_use_is_refused(folder: Path, sigma: Callable[..., Said], arguments: list[str], words: str) -> None:
    said = sigma(*({"PACKAGE": HONEST, "FOLDER": folder}.get(argument, argument) for argument in arguments))
    assert (said.exit_code, said.stdout) == (2, "")
    assert words in said.stderr


def test_nothing_blocked_is_exit_code_zero(tmp_path: Path, sigma: Callable[..., Said]) -> None:
    shutil.copytree(HONEST, tmp_path / "honest")
    assert sigma("validate", "--each", tmp_path, "--jsonl").exit_code == 0


def test_one_record_never_raises(tmp_path: Path) -> None:
    assert validate_one(tmp_path / "nowhere", TERMS)["code"] == "BROKEN_SOURCE"
