"""``sigma audit``, ``validate``, ``submit``, ``status`` and ``certificate``: what they print, write and end with."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from command_line import HONEST, HOSTILE, ROOT, Audited, Said, audit

REPORT_FIELDS = {
    "submissionId",
    "outcome",
    "securityLevel",
    "sandboxRiskLevel",
    "reasons",
    "findings",
    "bundlePath",
    "roundId",
}
COMMANDS = ["audit", "validate", "rules", "submit", "status", "certificate", "verify", "replay", "up"]

pytestmark = pytest.mark.usefixtures("audited_home")


@pytest.fixture(scope="module")
def hostile(audited_home: Path) -> Audited:
    """The hostile example, audited."""
    folder = audited_home / "hostile"
    folder.mkdir()
    return audit(HOSTILE, folder)


def test_as_a_process_it_prints_its_data_and_nothing_else(home: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "cli", "validate", str(HOSTILE), "--json"],
        check=False,
        cwd=ROOT,
        env={**os.environ, "SIGMA_HOME": str(home)},
        capture_output=True,
    )
    assert (said.returncode, said.stderr) == (1, b"")
    assert json.loads(said.stdout)["decision"] == "block"


def test_an_honest_package_is_certified_and_its_bundle_is_written(honest: Audited) -> None:
    assert (honest.said.exit_code, honest.said.stderr) == (0, "")
    report = honest.report
    assert set(report) >= REPORT_FIELDS
    assert (report["outcome"], report["securityLevel"]) == ("APPROVED", "CLEAR")
    assert report["bundlePath"] == str(honest.out)
    assert json.loads(honest.out.read_bytes())
    assert [reason["code"] for reason in report["reasons"]] == ["ALL_SAFE"]


def test_a_hostile_package_is_refused_with_reasons_at_file_and_line(hostile: Audited) -> None:
    assert hostile.said.exit_code == 1
    report = hostile.report
    assert set(report) >= REPORT_FIELDS
    assert report["outcome"] in ("REJECTED", "ESCALATED")
    assert report["bundlePath"] is None
    assert not hostile.out.exists()
    assert "no certificate was issued" in hostile.said.stderr
    places = {
        (signal["file"], signal["line"])
        for reason in report["reasons"]
        for signal in reason["detail"].get("signals", [])
        if "file" in signal
    }
    assert ("scripts/setup.py", 14) in places
    for finding in report["findings"]:
        text = (HOSTILE / finding["file"]).read_text().splitlines()
        assert 1 <= finding["lineStart"] <= finding["lineEnd"] <= len(text)


@pytest.mark.parametrize("command", ["audit", "validate"])
def test_the_facts_are_written_as_sarif(
    command: str, hostile: Audited, sigma: Callable[..., Said], tmp_path: Path
) -> None:
    file = hostile.sarif
    if command == "validate":
        file = tmp_path / "facts.sarif"
        sigma("validate", HOSTILE, "--sarif", file)
    document = json.loads(file.read_bytes())
    assert document["version"] == "2.1.0"
    [run] = document["runs"]
    where = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]}
    assert "scripts/setup.py" in where


def test_the_report_for_a_person_names_verdict_limits_and_the_next_commands(
    audited_home: Path, sigma: Callable[..., Said]
) -> None:
    said = sigma("audit", HONEST)
    assert said.exit_code == 0
    assert said.stdout.startswith("APPROVED  changelog-writer 1.0.0  (SKILL)\n")
    assert "does not prove that no vulnerability exists" in said.stdout
    bundle = next(iter(re.findall(r"sigma verify (\S+)", said.stdout)))
    assert sigma("verify", bundle).exit_code == 0
    again = next(iter(re.findall(r"sigma replay (\S+)", said.stdout)))
    assert sigma("replay", again).exit_code == 0


def test_validate_is_a_dry_run(sigma: Callable[..., Said], home: Path) -> None:
    fine, blocked = sigma("validate", HONEST, "--json"), sigma("validate", HOSTILE, "--json")
    assert (fine.exit_code, fine.json["decision"]) == (0, "allow")
    assert (blocked.exit_code, blocked.json["decision"]) == (1, "block")
    assert {signal["file"] for signal in blocked.json["blockingSignals"]} == {"scripts/setup.py"}
    assert not home.exists()


def test_a_submitted_package_waits_for_the_daemon(sigma: Callable[..., Said], home: Path) -> None:
    submitted = sigma("submit", HONEST, "--notes", "for you", "--json")
    assert (submitted.exit_code, submitted.json["state"]) == (0, "RECEIVED")
    status = sigma("status", submitted.json["submissionId"], "--json").json
    assert (status["state"], status["rounds"], status["failures"]) == ("RECEIVED", [], [])
    person = sigma("submit", HONEST)
    assert re.fullmatch(r"sub_\w+\n", person.stdout)  # data alone, for $(sigma submit …)
    assert "sigma status" in person.stderr
    typo = sigma("submit", HONEST, "--conflict", "op_typo", "--json")
    assert (typo.exit_code, typo.error["code"]) == (2, "OPERATOR_UNKNOWN")


def test_status_and_certificate_of_an_audited_package(
    honest: Audited, sigma: Callable[..., Said], tmp_path: Path
) -> None:
    report = honest.report
    status = sigma("status", report["submissionId"], "--json").json
    assert status["state"] == "APPROVED"
    [row] = status["rounds"]
    assert (row["roundId"], row["certificateId"]) == (report["roundId"], report["certificateId"])
    for identifier in (report["certificateId"], report["roundId"], report["submissionId"]):
        payload = sigma("certificate", identifier, "--json").json
        assert payload["certificateId"] == report["certificateId"]
    out = tmp_path / "bundle.json"
    assert sigma("certificate", report["certificateId"], "--out", out).exit_code == 0
    assert out.read_bytes() == honest.out.read_bytes()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example(command: str, sigma: Callable[..., Said]) -> None:
    said = sigma(command, "--help")
    assert said.exit_code == 0
    assert re.search(rf"Example: .*sigma {command}", said.stdout)


def test_no_command_is_missing_from_the_help(sigma: Callable[..., Said]) -> None:
    listed = sigma("--help").stdout
    assert all(re.search(rf"^\W*{command} ", listed, re.MULTILINE) for command in COMMANDS)


KILLED = """
import importlib, os, signal, sys
module, function, calls_before = sys.argv[1:4]
stage = importlib.import_module("sigma_core.lifecycle." + module)
real, left = getattr(stage, function), int(calls_before)
def killed(*args, **kwargs):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return real(*args, **kwargs)
setattr(stage, function, killed)
# As for the tests that resume it (tests/conftest.py): a round is drawn with canary files or without.
import sigma_core.assembly.canaries
sigma_core.assembly.canaries.plant_of = lambda *_: None
from cli.main import app
app(sys.argv[4:])
"""


@pytest.mark.parametrize(
    ("module", "function", "calls_before"),
    [
        pytest.param("facts", "derive_and_keep", 0, id="before the facts"),
        pytest.param("panels", "run_phase", 0, id="before the first panel"),
        pytest.param("panels", "run_phase", 1, id="between the panels"),
        pytest.param("certify", "issue_certificate", 0, id="before the certificate"),
    ],
)
def test_a_killed_audit_is_resumed_by_the_same_command(
    home: Path, sigma: Callable[..., Said], module: str, function: str, calls_before: int
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, module, function, str(calls_before), "audit", str(HONEST), "--json"],
        check=False,
        cwd=ROOT,
        env={**os.environ, "SIGMA_HOME": str(home)},
        capture_output=True,
    )
    assert (killed.returncode, killed.stdout) == (-9, b""), killed.stderr
    resumed = sigma("audit", HONEST, "--json")
    assert resumed.exit_code == 0, resumed.stdout + resumed.stderr
    assert resumed.json["roundNumber"] == 1
    with closing(sqlite3.connect(home / "protocol.db")) as database:
        for query in ("SELECT state FROM submissions", "SELECT outcome FROM rounds", "SELECT status FROM certificates"):
            assert database.execute(query).fetchall() == [("APPROVED",)]
