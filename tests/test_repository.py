"""Rules of the repository itself: what is pinned, what imports what, and that its documents say what is there."""

from __future__ import annotations

import ast
import fnmatch
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from sigma_core.config import Settings

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("sigma_core", "sigma_pipelines", "sigma_api", "cli", "dbt_like_sql")
REQUIREMENT_FILES = sorted((ROOT / "requirements").iterdir())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@cache
def repository_files() -> tuple[Path, ...]:
    """Every file that git would take. Read without git, which a machine that only has the files may not have."""
    patterns = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split() if line] + [".git"]
    assert not [pattern for pattern in patterns if "/" in pattern or "!" in pattern], "only plain names are read here"

    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns):
                continue
            if path.is_dir() and not path.is_symlink():
                yield from walk(path)
            else:
                yield path

    return tuple(walk(ROOT))


def files(*suffixes: str, under: str = "") -> list[Path]:
    return [path for path in repository_files() if path.suffix in suffixes and (ROOT / under) in (path, *path.parents)]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# Requirements


def pins(file: Path) -> dict[str, str]:
    """Name to pin, marker and hashes; the file writes each over several lines that end in a backslash."""
    lines = file.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    stripped = [line.partition("#")[0].strip() for line in lines]
    return {re.split(r"[=\[ ;<>]", line)[0]: line for line in stripped if line}


