"""``sigma audit``, ``validate``, ``submit``, ``status`` and ``certificate``: what they print, write and end with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import HONEST, HOSTILE, ROOT, Audited, Said, audit

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
COMMANDS = ["audit", "validate", "submit", "status", "certificate", "verify", "replay", "up"]

pytestmark = pytest.mark.usefixtures("audited_home")


@pytest.fixture(scope="module")
def hostile(audited_home: Path) -> Audited:
    """The hostile example, audited."""
    folder = audited_home / "hostile"
    folder.mkdir()
    return audit(HOSTILE, folder)


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
import os, signal, sys
from sigma_core.lifecycle import panels
run_phase = panels.run_phase
def killed(deployment, round_id, phase):
    if phase == int(os.environ["KILLED_IN_PHASE"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return run_phase(deployment, round_id, phase)
panels.run_phase = killed
from cli.main import app
app()
"""


@pytest.mark.parametrize("phase", ["1", "2"])
def test_a_killed_audit_is_resumed_by_the_same_command(home: Path, phase: str) -> None:
    def sigma_process(*command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, *command],
            check=False,
            cwd=ROOT,
            env={**os.environ, "SIGMA_HOME": str(home), "KILLED_IN_PHASE": phase},
            capture_output=True,
        )

    killed = sigma_process("-c", KILLED, "audit", str(HONEST), "--json")
    assert (killed.returncode, killed.stdout) == (-9, b"")
    resumed = sigma_process("-m", "cli", "audit", str(HONEST), "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["roundNumber"] == 1

    from sqlalchemy import select

    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.storage.protocol import RoundRow, SubmissionRow

    deployment = open_deployment()
    with deployment.read_sessions() as session:
        assert session.scalars(select(SubmissionRow.state)).all() == ["APPROVED"]
        assert session.scalars(select(RoundRow.state)).all() == ["DECIDED"]
    deployment.close()
