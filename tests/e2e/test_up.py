"""``sigma up`` with its real processes: a submitted package is audited by the daemon, and its certificate verifies over HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120
AUDIT_SECONDS = 90
STOP_SECONDS = 40


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def processes_of(home: Path) -> list[int]:
    """Ids of living processes with this SIGMA_HOME in their environment."""
    wanted = f"SIGMA_HOME={home}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def await_(what: Callable[[], Any], seconds: int) -> Any:
    """What ``what`` returns as soon as that is true; None when it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := what():
            return value
        time.sleep(0.2)
    return None


@pytest.mark.e2e
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for left processes in /proc")
def test_a_submitted_package_is_audited_by_the_daemon_and_all_processes_stop_on_ctrl_c(home: Path) -> None:
    api_port, dagster_port = free_ports(2)
    environment = {
        **os.environ,
        "SIGMA_HOME": str(home),
        "SIGMA_API_PORT": str(api_port),
        "SIGMA_DAGSTER_PORT": str(dagster_port),
    }

    def sigma(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            check=False,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def get(port: int, path: str) -> tuple[int, bytes]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read()

    home.mkdir()
    said = home / "said.txt"
    with said.open("wb") as output:
        up = subprocess.Popen(
            [sys.executable, "-m", "cli", "up"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        assert await_(lambda: "SIGMA is up." in said.read_text() or up.poll() is not None, START_SECONDS)
        assert up.poll() is None, said.read_text()
        assert f"http://127.0.0.1:{api_port}" in said.read_text()
        assert get(api_port, "/readyz")[0] == 200
        assert get(dagster_port, "/server_info")[0] == 200

        second = sigma("up")
        assert second.returncode == 3
        assert f"already runs for {home} (process {up.pid})" in second.stderr

        submitted = sigma("submit", "examples/changelog-writer", "--json")
        assert submitted.returncode == 0, submitted.stderr
        submission_id = json.loads(submitted.stdout)["submissionId"]

        def certificate_id() -> str | None:
            [*rounds] = json.loads(sigma("status", submission_id, "--json").stdout)["rounds"]
            return rounds[0]["certificateId"] if rounds else None

        certificate = await_(certificate_id, AUDIT_SECONDS)
        assert certificate, sigma("status", submission_id).stdout
        status, body = get(api_port, f"/api/v1/public/certificates/{certificate}/verify")
        assert (status, json.loads(body)["valid"]) == (200, True)

        assert len(processes_of(home)) >= 4  # `sigma up` and its three services
        up.send_signal(signal.SIGINT)
        assert up.wait(STOP_SECONDS) == 0
        assert said.read_text().endswith("Stopping.\n")
        assert await_(lambda: not processes_of(home), 10), processes_of(home)
    finally:
        if up.poll() is None:
            up.send_signal(signal.SIGTERM)
            up.wait(STOP_SECONDS)
