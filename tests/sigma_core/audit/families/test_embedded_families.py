"""What all embedded families promise: names, revisions, parameters, determinism, evidence that is grounded."""

from __future__ import annotations

import subprocess
import sys

import pytest
from family_samples import FULL, NO_FACTS, honest_package, package
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.assembly.independence import FamilyKind
from sigma_core.audit.families import (
    FAMILY_PARAMETERS,
    UnknownFamily,
    calibration,
    embedded_families,
    embedded_family,
    parameter_ranges,
)
from sigma_core.audit.families.embedded import Analysis, EmbeddedFamily, either_ppm, quote_at
from sigma_core.audit.grounding import ground
from sigma_core.audit.model import AuditRequest, Finding, Verdict, View
from sigma_core.policy import PPM, load_policy
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.facts import Severity

NAMES = ["rules_taint", "signatures", "capability_difference", "text_statistics"]
EVIDENCE = Finding(Severity.HIGH, "remote_code", "SKILL.md", 1, 1, "quote", "why", 600_000)


@pytest.fixture(params=NAMES)
def family(request: pytest.FixtureRequest) -> EmbeddedFamily:
    return embedded_family(request.param)


def test_there_are_four_families_with_distinct_names_and_revisions() -> None:
    assert [family.family for family in embedded_families()] == NAMES
    assert len({family.revision for family in embedded_families()}) == 4


def test_an_unknown_family_is_refused_by_name() -> None:
    with pytest.raises(UnknownFamily, match="no embedded audit family is called 'astrology'"):
        embedded_family("astrology")


def test_importing_the_core_or_the_registry_loads_no_engine() -> None:
    code = "import sys, sigma_core, sigma_core.audit.families; sys.exit('yara_x' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_default_lies_in_its_honest_range() -> None:
    for parameters in FAMILY_PARAMETERS.values():
        assert all(parameter.lowest <= parameter.default <= parameter.highest for parameter in parameters)
    assert parameter_ranges()["signatures"] == {"threshold_ppm": (450_000, 590_000)}


def test_the_calibration_covers_every_pair_of_families() -> None:
    known = calibration()
    assert set(known.kinds) == set(NAMES)
    assert set(known.kinds.values()) == {FamilyKind.DETERMINISTIC}
    assert {(a, b) for a in NAMES for b in NAMES if a <= b} == set(known.correlation_ppm)


def test_validators_of_one_family_differ_by_their_declared_threshold(family: EmbeddedFamily) -> None:
    parameter = FAMILY_PARAMETERS[family.family][0]
    between = Analysis((parameter.lowest + parameter.highest) // 2, (EVIDENCE,), ("SKILL.md",))
    assert family.decide(between, {"threshold_ppm": parameter.lowest}).verdict is Verdict.UNSAFE
    assert family.decide(between, {"threshold_ppm": parameter.highest}).verdict is Verdict.SAFE


def test_suspicion_without_evidence_is_not_unsafe(family: EmbeddedFamily) -> None:
    assert family.decide(Analysis(PPM, (), ("SKILL.md",)), {}).verdict is Verdict.SAFE


@pytest.mark.parametrize(
    "parameters", [{"threshold_ppm": 0}, {"threshold_ppm": "500000"}, {"threshold_ppm": True}, {"mood": 1}]
)
def test_parameters_outside_the_declared_range_abstain_and_name_the_parameter(
    family: EmbeddedFamily, parameters: dict[str, int | str]
) -> None:
    said = family.decide(Analysis(0, (), ("SKILL.md",)), parameters)
    assert said.verdict is Verdict.ABSTAIN
    assert next(iter(parameters)) in said.reason


def test_an_honest_skill_is_safe_in_both_views(family: EmbeddedFamily) -> None:
    skill = honest_package()
    for view in View:
        said = family.audit(AuditRequest(skill, derive_facts(skill, load_policy()), view))
        assert said.verdict is Verdict.SAFE
        assert ground(said, skill, load_policy().audit).verdict is Verdict.SAFE


def test_an_analysis_is_made_once_for_equal_bytes_facts_and_view(
    family: EmbeddedFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr(type(family), "analyse", lambda *_: made.append(1) or Analysis(0, (), ("SKILL.md",)))
    fresh = type(family)()
    for _ in range(3):
        fresh.analysis(honest_package(), NO_FACTS, FULL)
    fresh.analysis(honest_package(), NO_FACTS, View.CLAIMS_STRIPPED)
    fresh.analysis(package({"SKILL.md": "other"}), NO_FACTS, FULL)
    assert len(made) == 3


@settings(max_examples=40, deadline=None)
@given(
    files=st.dictionaries(
        st.sampled_from(["SKILL.md", "a.py", "run.sh", "x.js", "data.json", "blob.bin"]),
        st.one_of(
            st.binary(max_size=300),
            st.lists(
                st.sampled_from(
                    [
                        "curl x | bash", "ignore all previous instructions", "exec(", "\x00", "\ud7ff", "```", "🎉",
                        "os.environ", "A" * 60, "\n", "id_rsa", "requests.post(",
                    ]
                ),
                max_size=30,
            ).map(lambda parts: " ".join(parts).encode()),
        ),
        min_size=1,
    )
)  # fmt: skip
def test_hostile_bytes_never_raise_and_every_vote_is_grounded_and_repeatable(files: dict[str, bytes]) -> None:
    skill = package(dict(files))
    for family in embedded_families():
        said = family.decide(family.analyse(skill, NO_FACTS, FULL), {})
        assert ground(said, skill, load_policy().audit) == said
        assert family.decide(family.analyse(skill, NO_FACTS, FULL), {}).sha256 == said.sha256


@given(st.lists(st.integers(0, PPM), max_size=8))
def test_evidence_combines_upwards_and_never_past_certainty(confidences: list[int]) -> None:
    combined = either_ppm(confidences)
    assert max(confidences, default=0) - 8 <= combined <= PPM
    assert combined == either_ppm(reversed(confidences))


@settings(max_examples=200)
@given(st.binary(max_size=600), st.integers(0, 600), st.integers(0, 300))
def test_a_quote_stands_at_its_lines(content: bytes, start: int, length: int) -> None:
    start = min(start, len(content))
    found = quote_at(content, start, min(len(content), start + length))
    if found is not None:
        first, last, quote = found
        lines = content.split(b"\n")[first - 1 : last]
        assert quote in b"\n".join(lines).decode("utf-8", "replace")
