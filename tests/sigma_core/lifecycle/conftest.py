"""A deployment on each database, and two small packages to take through it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.intake import Provenance, submit
from sigma_core.submissions.intake import read_package
from sigma_core.submissions.package import Package, SourceType

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def deployment(make_deployment: Callable[..., Deployment], new_database_url: Callable[[], str]) -> Deployment:
    """A deployment with both of its databases on SQLite, then on PostgreSQL."""
    return make_deployment(database_url=new_database_url(), usage_database_url=new_database_url())


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
