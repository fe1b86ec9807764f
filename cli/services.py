"""``sigma up``: the API, the Dagster UI and the Dagster daemon as child processes, started and stopped together."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from cli.dagster_home import prepare_dagster_home
from sigma_core.config import Settings
from sigma_core.errors import Unavailable

START_SECONDS = 120
INTERRUPT_SECONDS = 15
TERMINATE_SECONDS = 5
POLL_SECONDS = 0.2
HERE = Path(__file__).resolve().parent
# At the top of a checkout; a wheel carries it beside this file.
WORKSPACE = next(file for file in (HERE.parent / "workspace.yaml", HERE / "workspace.yaml") if file.exists())
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Service:
    """One child process; ``health`` is the path that answers 200 when it is up. One without a port has neither. ``audits`` where it may
    ask language models: no other has their keys."""

    name: str
    command: list[str]
    port: int | None = None
    health: str = "/"
    audits: bool = True


@dataclass(frozen=True)
class Running:
    """A started service, leader of a process group of its own, and the file that holds what it printed."""

    service: Service
    process: subprocess.Popen[bytes]
    log: Path


def services(settings: Settings) -> list[Service]:
    """The three processes of an embedded deployment."""
    python = [sys.executable, "-m"]
    host, workspace, quiet = settings.host, str(WORKSPACE), ["--log-level", "warning"]
    api_port, dagster_port = settings.api_port, settings.dagster_port
    return [
        Service(
            "API",
            [*python, "uvicorn", "sigma_api.app:app", "--host", host, "--port", str(api_port), *quiet],
            api_port,
            "/readyz",
            audits=False,
        ),
        Service(
            "Dagster UI",
            [*python, "dagster_webserver", "--host", host, "--port", str(dagster_port), "-w", workspace, *quiet],
            dagster_port,
            "/server_info",
        ),
        Service("Dagster daemon", [*python, "dagster._daemon", "run", "-w", workspace, *quiet]),
    ]


def run_services(settings: Settings, say: Callable[[str], None]) -> None:
    """Run until Ctrl-C or SIGTERM; stop all of them then, or when one ends by itself. Call it in the main thread.

    Raises Unavailable when a port is taken, `sigma up` runs already, or a service does not come up or ends.
    """
    with only_one(settings.home), _stop_request() as stop_requested:
        refuse_taken_ports(settings)
        prepare_dagster_home(settings)
        running: list[Running] = []
        try:
            for service in services(settings):
                running.append(_start(service, settings))
            _await_health(settings, running, stop_requested, say)
            while not stop_requested():
                _refuse_ended(running)
                time.sleep(POLL_SECONDS)
            say("Stopping.")
        finally:
            _stop([each.process for each in running])


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the deployment's lock. Raises Unavailable when another ``sigma up`` of the same home holds it."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (home / "up.lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"{home}: {error.strerror}", hint="check SIGMA_HOME and its permissions") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
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


def refuse_taken_ports(settings: Settings) -> None:
    """Raises Unavailable naming the first port that cannot be listened on, and the variable that moves it."""
    for port, variable in ((settings.api_port, "SIGMA_API_PORT"), (settings.dagster_port, "SIGMA_DAGSTER_PORT")):
        try:
            family, kind, _, _, address = socket.getaddrinfo(settings.host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                # As the servers bind: a port that a stopped server leaves in TIME_WAIT is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Unavailable(
                    f"port {port} on {settings.host} is taken",
                    code="PORT_TAKEN",
                    hint=f"stop what listens there, or choose another with {variable}",
                ) from None
            raise Unavailable(
                f"cannot listen on port {port} of {settings.host}: {error.strerror}",
                hint=f"check SIGMA_HOST and {variable}",
            ) from None


@contextmanager
def _stop_request() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM has come; a second one does not cut the stopping short."""
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(service: Service, settings: Settings) -> Running:
    logs = settings.home / "logs"
    logs.mkdir(exist_ok=True, mode=0o700)
    log = logs / f"{service.name.lower().replace(' ', '-')}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own commands
            service.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(service, settings),
            cwd=HERE.parent,
            # A session of its own: Ctrl-C reaches us alone, and we stop the children.
            start_new_session=True,
            preexec_fn=_end_with_the_parent,  # noqa: PLW1509 - one system call, which takes no lock
        )
    return Running(service, process, log)


def _end_with_the_parent() -> None:
    """In the service's process: should `sigma up` be killed, the kernel asks the service to end. Linux only; elsewhere it would stay."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _environment(service: Service, settings: Settings) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if service.audits or not _is_model_key(name.upper())}
    return {**known, "DAGSTER_HOME": str(settings.dagster_home), "SIGMA_HOME": str(settings.home)}


def _is_model_key(name: str) -> bool:
    return name.startswith("SIGMA_") and name.endswith("_API_KEY")


def _await_health(
    settings: Settings, running: list[Running], stop_requested: Callable[[], bool], say: Callable[[str], None]
) -> None:
    deadline = time.monotonic() + START_SECONDS
    waiting = list(running)
    while waiting and not stop_requested():
        _refuse_ended(running)
        for each in list(waiting):
            service = each.service
            if service.port is None:
                waiting.remove(each)
                say(f"  {service.name} started")
            elif _healthy(settings.host, service.port, service.health):
                waiting.remove(each)
                say(f"  {service.name} ready at http://{settings.host}:{service.port}")
        if time.monotonic() > deadline:
            names = ", ".join(each.service.name for each in waiting)
            raise Unavailable(f"{names}: not up after {START_SECONDS} s", hint=f"see {waiting[0].log}")
        time.sleep(POLL_SECONDS)
    if not stop_requested():
        say("SIGMA is up. Ctrl-C stops it.")


def _healthy(host: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _refuse_ended(running: list[Running]) -> None:
    for each in running:
        code = each.process.poll()
        if code is not None:
            raise Unavailable(f"{each.service.name} ended by itself (exit code {code})", hint=f"see {each.log}")


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Interrupt each group, wait, ask harder, and at last kill whatever is left of it: no orphan keeps a port."""
    for number, seconds in ((signal.SIGINT, INTERRUPT_SECONDS), (signal.SIGTERM, TERMINATE_SECONDS)):
        for process in processes:
            if process.poll() is None:
                _signal_group(process, number)
        deadline = time.monotonic() + seconds
        while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS / 4)
    for process in processes:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
