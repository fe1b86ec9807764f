"""One deployment and one Dagster instance for each module, as `sigma` itself makes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from audit_world import World

from cli.dagster_home import prepare_dagster_home

# Dagster reads an attribute that Pydantic has deprecated since; the other two are those that `sigma_pipelines` itself lets
# pass, and that pytest brings back for each test.
WARNINGS_OF_DAGSTER = (
    "ignore:The `__fields__` attribute is deprecated:DeprecationWarning",
    "ignore::dagster.BetaWarning",
    "ignore::dagster.PreviewWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let those warnings pass in this folder, and in no other."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            for warning in WARNINGS_OF_DAGSTER:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    from sigma_pipelines.resources.deployment import SigmaDeployment

    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGMA_HOME", str(folder / "home"))
        patch.setenv("DAGSTER_HOME", "")
        patch.delenv("DAGSTER_HOME")
        deployment = SigmaDeployment().open()
        prepare_dagster_home(deployment.settings)
        with dg.DagsterInstance.get() as instance:
            yield World(deployment, instance, folder)
        deployment.close()
