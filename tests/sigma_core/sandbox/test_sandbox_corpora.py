"""The labelled packages beside the repository, where they are there: honest published skills must pass."""

from __future__ import annotations

import pytest

from sigma_core.policy import load_policy
from sigma_core.sandbox.derive import derive_facts
from tests.bench.labelled import CORPORA, read_corpus
from tests.bench.sandbox import package_of


@pytest.mark.corpora
@pytest.mark.skipif(not CORPORA.is_dir(), reason="no labelled packages beside the repository")
def test_at_most_three_in_a_hundred_honest_published_skills_block() -> None:
    packages = [package_of(sample) for sample in read_corpus("dev-benign")]
    blocked = sum(bool(derive_facts(package, load_policy()).blocking_signals) for package in packages)
    assert blocked * 100 <= 3 * len(packages)
