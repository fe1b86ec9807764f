"""Published skills are taken in: folder, zip and tar alike. Only the policy's limits may refuse one."""

from __future__ import annotations

from pathlib import Path

import polars
import pytest
from archive_builders import tar_of, zip_of

from sigma_core.canonical import canonical_json
from sigma_core.policy import load_policy
from sigma_core.submissions.dependencies import dependency_problems
from sigma_core.submissions.intake import read_archive_bytes
from sigma_core.submissions.refusal import Refusal

POLICY = load_policy()
CORPORA = Path(__file__).resolve().parents[4] / "shared" / "corpora"

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CORPORA.is_dir(), reason="the labelled packages are not here"),
]


@pytest.mark.parametrize("corpus", ["dev-benign", "dev-fixtures", "bench-skillfortify"])
def test_published_skills_are_taken_in(corpus: str) -> None:
    rows = polars.read_parquet(CORPORA / f"{corpus}.parquet", columns=["sample", "path", "content"])
    trees: dict[str, dict[str, bytes]] = {}
    for sample, path, content in rows.iter_rows():
        trees.setdefault(sample, {})[path] = content
    refused = {}
    for sample, tree in trees.items():
        try:
            package = read_archive_bytes(zip_of(tree), sample, POLICY)
        except Refusal as refusal:
            refused[sample] = refusal.code
            continue
        assert package.tree_hash == read_archive_bytes(tar_of(tree), sample, POLICY).tree_hash
        assert {file.path: file.content for file in package.files} == tree
        canonical_json(dict(package.manifest))
        dependency_problems(package)
    assert all(code.startswith("LIMIT_") for code in refused.values()), refused
    assert len(refused) <= len(trees) // 100
