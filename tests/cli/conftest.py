"""Fixtures of the command line's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import HONEST, Audited, Said, audit, sigma

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


@pytest.fixture(scope="session", name="sigma")
def sigma_command() -> Callable[..., Said]:
    """`sigma`, as a fixture."""
    return sigma


@pytest.fixture(scope="module")
def audited_home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """SIGMA_HOME of a module's audits."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("audited")
        patch.setenv("SIGMA_HOME", str(folder / "home"))
        patch.setenv("DAGSTER_HOME", "")
        patch.delenv("DAGSTER_HOME")
        yield folder


@pytest.fixture(scope="module")
def honest(audited_home: Path) -> Audited:
    """An honest example, audited."""
    return audit(HONEST, audited_home)
