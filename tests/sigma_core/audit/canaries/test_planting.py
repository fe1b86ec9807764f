"""Planting: at the policy's rate, only texts that the family was measured to cite, and what an answer counts as."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.audit.canaries.bank import FILES, items
from sigma_core.audit.canaries.planting import Answer, Plant, answer_of, plant_of, with_file
from sigma_core.audit.families import FAMILY_PARAMETERS, embedded_families
from sigma_core.audit.grounding import ground
from sigma_core.audit.model import View
from sigma_core.audit.views import view_of
from sigma_core.canonical import sha256_hex
from sigma_core.policy import PPM, CanaryRules, Policy
from sigma_core.sandbox.derive import derive_facts
from sigma_core.submissions.intake import read_package
from sigma_core.submissions.member_names import TakenNames
from sigma_core.submissions.package import Package

EXAMPLES = Path(__file__).resolve().parents[4] / "examples"


@pytest.fixture(scope="module")
def honest(policy: Policy) -> Package:
    return read_package(EXAMPLES / "changelog-writer", policy)


def seeds(count: int) -> list[str]:
    return [sha256_hex(f"seat {number}".encode()) for number in range(count)]


def test_files_are_planted_at_the_policy_rate() -> None:
    rules = CanaryRules(file_rate_ppm=100_000, files={"some": ("p01", "p02")})
    plants = [plant_of(seed, "some", rules) for seed in seeds(4_000)]
    planted = [plant.item for plant in plants if plant is not None]
    assert 330 <= len(planted) <= 470  # 400 expected, 19 the standard deviation
    assert set(planted) == {"p01", "p02"}


def test_no_rate_and_no_texts_plant_nothing() -> None:
    none = [
        CanaryRules(),
        CanaryRules(files={"some": ("p01",)}),
        CanaryRules(file_rate_ppm=PPM, files={"other": ("p01",)}),
    ]
    assert all(plant_of(seed, "some", rules) is None for rules in none for seed in seeds(50))


def test_the_policy_plants_texts_that_the_bank_has_for_families_that_there_are(policy: Policy) -> None:
    families = {*FAMILY_PARAMETERS, *policy.language_models.families}
    assert set(policy.canaries.files) == families
    assert {item for texts in policy.canaries.files.values() for item in texts} == set(items(FILES))


@given(st.binary(min_size=32, max_size=32).map(bytes.hex), st.sampled_from(list(View)))
@settings(max_examples=8)
def test_each_embedded_family_cites_each_text_planted_for_it_at_the_mild_end_of_its_range(
    policy: Policy, honest: Package, variant: str, view: View
) -> None:
    """A miss would escalate an honest developer's round. On published skills: ``./sigma bench canaries``."""
    for item in items(FILES):
        file = Plant(item, variant).file(TakenNames(honest.by_path))
        assert file is not None
        whole = with_file(honest, file)
        facts, shown = derive_facts(whole, policy), view_of(whole, view)
        for family in embedded_families():
            if item in policy.canaries.files[family.family]:
                mild = {each.name: each.highest for each in FAMILY_PARAMETERS[family.family]}
                result = ground(family.decide(family.analyse(shown, facts, view), mild), shown, policy.audit)
                assert answer_of(result.as_json(), file.path) is Answer.CAUGHT, (family.family, item)


def test_a_file_keeps_the_package_in_canonical_order(honest: Package) -> None:
    file = Plant("p01", sha256_hex(b"x")).file(TakenNames(honest.by_path))
    assert file is not None
    whole = with_file(honest, file)
    paths = [each.path.encode() for each in whole.files]
    assert paths == sorted(paths)
    assert set(whole.files) - set(honest.files) == {file}


@pytest.mark.parametrize(
    ("verdict", "cited", "answer"),
    [
        ("UNSAFE", "scripts/a.py", Answer.CAUGHT),
        ("ABSTAIN", "scripts/a.py", Answer.CAUGHT),
        ("UNSAFE", "SKILL.md", Answer.MISSED),
        ("SAFE", None, Answer.MISSED),
        ("ABSTAIN", None, Answer.UNCLEAR),
        ("ABSTAIN", "SKILL.md", Answer.UNCLEAR),
    ],
)
def test_only_a_finding_in_the_file_counts_as_having_seen_it(verdict: str, cited: str | None, answer: Answer) -> None:
    findings = [{"file": cited}] if cited else []
    assert answer_of({"verdict": verdict, "findings": findings}, "scripts/a.py") is answer
