"""The embedded population follows from the policy alone."""

from __future__ import annotations

from collections import Counter

import pytest
from assembly_world import FAMILIES, RANGES

from sigma_core.assembly.population import PopulationError, ValidatorStatus, embedded_population
from sigma_core.policy import load_policy

POPULATION = embedded_population(load_policy(), RANGES)


def test_it_has_the_operators_and_validators_of_the_policy() -> None:
    rules = load_policy().population
    operators = Counter(validator.operator for validator in POPULATION)
    assert len(operators) == rules.operators
    assert set(operators.values()) == {rules.validators_per_operator}
    assert len({validator.id for validator in POPULATION}) == len(POPULATION)
    assert all(validator.status is ValidatorStatus.ACTIVE for validator in POPULATION)


def test_every_family_has_its_equal_part_and_an_operators_validators_differ_in_family() -> None:
    assert set(Counter(validator.family for validator in POPULATION).values()) == {len(POPULATION) // len(FAMILIES)}
    assert len({(validator.operator, validator.family) for validator in POPULATION}) == len(POPULATION)


def test_parameters_are_within_the_declared_ranges_and_differ() -> None:
    for validator in POPULATION:
        assert set(validator.parameters) == set(RANGES[validator.family])
        for name, value in validator.parameters.items():
            lowest, highest = RANGES[validator.family][name]
            assert lowest <= value <= highest
    assert {validator.parameters["depth"] for validator in POPULATION} == {1, 2, 3}
    assert len({validator.stake_micro_usd for validator in POPULATION}) > 200


def test_it_is_the_same_whenever_it_is_made_and_another_for_another_seed() -> None:
    assert embedded_population(load_policy(), dict(reversed(RANGES.items()))) == POPULATION
    policy = load_policy()
    other = policy.model_copy(update={"population": policy.population.model_copy(update={"seed": "another"})})
    assert not {v.id for v in embedded_population(other, RANGES)} & {v.id for v in POPULATION}


def test_a_population_without_families_or_with_an_empty_range_is_refused() -> None:
    with pytest.raises(PopulationError, match="at least one model family"):
        embedded_population(load_policy(), {})
    with pytest.raises(PopulationError, match=r"f\.threshold: the range 2 … 1 is empty"):
        embedded_population(load_policy(), {"f": {"threshold": (2, 1)}})
