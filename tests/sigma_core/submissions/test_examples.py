"""The skills under ``examples`` are taken in, say what they are, and declare without a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigma_core.policy import load_policy
from sigma_core.submissions.dependencies import dependency_problems
from sigma_core.submissions.intake import read_package
from sigma_core.submissions.package import ProductType

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.mark.parametrize(
    ("example", "product_type", "endpoints"),
    [
        ("changelog-writer", ProductType.SKILL, 0),
        ("release-notes-api", ProductType.SKILL_API, 4),
        ("malicious/workspace-cleaner", ProductType.SKILL, 0),
    ],
)
def test_an_example_is_a_package(example: str, product_type: ProductType, endpoints: int) -> None:
    package = read_package(EXAMPLES / example, load_policy())
    assert package.product_type is product_type
    assert package.manifest["name"] == Path(example).name
    assert len(package.manifest["endpoints"]) == endpoints
    assert package.manifest["problems"] == []
    assert package.manifest["conflicts"] == []
    assert dependency_problems(package) == []
