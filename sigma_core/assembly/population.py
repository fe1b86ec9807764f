"""Validators, and the seeded population that an embedded deployment starts with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sigma_core.assembly.transcript import transcript_hash
from sigma_core.errors import SigmaError
from sigma_core.policy import PPM, Policy

ParameterRanges = Mapping[str, Mapping[str, tuple[int, int]]]
"""Family → parameter → the lowest and the highest value that a validator may declare, both inclusive."""

_STAKE_USD = (1_000, 20_000)
_MICRO_USD = 1_000_000


class ValidatorStatus(StrEnum):
    """Whether a validator may be drawn. RESTING: its language model cannot be asked, or is below every tier."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    RESTING = "RESTING"


@dataclass(frozen=True, slots=True)
class Validator:
    """An operator's engine of one model family, with the parameters it declares, its stake (micro-USD) and tier
    (ppm; 1,000,000 = the ordinary tier)."""

    id: str
    operator: str
    family: str
    parameters: Mapping[str, int]
    stake_micro_usd: int
    tier_ppm: int
    status: ValidatorStatus


class PopulationError(SigmaError):
    """A population that cannot be made: no family, or a parameter range that is empty."""

    code = "POPULATION_INVALID"


def embedded_population(policy: Policy, ranges: ParameterRanges) -> tuple[Validator, ...]:
    """``operators × validators_per_operator`` active validators, sorted by id: the same for the same policy seed and
    ranges.

    Families go round, so that each gets its equal part and an operator's validators differ in family as far as
    families last. Parameters and stake (1,000 to 20,000 whole USD) are drawn from the seed. Raises PopulationError.
    """
    families = sorted(ranges)
    if not families:
        raise PopulationError("a population needs at least one model family")
    rules = policy.population
    validators = []
    for operator_number in range(rules.operators):
        operator = "op_" + transcript_hash("sigma-embedded-operator-v1", rules.seed, operator_number)[:12]
        for number in range(rules.validators_per_operator):
            family = families[(operator_number + number) % len(families)]
            identity = "val_" + transcript_hash("sigma-embedded-validator-v1", rules.seed, operator, number)[:16]
            validators.append(
                Validator(
                    id=identity,
                    operator=operator,
                    family=family,
                    parameters={
                        name: _drawn(rules.seed, identity, f"{family}.{name}", *ranges[family][name])
                        for name in sorted(ranges[family])
                    },
                    stake_micro_usd=_drawn(rules.seed, identity, "stake", *_STAKE_USD) * _MICRO_USD,
                    tier_ppm=PPM,
                    status=ValidatorStatus.ACTIVE,
                )
            )
    return tuple(sorted(validators, key=lambda validator: validator.id))


def language_model_population(policy: Policy, family: str) -> tuple[Validator, ...]:
    """``validators_per_family`` active validators of a language-model family, each of an operator of its own, sorted by id: the
    same for the same policy seed. The ladder's tiers go round; a tier weighs nothing extra before it was measured."""
    rules, seed = policy.language_models, policy.population.seed
    tiers = sorted(rung.tier for rung in rules.ladder if rung.family == family)
    if not tiers:
        raise PopulationError(f"the policy's ladder has no family {family!r}")
    validators = []
    for number in range(rules.validators_per_family):
        operator = "op_" + transcript_hash("sigma-model-operator-v1", seed, family, number)[:12]
        identity = "val_" + transcript_hash("sigma-model-validator-v1", seed, operator)[:16]
        validators.append(
            Validator(
                id=identity,
                operator=operator,
                family=family,
                parameters={"tier": tiers[number % len(tiers)]},
                stake_micro_usd=_drawn(seed, identity, "stake", *_STAKE_USD) * _MICRO_USD,
                tier_ppm=PPM,
                status=ValidatorStatus.ACTIVE,
            )
        )
    return tuple(sorted(validators, key=lambda validator: validator.id))


def _drawn(seed: str, validator_id: str, name: str, lowest: int, highest: int) -> int:
    if lowest > highest:
        raise PopulationError(f"{name}: the range {lowest} … {highest} is empty")
    digest = transcript_hash("sigma-embedded-parameter-v1", seed, validator_id, name)
    return lowest + int(digest, 16) % (highest - lowest + 1)
