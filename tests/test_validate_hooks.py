"""The composite action and the pre-commit hook run `sigma validate`, and what they are given reaches it as data."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
ACTION = ROOT / ".github" / "actions" / "validate" / "action.yml"


def action() -> dict[str, Any]:
    return dict(yaml.safe_load(ACTION.read_text(encoding="utf-8")))


def test_the_action_has_the_shape_of_a_composite_action() -> None:
    document = action()
    assert {"name", "description", "inputs", "runs"} <= set(document)
    assert document["runs"]["using"] == "composite"
    for given in document["inputs"].values():
        assert set(given) == {"description", "required", "default"}
        assert isinstance(given["default"], str)
    for step in document["runs"]["steps"]:
        assert {"name", "shell", "run"} <= set(step)
        assert "uses" not in step  # nobody else's code runs in it


def test_no_input_is_written_into_the_script() -> None:
    [step] = action()["runs"]["steps"]
    assert "${{" not in step["run"]
    used = set(re.findall(r"inputs\.(\w+)", " ".join(step["env"].values())))
    assert used == set(action()["inputs"])


@pytest.mark.parametrize(
    ("inputs", "arguments"),
    [
        ({}, ["validate", "--limits", "policy", "--", "."]),
        (
            {"path": "$(id); -x", "sarif": "a b.sarif"},
            ["validate", "--limits", "policy", "--sarif", "a b.sarif", "--", "$(id); -x"],
        ),
        (
            {"path": "skills", "each": "true", "limits": "open", "suppressions": "ok.toml"},
            ["validate", "--limits", "open", "--suppressions", "ok.toml", "--each", "skills"],
        ),
    ],
)
def test_the_action_calls_the_launcher_with_its_inputs(
    tmp_path: Path, inputs: dict[str, str], arguments: list[str]
) -> None:
    # A launcher that tells its arguments stands where the real one would make an environment.
    (tmp_path / "sigma").write_text('#!/bin/sh\nfor each in "$@"; do printf "%s\\n" "$each"; done\n', encoding="utf-8")
    (tmp_path / "sigma").chmod(0o755)
    folder = tmp_path / ACTION.parent.relative_to(ROOT)
    folder.mkdir(parents=True)
    [step] = action()["runs"]["steps"]
    given = {name: each["default"] for name, each in action()["inputs"].items()} | inputs
    environment = {
        name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda match: given[match[1]], value)
        for name, value in step["env"].items()
    }
    ran = subprocess.run(
        ["sh", "-c", step["run"]],
        env={
            "PATH": os.environ["PATH"],
            "GITHUB_ACTION_PATH": str(folder),
            "RUNNER_TEMP": str(tmp_path),
            **environment,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines() == arguments


def test_the_hook_is_the_launcher_and_names_the_whole_repository() -> None:
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert {"id", "name", "description", "entry", "language"} <= set(hook)
    launcher, *arguments = shlex.split(hook["entry"])
    assert os.access(ROOT / launcher, os.X_OK)
    assert (hook["language"], arguments, hook["args"], hook["pass_filenames"]) == ("script", ["validate"], ["."], False)
