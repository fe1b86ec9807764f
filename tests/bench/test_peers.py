"""The comparison with other scanners: the same packages for all, nothing of them run, each measured alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.bench import peers
from tests.bench.labelled import PARTS, drawn, p95, part_of, wilson

ANSWER = "import sys; sys.stdout.write('report'); sys.exit({code})"
NAMES = [f"sample-{number}" for number in range(200)]


def decides(code: int, report: bytes) -> bool | None:
    assert report == b"report"
    return {0: False, 2: True}.get(code)


def answering(code: int) -> peers.Scanner:
    return peers.Scanner(
        "one", "1", "MIT", "exit code 2", lambda _: [sys.executable, "-c", ANSWER.format(code=code)], decides
    )


@pytest.mark.parametrize(("code", "blocks"), [(0, False), (2, True), (3, None)])
def test_the_exit_code_is_read_as_the_scanner_means_it(code: int, blocks: bool | None, tmp_path: Path) -> None:
    scan = peers.scan(answering(code), tmp_path, tmp_path)
    assert scan.blocks is blocks
    assert scan.cpu_seconds > 0
    assert scan.megabytes > 1


def test_two_equal_reports_have_one_hash_and_others_have_not(tmp_path: Path) -> None:
    one, again = (peers.scan(answering(0), tmp_path, tmp_path) for _ in range(2))
    assert one.report_sha256 == again.report_sha256
    other = peers.Scanner("two", "1", "MIT", "", lambda _: [sys.executable, "-c", "print('x')"], lambda *_: None)
    assert peers.scan(other, tmp_path, tmp_path).report_sha256 != one.report_sha256


def test_a_scanner_that_hangs_is_ended_and_has_no_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "LIMIT_SECONDS", 0.2)
    hanging = peers.Scanner(
        "one",
        "1",
        "MIT",
        "",
        lambda _: [sys.executable, "-c", "import time; time.sleep(60)"],
        lambda code, _: {0: True}.get(code),
    )
    assert peers.scan(hanging, tmp_path, tmp_path).blocks is None


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/outside"])
def test_no_sample_is_written_outside_its_folder(path: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leaves its package"):
        peers.write(tmp_path / "package", {path: b"x"})
    assert not (tmp_path / "outside").exists()


def test_no_file_of_a_package_can_be_run(tmp_path: Path) -> None:
    peers.write(tmp_path, {"scripts/run.sh": b"#!/bin/sh\n"})
    assert not (tmp_path / "scripts" / "run.sh").stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("report", "blocks"),
    [
        (b'{"decision": "block"}', True),
        (b'{"decision": "warn"}', False),
        (b'{"decision": "allow"}', False),
        (b'{"code": "X"}', None),
        (b"", None),
    ],
)
def test_sigma_blocks_by_its_decision_and_a_refusal_is_none(report: bytes, blocks: bool | None) -> None:
    assert peers.sigma().blocks(1, report) is blocks


def test_the_same_packages_are_drawn_whatever_their_order() -> None:
    assert drawn(NAMES, None, 20) == drawn(reversed(NAMES), None, 20)
    assert set(drawn(NAMES, None, 20)) <= set(drawn(NAMES, None, 21))


def test_every_package_is_in_one_part_of_the_split() -> None:
    assert sorted(name for part in PARTS for name in drawn(NAMES, part, None)) == sorted(NAMES)
    assert {part_of(name) for name in drawn(NAMES, "held", None)} == {"held"}


def test_figures_are_what_textbooks_say() -> None:
    assert wilson(0, 0) == "-"
    assert wilson(1, 10) == "0.100 [0.018, 0.404] (1/10)"
    assert p95(range(1, 101)) == 95
    assert p95([7.0]) == 7.0