def normal(requirement: str) -> str:
    """The distribution's name, as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[=\[ ;<>]", requirement)[0]).lower()


@pytest.mark.parametrize("file", REQUIREMENT_FILES, ids=name)
def test_requirement_files_name_no_host(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"(?m)^\s*(-i|-f|--(?:extra-)?index-url|--find-links|--trusted-host)\b", text)
    assert not re.search(r"(?m)^[^#\n]*\s@\s", text)  # a direct reference


@pytest.mark.parametrize("file", [file for file in REQUIREMENT_FILES if file.suffix == ".txt"], ids=name)
def test_every_requirement_is_pinned_to_a_version_and_to_hashes(file: Path) -> None:
    requirements = pins(file)
    assert len(requirements) > 20
    for requirement in requirements.values():
        pin, *hashes = requirement.split("--hash=")
        assert re.match(r"^[A-Za-z0-9._-]+(\[[a-z,-]+\])?==\S+", pin), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each.strip()) for each in hashes), requirement


def test_the_test_requirements_hold_the_runtime_ones() -> None:
    """The launcher runs SIGMA in either environment."""
    runtime, test = (
        {key: pin.split()[0] for key, pin in pins(ROOT / "requirements" / f"{kind}.txt").items()}
        for kind in ("runtime", "test")
    )
    assert {key: test.get(key) for key in runtime} == runtime


def test_whatever_the_project_asks_for_is_pinned() -> None:
    pinned = {
        kind: {normal(key) for key in pins(ROOT / "requirements" / f"{kind}.txt")} for kind in ("runtime", "test")
    }
    extras = PROJECT["project"]["optional-dependencies"]
    assert {normal(each) for each in PROJECT["project"]["dependencies"] + extras["postgres"]} <= pinned["runtime"]
    assert {normal(each) for each in extras["test"]} <= pinned["test"]


# Code


def test_imports_run_one_way() -> None:
    """The contracts in pyproject.toml."""
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_facts_and_verdicts_are_made_without_reaching_out() -> None:
    """Import contracts know packages, not their modules: `urllib.parse` is fine where `urllib.request` is not."""
    for path in files(".py", under="sigma_core/sandbox") + files(".py", under="sigma_core/audit"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not {"urllib.request", "http.client", "socket", "subprocess"} & set(names), name(path)


def test_every_package_says_in_its_docstring_what_it_is() -> None:
    folders = {path.parent for package in PACKAGES for path in files(".py", under=package)}
    assert {ROOT / package for package in PACKAGES} <= folders
    for folder in sorted(folders):
        if "migrations" in folder.parts and folder.name != "migrations":
            continue  # alembic runs these by their path; they are no packages
        docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
        assert docstring, name(folder)


def test_no_module_is_named_after_nothing_in_particular() -> None:
    nothing = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "base"}
    assert [name(path) for path in files(".py") if path.stem in nothing] == []


def test_the_launcher_and_ci_can_be_run() -> None:
    for path in (ROOT / "sigma", ROOT / ".ci" / "run"):
        assert os.access(path, os.X_OK), path


# Text and data

ATTACKS = ("tests/", "examples/malicious/", "sigma_core/sandbox/rules/", "docs/rules.md", "sigma_core/audit/families/")


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    everywhere = re.compile(r"(?<![\w.~-])/work/\w")
    homes = re.compile(r"(?<![\w.~-])/(?:root|home/\w+|Users/\w+)/")  # which samples of attacks do name
    for path in repository_files():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found = everywhere.search(text) or (homes.search(text) if not name(path).startswith(ATTACKS) else None)
        assert not found, f"{name(path)}: {found}"


def test_data_files_can_be_read() -> None:
    readers: dict[str, Any] = {
        ".toml": tomllib.loads,
        ".json": json.loads,
        ".yaml": yaml.safe_load,
        ".yml": yaml.safe_load,
    }
    read = []
    for path in files(*readers):
        assert readers[path.suffix](path.read_text(encoding="utf-8")) is not None, name(path)
        read.append(name(path))
    assert {"pyproject.toml", "workspace.yaml", "sigma_core/policy.toml"} <= set(read)


def test_sql_models_can_be_parsed() -> None:
    import duckdb
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    models = files(".sql", under="dbt_like_sql")
    assert models
    for path in models:
        for increment in (False, True):
            sql = environment.from_string(path.read_text(encoding="utf-8")).render(
                ref=lambda model: f'"{model}"',
                source=lambda _, table: f'"{table}"',
                config=lambda **_: "",
                is_incremental=lambda increment=increment: increment,
                this='"this"',
            )
            assert len(duckdb.extract_statements(sql)) == 1, name(path)


# README

README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"(?ms)^```sh\n(.*?)^```", README) + re.findall(r"(?<!`)`([^`\n]+)`(?!`)", README)


def cli_commands() -> dict[str, set[str]]:
    """Each command of ``sigma`` and its options."""
    import typer.main

    from cli.main import app

    group = typer.main.get_command(app)
    return {
        command: {option for parameter in inner.params for option in parameter.opts}
        for command, inner in group.commands.items()  # type: ignore[attr-defined]
    }


def test_readme_names_only_commands_that_exist_and_all_of_them() -> None:
    launcher = set(re.findall(r"(?m)^(\w+)\)$", (ROOT / "sigma").read_text(encoding="utf-8")))
    named = {command for code in CODE for command in re.findall(r"(?m)^(?:\./)?sigma ([a-z][\w-]*)", code)}
    assert launcher == {"test", "bench"}
    assert named == set(cli_commands()) | launcher


def test_readme_names_only_options_that_exist() -> None:
    commands = cli_commands()
    for row in re.findall(r"(?m)^\| `sigma ([a-z-]+)[^`]*` \|(.*)\|$", README):
        assert set(re.findall(r"`(--[\w-]+)", row[1])) <= commands[row[0]], row


def test_readme_names_only_settings_that_exist() -> None:
    settings = {f"SIGMA_{field.upper()}" for field in Settings.model_fields}
    launcher = set(re.findall(r"SIGMA_[A-Z_]+", (ROOT / "sigma").read_text(encoding="utf-8")))
    assert set(re.findall(r"SIGMA_[A-Z_]+", README)) <= settings | launcher


def test_readme_names_only_files_that_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README)
    folders = re.findall(r"(?m)^\| `([\w/]+)` \|", README)
    examples = re.findall(r"\bexamples/[\w/-]+", README)
    assert links
    assert folders
    assert examples
    for path in links + folders + examples:
        assert (ROOT / path).exists(), path


# Benchmarks


def test_every_benchmark_says_what_it_measures_and_an_unknown_one_is_refused() -> None:
    bench = [sys.executable, "-m", "tests.bench"]
    ran = subprocess.run([*bench, "nosuch"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stdout == ""
    head, *lines = ran.stderr.splitlines()
    assert head == "There is no benchmark nosuch. There are:"
    listed = dict(line.split(maxsplit=1) for line in lines)
    assert {name for name, purpose in listed.items() if purpose} == set(listed)
    assert set(listed) <= {path.stem for path in files(".py", under="tests/bench")}
    assert {"sandbox", "families", "assembly", "standing", "certificates", "audit"} <= set(listed)
