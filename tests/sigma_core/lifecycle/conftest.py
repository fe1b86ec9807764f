"""A deployment, where a test says so on PostgreSQL too, and two small packages to take through it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.intake import Provenance, submit
from sigma_core.submissions.intake import read_package
from sigma_core.submissions.package import Package, SourceType

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def deployment(
    settled_home: Path, home: Path, make_deployment: Callable[..., Deployment], request: pytest.FixtureRequest
) -> Deployment:
    """On SQLite; `pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)` runs a test on each."""
    if getattr(request, "param", "sqlite") == "sqlite":
        shutil.copytree(settled_home, home)
        return make_deployment()
    new_url = request.getfixturevalue("new_postgres_url")
    return make_deployment(database_url=new_url(), usage_database_url=new_url())


@pytest.fixture
def honest(deployment: Deployment) -> Package:
    return read_package(ROOT / "examples" / "changelog-writer", deployment.policy)


@pytest.fixture
def hostile(deployment: Deployment) -> Package:
    return read_package(ROOT / "examples" / "malicious" / "workspace-cleaner", deployment.policy)


@pytest.fixture
def submitted(deployment: Deployment) -> Callable[[Package], str]:
    """Record a package and return its submission id."""

    def record(package: Package, *, scheduled: bool = False) -> str:
        return submit(
            deployment,
            package,
            Provenance(SourceType.UPLOAD, package.source_name, None, "somebody", dev_notes="as asked"),
            scheduled=scheduled,
        )

    return record
