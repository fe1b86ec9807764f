"""``sigma up``: its services start and stop together, and it says what stands in its way."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import cli.services
from cli.dagster_home import prepare_dagster_home
from cli.services import Service, only_one, refuse_taken_ports, run_services, services
from sigma_core.config import Settings, load_settings
from sigma_core.errors import ExitCode, Unavailable

# Small services that behave as the real ones do. Each locks a file as long as it lives.
ALIVE = "import fcntl, sys; lock = open(sys.argv[1], 'a'); fcntl.flock(lock, fcntl.LOCK_EX); "
SLEEPS = ALIVE + "import time; time.sleep(600)"
ENDS_AFTER_THE_API_STARTED = ALIVE + (
    "import pathlib, time\n"
    "while not pathlib.Path(sys.argv[1]).with_name('api').exists(): time.sleep(0.02)\n"
    "print('no such table'); sys.exit(7)"
)
ANSWERS = ALIVE + (
    "from http.server import BaseHTTPRequestHandler, HTTPServer\n"
    "class Handler(BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200 if self.path == '/readyz' else 404); self.end_headers()\n"
    "try: HTTPServer(('127.0.0.1', int(sys.argv[2])), Handler).serve_forever()\n"
    "except KeyboardInterrupt: pass\n"
)
# Ignores what can be ignored, and so does the process that it starts.
STUBBORN = (
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    f"subprocess.Popen([sys.executable, '-c', {SLEEPS!r}, sys.argv[1]])\n"
    "time.sleep(600)"
)

UP = "SIGMA is up. Ctrl-C stops it."


@pytest.fixture
def settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with two ports that nobody listens on."""
    with socket.socket() as first, socket.socket() as second:
        for name, free in (("SIGMA_API_PORT", first), ("SIGMA_DAGSTER_PORT", second)):
            free.bind(("127.0.0.1", 0))
            monkeypatch.setenv(name, str(free.getsockname()[1]))
    return load_settings()


