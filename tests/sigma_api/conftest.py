"""One deployment with a few certificates, which the tests of this folder only read, and a client on the API over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from http_client import Client
from kept_records import ALL, AUDITED_AGAIN, bare_deployment, keep_assembly, keep_certificates, keep_open_round

from sigma_api.app import create_app
from sigma_api.public import snapshot
from sigma_core.deployment import Deployment


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment that holds `ALL`; nobody writes to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGMA_HOME", str(tmp_path_factory.mktemp("kept")))
        patch.setenv("SIGMA_PUBLIC_RATE_REQUESTS", "1000000")
        deployment = bare_deployment()
    keep_assembly(deployment)
    keep_certificates(deployment, ALL)
    keep_open_round(deployment, AUDITED_AGAIN)
    yield deployment
    deployment.close()


@pytest.fixture(scope="session")
def client(kept: Deployment) -> Iterator[Client]:
    """A client on the API over `kept`."""
    client = Client(create_app(kept))
    yield client
    client.close()


@pytest.fixture
def own(home: Path) -> Iterator[Deployment]:
    """An empty deployment that the test may break."""
    deployment = bare_deployment()
    yield deployment
    deployment.close()


@pytest.fixture
def make_client() -> Iterator[Callable[..., Client]]:
    """More clients: ``make_client(app)`` or ``make_client(app, "192.0.2.7")``."""
    made: list[Client] = []

    def make(app: object, address: str = "127.0.0.1") -> Client:
        made.append(Client(app, address))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request gets a snapshot of its own: what was written before shows at once, without waiting a second."""
    monkeypatch.setattr(snapshot, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(snapshot, "MAX_AGE_SECONDS", 0.0)
