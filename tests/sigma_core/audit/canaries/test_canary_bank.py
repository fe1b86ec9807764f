"""The bank: texts that vary, packages that pass intake, and labels that stand nowhere but in their own file."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.audit.canaries.bank import (
    FILES,
    PACKAGES,
    canary_package,
    items,
    package_tree_hash,
    planted_file,
)
from sigma_core.audit.canaries.labels import defect_of_file, package_label
from sigma_core.audit.grounding import Category
from sigma_core.audit.model import Verdict
from sigma_core.canonical import sha256_hex
from sigma_core.policy import Policy
from sigma_core.submissions.member_names import TakenNames, refuse_clashes

variants = st.binary(min_size=32, max_size=32).map(bytes.hex)
TELLING = re.compile(
    r"(?i)\b(?:canar(?:y|ies)|planted|decoy|honeypot|malicious|benign|hostile|honest|label|bank|[cp][0-9]{2})\b"
)
"""What would tell a canary, or which one it is."""


def variant(number: int) -> str:
    return sha256_hex(f"variant {number}".encode())


def test_there_are_as_many_honest_packages_as_others_and_every_file_has_a_defect() -> None:
    verdicts = [package_label(item).verdict for item in items(PACKAGES)]
    assert verdicts.count(Verdict.SAFE) == verdicts.count(Verdict.UNSAFE) == 12
    for item in items(PACKAGES):
        label = package_label(item)
        assert (label.defect in set(Category)) == (label.verdict is Verdict.UNSAFE)
    assert {defect_of_file(item) for item in items(FILES)} <= set(Category)


def test_an_order_by_name_does_not_sort_by_label() -> None:
    verdicts = [package_label(item).verdict for item in items(PACKAGES)]
    assert sum(one is not other for one, other in itertools.pairwise(verdicts)) >= 8


@given(st.sampled_from(items(PACKAGES)), variants)
@settings(max_examples=60)
def test_any_variant_is_a_package_that_passes_intake_and_tells_nothing(
    policy: Policy, item: str, variant_of: str
) -> None:
    package = canary_package(item, variant_of, policy)
    assert package.tree_hash == package_tree_hash(item, variant_of)
    assert package.manifest["name"]
    shown = [package.source_name, *(file.path for file in package.files)]
    shown += [file.content.decode() for file in package.files]
    for text in shown:
        assert not TELLING.search(text), text
        assert not re.search("[«»‹›¦]", text), text


@given(st.sampled_from(items(FILES)), variants)
@settings(max_examples=60)
def test_any_planted_file_tells_nothing_and_goes_with_the_paths_that_are_there(item: str, variant_of: str) -> None:
    first = planted_file(item, variant_of, TakenNames([]))
    assert first is not None
    assert not TELLING.search(first.path + "\n" + first.content.decode())
    # Its own path, and one that would be its folder, are taken: it goes elsewhere.
    taken = [first.path.upper(), "SKILL.md"]
    second = planted_file(item, variant_of, TakenNames(taken))
    assert second is not None
    assert second.path != first.path
    refuse_clashes([*taken, second.path])


def test_a_file_that_fits_nowhere_is_not_planted() -> None:
    folders = ["scripts", "tools", "lib", "bin", "references", "docs", "guides"]
    assert all(planted_file(item, variant(1), TakenNames(folders)) is None for item in items(FILES))


def test_variants_of_a_text_differ_and_the_same_variant_is_the_same(policy: Policy) -> None:
    for item in items(FILES):
        files = [planted_file(item, variant(number), TakenNames([])) for number in range(8)]
        assert len({file.sha256 for file in files if file is not None}) == 8, item
        assert planted_file(item, variant(3), TakenNames([])) == files[3]
    for item in items(PACKAGES):
        trees = [canary_package(item, variant(number), policy).tree_hash for number in range(8)]
        assert len(set(trees)) == 8, item
        assert canary_package(item, variant(3), policy).tree_hash == trees[3]


def test_an_item_that_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError):
        package_tree_hash("c99", variant(1))
    with pytest.raises(KeyError):
        package_label("c99")
