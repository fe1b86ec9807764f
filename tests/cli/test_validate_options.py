"""`sigma validate` over one package: suppressions, exports, and evidence from others."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import HONEST, HOSTILE, Said


def accepting(said: Said, expires: str = "2999-01-01") -> str:
    """A suppressions file for every finding of a report."""
    rules = sorted({finding["ruleId"] for finding in said.json["findings"]})
    tree = said.json["treeHash"]
    return "".join(
        f'[[suppression]]\nrule = "{rule}"\ntree_hash = "{tree}"\nreason = "A test."\nowner = "me"\nexpires = {expires}\n'
        for rule in rules
    )


@pytest.fixture
def accepted(tmp_path: Path, sigma: Callable[..., Said]) -> Path:
    file = tmp_path / "accepted.toml"
    file.write_text(accepting(sigma("validate", HOSTILE, "--json")), encoding="utf-8")
    return file


def test_suppressions_lift_the_decision_and_are_shown_and_hashed(accepted: Path, sigma: Callable[..., Said]) -> None:
    plain, said = sigma("validate", HOSTILE, "--json"), sigma("validate", HOSTILE, "--suppressions", accepted, "--json")
    assert (plain.exit_code, plain.json["suppressions"]) == (1, None)
    assert (said.exit_code, said.json["decision"]) == (0, "allow")
    told = said.json["suppressions"]
    assert told["decisionWithout"] == "block"
    assert told["sha256"] == hashlib.sha256(accepted.read_bytes()).hexdigest()
    assert {item["ruleId"] for item in told["suppressed"]} >= {finding["ruleId"] for finding in plain.json["findings"]}
    assert said.json["factsSha256"] == plain.json["factsSha256"]
    person = sigma("validate", HOSTILE, "--suppressions", accepted).stdout
    assert "Without suppressions: block." in person
    assert "until 2999-01-01, me: A test." in person


def test_the_deployments_own_file_is_the_default(
    accepted: Path, sigma: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMA_SUPPRESSIONS", str(accepted))
    assert sigma("validate", HOSTILE).exit_code == 0
    [record] = [
        json.loads(line)
        for line in sigma("validate", "--each", HOSTILE.parent, "--jsonl").stdout.splitlines()
        if json.loads(line)["path"].endswith(HOSTILE.name)
    ]
    assert (record["decision"], record["decisionWithoutSuppressions"]) == ("allow", "block")
    assert record["suppressedRuleIds"]
    assert not set(record["ruleIds"]) & set(record["suppressedRuleIds"])


def test_expired_suppressions_do_not_apply_and_are_told(tmp_path: Path, sigma: Callable[..., Said]) -> None:
    file = tmp_path / "accepted.toml"
    file.write_text(accepting(sigma("validate", HOSTILE, "--json"), expires="2020-01-01"), encoding="utf-8")
    said = sigma("validate", HOSTILE, "--suppressions", file)
    assert said.exit_code == 1
    assert "expired on 2020-01-01: it no longer applies" in said.stdout


@pytest.mark.parametrize("each", [False, True])
def test_a_file_inside_the_package_is_not_read(tmp_path: Path, sigma: Callable[..., Said], each: bool) -> None:
    package = tmp_path / "packages" / "package"
    shutil.copytree(HOSTILE, package)
    inside = package / "accepted.toml"
    inside.write_text("", encoding="utf-8")
    where = ["--each", package.parent] if each else [package]
    said = sigma("validate", *where, "--suppressions", inside)
    assert (said.exit_code, said.stdout) == (2, "")
    assert "stands inside the package" in said.stderr


def test_a_broken_file_is_refused_before_anything_is_read(tmp_path: Path, sigma: Callable[..., Said]) -> None:
    file = tmp_path / "accepted.toml"
    file.write_text('[[suppression]]\nrule = "X"\n', encoding="utf-8")
    said = sigma("validate", HONEST, "--suppressions", file)
    assert said.exit_code == 2
    assert "entry 1: reason is missing" in said.stderr
    assert sigma("validate", HONEST, "--suppressions", tmp_path / "nowhere.toml").exit_code == 3


def test_exports_are_written_and_agree(tmp_path: Path, sigma: Callable[..., Said]) -> None:
    facts, sarif, sbom = (tmp_path / name for name in ("facts.json", "facts.sarif", "bom.json"))
    said = sigma("validate", HOSTILE, "--facts", facts, "--sarif", sarif, "--sbom", sbom, "--json")
    assert hashlib.sha256(facts.read_bytes()).hexdigest() == said.json["factsSha256"]
    run = json.loads(sarif.read_text(encoding="utf-8"))["runs"][0]
    assert run["properties"]["factsSha256"] == said.json["factsSha256"]
    bom = json.loads(sbom.read_text(encoding="utf-8"))
    assert {"name": "sigma:treeHash", "value": said.json["treeHash"]} in bom["metadata"]["component"]["properties"]


def test_evidence_from_others_is_shown_and_changes_nothing(tmp_path: Path, sigma: Callable[..., Said]) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "all.yar").write_text('rule everything { meta: severity = "critical" condition: true }', encoding="utf-8")
    (pack / "README.md").write_text("not a rule", encoding="utf-8")
    result: dict[str, Any] = {"ruleId": "R1", "level": "error", "message": {"text": "Bad."}}
    document = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "other"}}, "results": [result]}]}
    log = tmp_path / "other.sarif"
    log.write_text(json.dumps(document), encoding="utf-8")
    plain = sigma("validate", HONEST, "--json").json
    said = sigma("validate", HONEST, "--yara", pack, "--import-sarif", log, "--json")
    assert said.exit_code == 0
    yara, sarif = said.json["evidence"]
    assert yara["source"].startswith("yara:")
    assert {finding["ruleId"] for finding in yara["findings"]} == {"all.yar:everything"}
    assert (sarif["tool"], len(sarif["findings"])) == ("other", 1)
    assert {**said.json, "evidence": []} == plain
    person = sigma("validate", HONEST, "--yara", pack / "all.yar", "--import-sarif", log).stdout
    assert "Evidence from others (it changes no decision)" in person


def test_a_package_over_the_limits_is_told_of_the_other_limits(tmp_path: Path, sigma: Callable[..., Said]) -> None:
    package = tmp_path / "large"
    shutil.copytree(HONEST, package)
    (package / "large.txt").write_bytes(b"a line\n" * 50_000)
    refused = sigma("validate", package)
    assert (refused.exit_code, "--limits open" in refused.stderr) == (1, True)
    assert sigma("validate", package, "--limits", "open").exit_code == 0