@pytest.fixture
def run(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Run services given as name=program; ``on`` maps a line that `sigma up` says to what happens then."""

    def run_(on: dict[str, Callable[[], object]] | None = None, **programs: str) -> list[str]:
        def small_services(_: Settings) -> list[Service]:
            return [
                Service(
                    name,
                    [sys.executable, "-c", program, str(tmp_path / name), str(settings.api_port)],
                    settings.api_port if program == ANSWERS else None,
                    "/readyz",
                )
                for name, program in programs.items()
            ]

        monkeypatch.setattr(cli.services, "services", small_services)
        said: list[str] = []

        def say(line: str) -> None:
            said.append(line)
            if line == UP:
                assert await_(lambda: all(is_alive(tmp_path / name) for name in programs))
            (on or {}).get(line, lambda: None)()

        run_services(settings, say)
        return said

    return run_


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def is_alive(lock_file: Path) -> bool:
    with lock_file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def await_(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


# Running and stopping


def test_ctrl_c_stops_all_services(run: Callable[..., list[str]], settings: Settings, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    said = run({UP: interrupt}, api=ANSWERS, daemon=SLEEPS)
    assert sorted(said[:2]) == [f"  api ready at http://127.0.0.1:{settings.api_port}", "  daemon started"]
    assert said[2:] == [UP, "Stopping."]
    assert not is_alive(tmp_path / "api")
    assert not is_alive(tmp_path / "daemon")
    assert signal.getsignal(signal.SIGINT) is before
    refuse_taken_ports(settings)


def test_a_second_ctrl_c_does_not_leave_a_service_behind(run: Callable[..., list[str]], tmp_path: Path) -> None:
    run({UP: interrupt, "Stopping.": interrupt}, daemon=SLEEPS)
    assert not is_alive(tmp_path / "daemon")


def test_sigterm_stops_them_before_they_are_up(run: Callable[..., list[str]], tmp_path: Path) -> None:
    said = run({"  daemon started": lambda: os.kill(os.getpid(), signal.SIGTERM)}, daemon=SLEEPS, never=SLEEPS)
    assert said[-1] == "Stopping."
    assert UP not in said
    assert not is_alive(tmp_path / "never")


def test_when_one_service_ends_the_others_are_stopped_and_its_log_is_named(
    run: Callable[..., list[str]], settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable) as refusal:
        run(api=ANSWERS, daemon=ENDS_AFTER_THE_API_STARTED)
    log = settings.home / "logs" / "daemon.log"
    assert str(refusal.value) == f"daemon ended by itself (exit code 7) (see {log})"
    assert refusal.value.exit_code == ExitCode.UNAVAILABLE
    assert log.read_text() == "no such table\n"
    assert not is_alive(tmp_path / "api")


def test_what_does_not_want_to_stop_is_killed_with_all_that_it_started(
    run: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.services, "INTERRUPT_SECONDS", 0.1)
    monkeypatch.setattr(cli.services, "TERMINATE_SECONDS", 0.1)

    run({UP: interrupt}, daemon=STUBBORN)
    assert await_(lambda: not is_alive(tmp_path / "daemon"))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_when_sigma_up_is_killed_its_services_end(settings: Settings, tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from cli import services\n"
        "from sigma_core.config import load_settings\n"
        "services._start(services.Service('daemon', [sys.executable, '-c', *sys.argv[1:]]), load_settings())\n"
        "time.sleep(600)"
    )
    settings.home.mkdir()
    up = subprocess.Popen(
        [sys.executable, "-c", program, SLEEPS, str(tmp_path / "daemon")], cwd=Path(cli.services.__file__).parents[1]
    )
    with up:
        assert await_(lambda: is_alive(tmp_path / "daemon"))
        up.kill()
    assert await_(lambda: not is_alive(tmp_path / "daemon"))


def test_a_service_that_never_answers_is_named(
    run: Callable[..., list[str]], settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.services, "START_SECONDS", 0.3)
    monkeypatch.setattr(cli.services, "_healthy", lambda *_: False)
    with pytest.raises(Unavailable, match=rf"^api: not up after 0\.3 s \(see {settings.home}/logs/api\.log\)$"):
        run(api=ANSWERS)
    assert not is_alive(tmp_path / "api")


# What stands in the way


@pytest.mark.parametrize("variable", ["SIGMA_API_PORT", "SIGMA_DAGSTER_PORT"])
def test_a_taken_port_is_named_with_the_variable_that_moves_it(
    run: Callable[..., list[str]], settings: Settings, tmp_path: Path, variable: str
) -> None:
    port = int(os.environ[variable])
    with socket.create_server(("127.0.0.1", port)), pytest.raises(Unavailable) as refusal:
        run(daemon=SLEEPS)
    assert str(refusal.value) == (
        f"port {port} on 127.0.0.1 is taken (stop what listens there, or choose another with {variable})"
    )
    assert refusal.value.code == "PORT_TAKEN"
    assert not (tmp_path / "daemon").exists()  # nothing was started


def test_an_address_that_is_not_ours(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMA_HOST", "192.0.2.1")  # reserved for documentation
    with pytest.raises(Unavailable, match=r"cannot listen on port \d+ of 192\.0\.2\.1: .*check SIGMA_HOST") as refusal:
        refuse_taken_ports(load_settings())
    assert refusal.value.code == "UNAVAILABLE"


def test_a_second_sigma_up_of_the_same_home_is_refused_until_the_first_ends(home: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from cli.services import only_one\n"
        "with only_one(Path(sys.argv[1])):\n"
        "    print('up', flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", program, str(home)],
        cwd=Path(cli.services.__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with first:
        assert first.stdout.readline() == b"up\n"
        with pytest.raises(Unavailable) as refusal, only_one(home):
            pass
        assert str(refusal.value) == (
            f"sigma up already runs for {home} (process {first.pid}) "
            "(stop it with Ctrl-C first, or use another SIGMA_HOME)"
        )
        assert refusal.value.code == "ALREADY_UP"
        with only_one(home.with_name("another")):
            pass
        first.kill()  # a killed one leaves no lock
    with only_one(home):
        assert (home / "up.lock").read_text() == str(os.getpid())


@pytest.mark.parametrize("prepare", [lambda settings: only_one(settings.home).__enter__(), prepare_dagster_home])
def test_a_file_where_the_home_should_be(home: Path, prepare: Callable[[Settings], object]) -> None:
    home.write_text("")
    with pytest.raises(Unavailable, match=r"home.*: .*check SIGMA_HOME and its permissions"):
        prepare(load_settings())


# The real services


def test_the_services_are_programs_that_are_there_with_the_ports_of_the_settings(settings: Settings) -> None:
    api, webserver, daemon = services(settings)
    assert (api.port, webserver.port, daemon.port) == (settings.api_port, settings.dagster_port, None)
    for service in (api, webserver, daemon):
        assert service.command[:2] == [sys.executable, "-m"]
        package, *inner = service.command[2].split(".")
        folder = Path(importlib.util.find_spec(package).origin).parent.joinpath(*inner)  # type: ignore
        assert (folder / "__main__.py").exists()
    for service in (webserver, daemon):
        workspace = Path(service.command[service.command.index("-w") + 1])
        assert "sigma_pipelines.definitions" in workspace.read_text()


def test_only_services_that_audit_get_the_keys_of_language_models(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [service.audits for service in services(settings)] == [False, True, True]
    monkeypatch.setenv("SIGMA_OPENAI_API_KEY", "sk-1")
    program = ALIVE + (
        "import os, pathlib, time\n"
        "known = [name for name in os.environ if name.endswith('_API_KEY')]\n"
        "pathlib.Path(sys.argv[1] + '.tmp').write_text(repr(known))\n"
        "os.rename(sys.argv[1] + '.tmp', sys.argv[1] + '.env'); time.sleep(600)"
    )
    made = [
        Service(name, [sys.executable, "-c", program, str(tmp_path / name)], audits=name == "daemon")
        for name in ("api", "daemon")
    ]
    monkeypatch.setattr(cli.services, "services", lambda _: made)

    def say(line: str) -> None:
        if line == UP:
            assert await_(lambda: all((tmp_path / f"{service.name}.env").exists() for service in made))
            interrupt()

    run_services(settings, say)
    assert (tmp_path / "api.env").read_text() == "[]"
    assert (tmp_path / "daemon.env").read_text() == "['SIGMA_OPENAI_API_KEY']"


def test_the_dagster_home_is_made_once_and_then_left_alone(home: Path) -> None:
    settings = load_settings()
    prepare_dagster_home(settings)
    assert os.environ["DAGSTER_HOME"] == str(settings.dagster_home)
    config = settings.dagster_home / "dagster.yaml"
    assert sorted(path.name for path in settings.dagster_home.iterdir()) == ["dagster.yaml", "history", "schedules"]
    assert [path.name for path in settings.dagster_home.parent.iterdir()] == ["dagster"], "no draft is left"
    config.write_text("telemetry:\n  enabled: true\n")
    prepare_dagster_home(settings)
    assert config.read_text() == "telemetry:\n  enabled: true\n"


def test_dagster_takes_the_configuration_and_sends_nothing_home(home: Path) -> None:
    from dagster import DagsterInstance
    from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator

    settings = load_settings()
    prepare_dagster_home(settings)
    with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled
        assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
