"""The whole verify path with the network off: nothing is asked of anybody, not even a name looked up or a socket made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import HONEST, Audited, Said

from sigma_core.certificates.log.checkpoint import Checkpoint
from sigma_core.certificates.signing_key import load_or_create_signing_key

pytestmark = pytest.mark.usefixtures("audited_home")

ROOT = Path(__file__).resolve().parents[2]

# Python tells its audit hooks of every socket before it is made; no code that runs later can take a hook away.
NO_SOCKETS = """
import os, sys
def refuse(event, arguments):
    if event.startswith("socket."):
        os._exit(9)
sys.addaudithook(refuse)
from cli.main import run
run()
"""


@pytest.fixture
def commands(honest: Audited, audited_home: Path, tmp_path: Path) -> dict[str, list[str]]:
    """Every way to verify that needs no network, with the bundle, pinned keys and the log's files carried elsewhere."""
    home, carried = audited_home / "home", tmp_path / "carried"
    carried.mkdir()
    bundle, keys = (
        shutil.copy(honest.out, carried / "a.sigma.json"),
        shutil.copy(home / "keys" / "trusted-keys.json", carried),
    )
    log = shutil.copytree(home / "transparency-log", carried / "log")
    skill = shutil.copytree(HONEST, tmp_path / "installed" / HONEST.name)
    pinned = ["--keys", str(keys), "--json"]
    return {
        "bundle": ["verify", str(bundle), *pinned],
        "bundle and package": ["verify", str(bundle), "--package", str(skill), *pinned],
        "bundle, checkpoint and log": [
            "verify",
            str(bundle),
            "--checkpoint",
            str(log / "checkpoint"),
            "--log",
            str(log),
            *pinned,
        ],
        "installed folder": ["verify", str(skill), "--bundles", str(carried), *pinned],
        "all installed": ["scan-installed", str(skill.parent), "--bundles", str(carried), *pinned],
    }


def test_no_way_to_verify_makes_a_socket(commands: dict[str, list[str]], tmp_path: Path) -> None:
    for name, command in commands.items():
        ran = run([sys.executable, "-c", NO_SOCKETS, *command], tmp_path)
        assert ran.returncode == 0, (name, ran.stdout, ran.stderr)
        assert json.loads(ran.stdout)
    online = [*commands["bundle"], "--online"]
    assert run([sys.executable, "-c", NO_SOCKETS, *online], tmp_path).returncode == 9  # the hook does see them


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "--map-root-user", "--net", "true"], check=False, capture_output=True).returncode
    != 0,
    reason="needs a kernel that lets users make a network namespace",
)
def test_every_way_to_verify_holds_on_a_machine_without_a_network(
    commands: dict[str, list[str]], tmp_path: Path
) -> None:
    for name, command in commands.items():
        ran = run(["unshare", "--map-root-user", "--net", sys.executable, "-m", "cli", *command], tmp_path)
        assert ran.returncode == 0, (name, ran.stdout, ran.stderr)


def test_a_checkpoint_of_another_size_needs_the_logs_files(
    honest: Audited, audited_home: Path, tmp_path: Path, sigma: Callable[..., Said]
) -> None:
    home, seen = audited_home / "home", tmp_path / "seen"
    origin = (home / "transparency-log" / "checkpoint").read_text(encoding="utf-8").partition("\n")[0]
    key = load_or_create_signing_key(home / "keys" / "log.pem")
    seen.write_bytes(Checkpoint(origin, 1_000, bytes(32)).sign(key))
    said = sigma("verify", honest.out, "--checkpoint", seen, "--json")
    assert (said.exit_code, said.json["log"]["uncompared"]) == (0, [1_000])
    said = sigma("verify", honest.out, "--checkpoint", seen, "--log", home / "transparency-log", "--json")
    assert (said.exit_code, said.error["code"]) == (1, "CHECKPOINT_INVALID")
    assert "before 1000" in said.error["found"]


def run(command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    environment = {"SIGMA_HOME": str(home / "nowhere"), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
