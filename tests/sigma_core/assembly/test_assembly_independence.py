"""What a panel's votes are worth together."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.assembly.independence import Calibration, FamilyKind, assurance_level, effective_votes_ppm

FAMILIES = ("a", "b", "c")
PAIRS = [(f, g) for f in FAMILIES for g in FAMILIES if f <= g]
LLM, CODE = FamilyKind.LANGUAGE_MODEL, FamilyKind.DETERMINISTIC


def calibrated(ppm: int) -> Calibration:
    return Calibration({}, dict.fromkeys(PAIRS, ppm))


@pytest.mark.parametrize(
    ("seats", "rho_ppm", "n_eff"),
    [(5, 500_000, 1.67), (10, 500_000, 1.82), (5, 574_000, 1.52), (10, 574_000, 1.62), (10, 0, 10), (10, 1_000_000, 1)],
)
def test_one_correlation_throughout_gives_the_published_figures(seats: int, rho_ppm: int, n_eff: float) -> None:
    votes = effective_votes_ppm((FAMILIES * 4)[:seats], calibrated(rho_ppm))
    assert round(votes / 1e6, 2) == n_eff


CORRELATIONS = st.fixed_dictionaries({pair: st.integers(-1_000_000, 1_000_000) for pair in PAIRS})


@given(st.lists(st.sampled_from(FAMILIES), min_size=1, max_size=10), CORRELATIONS)
def test_it_is_kish_n_squared_over_the_sum_between_one_and_n(
    voters: list[str], ppm: dict[tuple[str, str], int]
) -> None:
    total = sum(
        Fraction(1) if i == j else Fraction(max(0, ppm[min(f, g), max(f, g)]), 1_000_000)
        for i, f in enumerate(voters)
        for j, g in enumerate(voters)
    )
    found = effective_votes_ppm(voters, Calibration({}, ppm))
    assert found == len(voters) ** 2 * 1_000_000 // total
    assert 1_000_000 <= found <= len(voters) * 1_000_000
    assert found == effective_votes_ppm(reversed(voters), Calibration({}, ppm))


def test_what_was_not_measured_counts_as_one_opinion_and_nobody_as_none() -> None:
    assert effective_votes_ppm(["a", "x", "y"], Calibration({}, {})) == 1_000_000
    assert effective_votes_ppm([], calibrated(0)) == 0


@pytest.mark.parametrize(
    ("families", "level"),
    [
        (["a"], 1),
        (["a", "a", "z"], 1),
        (["a", "b"], 2),
        (["b", "b"], 2),
        (["b", "c"], 3),
        (["a", "b", "c"], 3),
        ([], 1),
    ],
)
def test_assurance_is_one_for_engines_two_for_mixed_three_for_two_language_model_families(
    families: list[str], level: int
) -> None:
    assert assurance_level(families, Calibration({"a": CODE, "b": LLM, "c": LLM}, {})) == level


def test_the_hash_covers_kinds_and_correlations_in_any_order() -> None:
    one = Calibration({"a": CODE, "b": LLM}, {("a", "b"): 5, ("a", "a"): 7})
    assert one.hash == Calibration({"b": LLM, "a": CODE}, {("a", "a"): 7, ("a", "b"): 5}).hash
    assert one.hash != Calibration({"a": CODE, "b": LLM}, {("a", "b"): 6, ("a", "a"): 7}).hash
    assert one.hash != Calibration({"a": LLM, "b": LLM}, {("a", "b"): 5, ("a", "a"): 7}).hash
