"""The analyst's desk on a real deployment: notebooks that run through as scripts, and `sigma query`."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from audit_world import World
from typer.testing import CliRunner

from cli.main import app
from sigma_core.lifecycle.booking import book_known_truths
from sigma_core.lifecycle.lake import LAKE_TABLES, write_table
from sigma_core.lifecycle.standing import publish_weights, write_weights_table

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.py"))


@pytest.fixture(scope="module")
def home(world: World) -> Path:
    """The home of a deployment with two decided rounds and its marts."""
    from sigma_pipelines.defs.models.assets import PROJECT

    for example in ("changelog-writer", "malicious/workspace-cleaner"):
        assert world.audit(world.submit(example=example)).success
    # What the job `standing` does, without its hundred checks, which its own tests run.
    book_known_truths(world.deployment)
    publish_weights(world.deployment)
    write_weights_table(world.deployment)
    for table in LAKE_TABLES:
        write_table(world.deployment, table)
    simulated = {"stg_simulated_shares", "stg_simulated_runs", "policy_comparison"}
    PROJECT.build(world.deployment.settings.lake, select=PROJECT.models.keys() - simulated)
    return world.deployment.settings.home


def sigma(home: Path, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments), env={"SIGMA_HOME": str(home)})
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.filterwarnings("ignore")  # of marimo's own dependencies
def test_every_notebook_runs_through_on_what_the_marts_say(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMA_HOME", str(home))
    results: dict[str, dict[str, Any]] = {}
    for notebook in NOTEBOOKS:
        _, results[notebook.stem] = runpy.run_path(str(notebook))["app"].run()
    assert set(results) == {"policy_what_if", "replay_of_a_round", "standing"}
    standing = results["standing"]
    assert standing["standing"].height == standing["fairness"].height + 220
    assert set(standing["over_time"]["epoch"]) == {1, 2}
    assert standing["paid"].height >= 10
    replayed = results["replay_of_a_round"]
    assert replayed["rounds"].height == 2
    assert replayed["replayed"].differences == ()
    assert replayed["seats"].height >= 10
    what_if = results["policy_what_if"]
    assert what_if["what_if"].height == standing["standing"].height
    published = dict(standing["standing"].select("validator_id", "accuracy").iter_rows())
    for row in what_if["what_if"].iter_rows(named=True):
        assert row["accuracy_ppm"] == round(published[row["validator_id"]] * 1_000_000)
    assert set(what_if["shares"]["policy"]) == {"as it is", "changed"}


def test_a_notebook_is_a_script(home: Path) -> None:
    ran = subprocess.run(
        [sys.executable, NOTEBOOKS[-1]],
        env={**os.environ, "SIGMA_HOME": str(home), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


class TestQuery:
    def test_rows_as_a_table_and_as_json(self, home: Path) -> None:
        sql = "SELECT outcome, count(*) AS rounds FROM round_outcomes GROUP BY outcome ORDER BY outcome"
        code, out, _ = sigma(home, "query", sql)
        assert code == 0
        assert "APPROVED" in out
        code, out, _ = sigma(home, "query", sql, "--json")
        told = json.loads(out)
        assert (code, told["columns"], told["cut"]) == (0, ["outcome", "rounds"], False)
        assert ["APPROVED", 1] in told["rows"]

    def test_values_that_json_has_no_word_for(self, home: Path) -> None:
        sql = (
            "SELECT 12345678901234567890123456789012345678::HUGEINT AS huge, 'nan'::DOUBLE AS nan, "
            "TIMESTAMPTZ '2026-11-21 03:52:00+00' AS at, DATE '2026-11-21' AS day, 1.50 AS price"
        )
        _, out, _ = sigma(home, "query", sql, "--json")
        assert json.loads(out)["rows"] == [
            [12345678901234567890123456789012345678, "nan", "2026-11-21T03:52:00.000Z", "2026-11-21", "1.50"]
        ]

    def test_exports_hold_the_same_rows(self, home: Path, tmp_path: Path) -> None:
        files = [
            f"--csv={tmp_path / 'a.csv'}",
            f"--parquet={tmp_path / 'a.parquet'}",
            f"--arrow={tmp_path / 'a.arrow'}",
        ]
        assert sigma(home, "query", "SELECT * FROM payouts_by_round ORDER BY round_id", *files)[0] == 0
        parquet, arrow = pl.read_parquet(tmp_path / "a.parquet"), pl.read_ipc(tmp_path / "a.arrow")
        assert parquet.equals(arrow)
        assert pl.read_csv(tmp_path / "a.csv", try_parse_dates=True).equals(parquet)
        assert set(parquet["imbalance_micro_usd"]) == {0}

    def test_without_a_query_the_tables_are_listed(self, home: Path) -> None:
        code, out, _ = sigma(home, "query", "--json")
        assert code == 0
        assert {"standing_over_time", "payouts_by_round", "usage_by_day"} <= {row["table"] for row in json.loads(out)}

    def test_a_limit_is_said(self, home: Path) -> None:
        code, out, err = sigma(home, "query", "SELECT validator_id FROM stg_validators", "--limit", "2")
        assert (code, out.count("val_"), "there are more" in err) == (0, 2, True)

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["SELECT 1; DROP VIEW x"], 2, "one SELECT statement"),
            (["FROM read_text('/etc/passwd')"], 2, "disabled"),
            (["SELECT 1", "--file", "x.sql"], 2, "either a query or --file"),
            (["SELECT 1", "--csv", "/nowhere/x.csv"], 2, "folder that does not exist"),
            (
                ["SELECT count(*) FROM range(10000000000) a, range(1000000000) b", "--seconds", "0.2"],
                1,
                "more than 0.2 s",
            ),
        ],
    )
    def test_what_is_refused(self, home: Path, arguments: list[str], code: int, said: str) -> None:
        result = sigma(home, "query", *arguments)
        assert (result[0], said in result[2]) == (code, True), result

    def test_a_deployment_without_marts_says_so(self, tmp_path: Path) -> None:
        code, _, err = sigma(tmp_path, "query", "SELECT 1")
        assert (code, "no model is built" in err) == (3, True)
