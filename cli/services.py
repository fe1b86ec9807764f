"""``sigma up``: the API, the Dagster UI and the Dagster daemon as child processes, started and stopped together."""

from __future__ import annotations

import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from cli.dagster_home import prepare_dagster_home
from sigma_core.config import Settings
from sigma_core.errors import Unavailable

START_SECONDS = 120
STOP_SECONDS = 15
WORKSPACE = Path(__file__).resolve().parent.parent / "workspace.yaml"


@dataclass(frozen=True)
class Service:
    """One child process; ``health`` is the path that answers 200 when it is up, or None for one without a port."""

    name: str
    command: list[str]
    port: int | None
    health: str | None


def services(settings: Settings) -> list[Service]:
    """The three processes of an embedded deployment."""
    python = sys.executable
    host, workspace = settings.host, str(WORKSPACE)
    return [
        Service(
            "API",
            [python, "-m", "uvicorn", "sigma_api.app:app", "--host", host, "--port", str(settings.api_port), "--log-level", "warning"],
            settings.api_port,
            "/readyz",
        ),
        Service(
            "Dagster UI",
            [python, "-m", "dagster_webserver", "--host", host, "--port", str(settings.dagster_port), "-w", workspace, "--log-level", "warning"],
            settings.dagster_port,
            "/server_info",
        ),
        Service("Dagster daemon", [python, "-m", "dagster._daemon", "run", "-w", workspace, "--log-level", "warning"], None, None),
    ]


def refuse_taken_ports(settings: Settings) -> None:
    """Raises Unavailable naming the first port that another process listens on, and the variable that moves it."""
    for port, variable in ((settings.api_port, "SIGMA_API_PORT"), (settings.dagster_port, "SIGMA_DAGSTER_PORT")):
        with socket.socket() as probe:
            # As the servers bind: a port that a stopped server leaves in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, port))
            except OSError as error:
                raise Unavailable(
                    f"port {port} on {settings.host} is taken: {error.strerror}",
                    code="PORT_TAKEN",
                    hint=f"stop what listens there, or choose another with {variable}",
                ) from None


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the deployment's lock. Raises Unavailable when another ``sigma up`` of the same home holds it."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "up.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise Unavailable(
                f"sigma up already runs for {home} (process {lock.read().strip() or 'unknown'})",
                code="ALREADY_UP",
                hint="stop it with Ctrl-C first, or use another SIGMA_HOME",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _healthy(host: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def run_services(settings: Settings, say: Callable[[str], None]) -> None:
    """Run until Ctrl-C or SIGTERM; stop all three then, or when one of them ends by itself.

    Raises Unavailable when a port is taken, one is running already, or a service does not come up.
    """
    with only_one(settings.home):
        refuse_taken_ports(settings)
        prepare_dagster_home(settings)
        environment = {**os.environ, "DAGSTER_HOME": str(settings.dagster_home), "SIGMA_HOME": str(settings.home)}
        logs = settings.home / "logs"
        logs.mkdir(exist_ok=True, mode=0o700)
        running: list[tuple[Service, subprocess.Popen[bytes]]] = []
        stopping = _StopFlag()
        try:
            for service in services(settings):
                with (logs / f"{service.name.lower().replace(' ', '-')}.log").open("ab") as log:
                    # A session of its own: Ctrl-C reaches us alone, and we stop the children in order.
                    process = subprocess.Popen(
                        service.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                        cwd=WORKSPACE.parent, start_new_session=True,
                    )
                running.append((service, process))
            _await_health(settings, running, stopping, logs, say)
            while not stopping.requested:
                _refuse_ended(running, logs)
                time.sleep(0.3)
            say("Stopping.")
        finally:
            _stop([process for _, process in running])


class _StopFlag:
    """Set by SIGINT or SIGTERM."""

    def __init__(self) -> None:
        self.requested = False
        signal.signal(signal.SIGINT, self._request)
        signal.signal(signal.SIGTERM, self._request)

    def _request(self, _signal: int, _frame: FrameType | None) -> None:
        self.requested = True


def _await_health(
    settings: Settings,
    running: list[tuple[Service, subprocess.Popen[bytes]]],
    stopping: _StopFlag,
    logs: Path,
    say: Callable[[str], None],
) -> None:
    deadline = time.monotonic() + START_SECONDS
    waiting = [service for service, _ in running]
    while waiting and not stopping.requested:
        _refuse_ended(running, logs)
        for service in list(waiting):
            if service.port is None or service.health is None:
                waiting.remove(service)
                say(f"  {service.name} started")
            elif _healthy(settings.host, service.port, service.health):
                waiting.remove(service)
                say(f"  {service.name} ready at http://{settings.host}:{service.port}")
        if time.monotonic() > deadline:
            names = ", ".join(service.name for service in waiting)
            raise Unavailable(f"{names}: not up after {START_SECONDS} s", hint=f"see {logs}")
        time.sleep(0.2)
    if not stopping.requested:
        say("SIGMA is up. Ctrl-C stops it.")


def _refuse_ended(running: list[tuple[Service, subprocess.Popen[bytes]]], logs: Path) -> None:
    for service, process in running:
        code = process.poll()
        if code is not None:
            log = logs / f"{service.name.lower().replace(' ', '-')}.log"
            raise Unavailable(f"{service.name} ended by itself (exit code {code})", hint=f"see {log}")


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Interrupt each child's group, wait, then kill what is left: no orphan keeps a port."""
    for signal_number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        for process in processes:
            if process.poll() is None or signal_number == signal.SIGKILL:
                try:
                    os.killpg(process.pid, signal_number)
                except ProcessLookupError:
                    continue
        deadline = time.monotonic() + seconds
        while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
            time.sleep(0.1)
        if all(process.poll() is not None for process in processes):
            continue
