"""Facts are a function of package, policy and rules: equal packages have them derived once in a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sigma_core.deployment import Deployment
from sigma_core.lifecycle import facts
from sigma_core.lifecycle.facts import derive_and_keep, load_facts
from sigma_core.policy import Policy
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.storage.protocol import FactsRow
from sigma_core.submissions.package import Package

Submitted = Callable[..., str]


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tree hashes of the packages that were derived, in order; nothing is remembered from before."""
    monkeypatch.setattr(facts, "_derived", {})
    asked: list[str] = []

    def derive(package: Package, policy: Policy) -> FactsDocument:
        asked.append(package.tree_hash)
        return derive_facts(package, policy)

    monkeypatch.setattr(facts, "derive_facts", derive)
    return asked


def test_equal_packages_have_one_document_that_is_derived_once(
    deployment: Deployment, honest: Package, hostile: Package, submitted: Submitted, derived: list[str]
) -> None:
    first, second, other = submitted(honest), submitted(honest), submitted(hostile)
    documents = [derive_and_keep(deployment, submission) for submission in (first, second, other)]
    assert derived == [honest.tree_hash, hostile.tree_hash]
    assert documents[0].canonical_bytes == documents[1].canonical_bytes
    assert documents[0].document == documents[1].document
    with deployment.read_sessions() as session:
        kept = [session.get_one(FactsRow, (each, documents[0].sha256)) for each in (first, second)]
    assert kept[0].fact_count == kept[1].fact_count == len(documents[0].facts)
    assert load_facts(deployment, documents[0].sha256).sha256 == documents[0].sha256


def test_the_same_tree_under_another_name_is_another_package(
    deployment: Deployment, honest: Package, submitted: Submitted, derived: list[str]
) -> None:
    for package in (honest, replace(honest, source_name="another-name")):
        derive_and_keep(deployment, submitted(package))
    assert len(derived) == 2


def test_another_policy_derives_again(
    deployment: Deployment,
    honest: Package,
    submitted: Submitted,
    derived: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = derive_and_keep(deployment, submitted(honest))
    monkeypatch.setattr(
        deployment, "policy", Policy.model_validate(deployment.policy.model_dump() | {"version": "another"})
    )
    after = derive_and_keep(deployment, submitted(honest))
    assert len(derived) == 2
    assert before.document["policyHash"] != after.document["policyHash"]


def test_facts_that_an_analyser_failed_at_are_derived_again(
    deployment: Deployment, honest: Package, submitted: Submitted, derived: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FactsDocument, "complete", property(lambda _: False))
    for _ in range(2):
        derive_and_keep(deployment, submitted(honest))
    assert len(derived) == 2


def test_a_store_without_the_document_gets_it_again(
    deployment: Deployment, honest: Package, submitted: Submitted, derived: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = derive_and_keep(deployment, submitted(honest))
    (deployment.settings.home / "blobs" / "sha256" / document.sha256[:2] / document.sha256).unlink()
    monkeypatch.setattr(deployment.blobs, "_remembered", type(deployment.blobs._remembered)())
    assert derive_and_keep(deployment, submitted(honest)).sha256 == document.sha256
    assert len(derived) == 2
    assert load_facts(deployment, document.sha256).document == document.document


def test_only_so_many_derivations_are_remembered(
    deployment: Deployment,
    honest: Package,
    hostile: Package,
    submitted: Submitted,
    derived: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(facts, "REMEMBERED_DERIVATIONS", 1)
    for package in (honest, hostile, hostile, honest):
        derive_and_keep(deployment, submitted(package))
    assert derived == [honest.tree_hash, hostile.tree_hash, honest.tree_hash]
