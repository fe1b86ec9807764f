"""`sigma simulate`: a table, a document, a report, and clear refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from sigma_core.policy import DEFAULT_POLICY_FILE


def simulate(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["simulate", "--submissions", "60", "--seeds", "1", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_two_policies_are_compared_and_missed_gates_are_exit_code_one(tmp_path: Path) -> None:
    other = tmp_path / "stricter.toml"
    other.write_text(DEFAULT_POLICY_FILE.read_text().replace("missed_unsafe_q10 = 1_024", "missed_unsafe_q10 = 2_048"))
    code, out, _ = simulate("--against", str(other), "--json")
    told = json.loads(out)
    # After sixty submissions nobody has a record yet.
    assert code == 1
    assert [policy["policy"] for policy in told["policies"]] == ["default", "stricter"]
    assert len({policy["policyHash"] for policy in told["policies"]}) == 2
    assert all(policy["failedGates"] for policy in told["policies"])
    assert [group["group"] for group in told["policies"][0]["groups"]][:2] == ["honest", "weak"]


def test_the_table_names_groups_and_confidence() -> None:
    code, out, err = simulate("--population", "unseen")
    assert code == 1
    assert "sleeper" in out
    assert "95 % confidence" in out
    assert "290 validators" in err


def test_a_report_with_plots_is_written(tmp_path: Path) -> None:
    assert simulate("--out", str(tmp_path / "out"))[0] == 1
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["over-time-0.svg", "ratios.svg", "report.md"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--population", "nobody"], "there are designed, unseen"),
        (["--against", "/nowhere/policy.toml"], "/nowhere/policy.toml"),
        (["--study"], "--study goes with --out"),
        (["--clique-ppm", "999999"], "leaves no honest"),
    ],
)
def test_what_is_refused(arguments: list[str], said: str) -> None:
    code, _, err = simulate(*arguments)
    assert (code, said in err) == (2, True), err
