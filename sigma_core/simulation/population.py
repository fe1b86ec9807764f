"""Who takes part in a simulation: groups of validators with a behaviour, a skill and a stake, and the stream of submissions.

Skills are probabilities in ppm; a validator's own are drawn once, uniformly within its group's range. Everything is drawn from
one seed by `random.Random`, whose integers are the same on every platform.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from sigma_core.errors import SigmaError
from sigma_core.policy import PPM

MICRO_USD = 1_000_000


class SimulationInvalid(SigmaError):
    """A scenario that cannot be run; names the value and the rule."""

    code = "SIMULATION_INVALID"


class Behaviour(StrEnum):
    """How a validator votes.

    AUDIT looks and may err. COPYCAT repeats the majority of the last round whose votes are public. SLEEPER audits, but votes
    SAFE on what its own clique submits.
    """

    AUDIT = "AUDIT"
    ALWAYS_SAFE = "ALWAYS_SAFE"
    ALWAYS_UNSAFE = "ALWAYS_UNSAFE"
    RANDOM = "RANDOM"
    COPYCAT = "COPYCAT"
    SLEEPER = "SLEEPER"


Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Group:
    """``size`` validators of one kind. Ranges are inclusive: sensitivity (UNSAFE on what is) and specificity (SAFE on what is) in
    ppm, stake in whole USD. ``one_operator`` puts all under one operator."""

    name: str
    size: int
    behaviour: Behaviour = Behaviour.AUDIT
    sensitivity_ppm: Range = (800_000, 950_000)
    specificity_ppm: Range = (930_000, 990_000)
    stake_usd: Range = (1_000, 20_000)
    one_operator: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """A population and what it is asked. Shares are ppm of submissions.

    ``canary_ppm`` are labelled packages, half of them UNSAFE; ``attack_ppm`` are hostile packages of the sleeper clique;
    ``unsafe_ppm`` of the others are UNSAFE. Errors share their cause: with ``cause_of_package_ppm`` a validator's luck on a package
    is everybody's, with ``cause_of_family_ppm`` its family's, else its own, so that each keeps its own error rates. An escalated round
    is resolved after ``resolution_days`` with ``resolved_ppm``, rightly with ``resolution_right_ppm``.

    Others submit under ``authors`` names in turn. Countermeasures of a deployment, off by default: ``aimed_canaries_ppm`` of the
    canaries are hostile ones under the name of the author with the most failed packages (a clique takes them for its own while it
    submits under one name); ``exposure_limit`` keeps whoever voted SAFE on an author's package that proved UNSAFE off that
    author's later panels. ``fresh_authors`` lets the clique submit under a new name each time.
    """

    name: str
    groups: tuple[Group, ...]
    submissions: int = 4_000
    submissions_per_day: int = 50
    families: int = 8
    unsafe_ppm: int = 150_000
    canary_ppm: int = 50_000
    attack_ppm: int = 20_000
    cause_of_package_ppm: int = 150_000
    cause_of_family_ppm: int = 200_000
    no_show_ppm: int = 2_000
    resolved_ppm: int = 900_000
    resolution_right_ppm: int = 950_000
    resolution_days: int = 3
    authors: int = 400
    aimed_canaries_ppm: int = 0
    exposure_limit: bool = False
    fresh_authors: bool = False

    def __post_init__(self) -> None:
        for name in (
            "unsafe_ppm", "canary_ppm", "attack_ppm", "no_show_ppm", "resolved_ppm", "resolution_right_ppm", "aimed_canaries_ppm",
        ):  # fmt: skip
            if not 0 <= getattr(self, name) <= PPM:
                raise SimulationInvalid(f"scenario {self.name}: {name} is not within 0 … 1,000,000")
        if self.cause_of_package_ppm + self.cause_of_family_ppm > PPM or self.canary_ppm + self.attack_ppm > PPM:
            raise SimulationInvalid(f"scenario {self.name}: shares add up to more than 1,000,000 ppm")
        if (
            min(self.submissions, self.submissions_per_day, self.families, self.authors, *(g.size for g in self.groups))
            < 1
        ):
            raise SimulationInvalid(f"scenario {self.name}: a count is below one")
        if len({group.name for group in self.groups}) != len(self.groups):
            raise SimulationInvalid(f"scenario {self.name}: two groups have one name")

    @property
    def validators(self) -> int:
        """Number of validators."""
        return sum(group.size for group in self.groups)

    def sized(self, submissions: int) -> Scenario:
        """This scenario with so many submissions."""
        return replace(self, submissions=submissions)

    def with_clique(self, share_ppm: int, attack_ppm: int) -> Scenario:
        """This scenario with a sleeper clique of ``share_ppm`` of all validators, taken from the first group, that submits
        ``attack_ppm`` of the packages."""
        clique = next((group for group in self.groups if group.behaviour is Behaviour.SLEEPER), None)
        if clique is None:
            raise SimulationInvalid(f"scenario {self.name} has no sleeper clique")
        size = max(1, self.validators * share_ppm // PPM)
        first = self.groups[0]
        if first.size + clique.size - size < 1:
            raise SimulationInvalid(f"scenario {self.name}: a clique of {size} leaves no {first.name}")
        sizes = {clique.name: size, first.name: first.size + clique.size - size}
        groups = tuple(replace(group, size=sizes.get(group.name, group.size)) for group in self.groups)
        return replace(self, groups=groups, attack_ppm=attack_ppm)


@dataclass(frozen=True, slots=True)
class Member:
    """One validator of a simulation."""

    validator_id: str
    operator: str
    family: str
    group: str
    behaviour: Behaviour
    sensitivity_ppm: int
    specificity_ppm: int
    stake_micro_usd: int


def members(scenario: Scenario, random: Random) -> tuple[Member, ...]:
    """The validators of ``scenario``, sorted by id; families go round, so that each group has its part of each."""
    made: list[Member] = []
    for group in scenario.groups:
        for number in range(group.size):
            index = len(made)
            made.append(
                Member(
                    validator_id=f"val_{index:05d}",
                    operator=f"op_{group.name}" if group.one_operator else f"op_{index:05d}",
                    family=f"family_{(index if group.size > 1 else number) % scenario.families}",
                    group=group.name,
                    behaviour=group.behaviour,
                    sensitivity_ppm=random.randint(*group.sensitivity_ppm),
                    specificity_ppm=random.randint(*group.specificity_ppm),
                    stake_micro_usd=random.randint(*group.stake_usd) * MICRO_USD,
                )
            )
    return tuple(made)


def _even(name: str, size: int, stake_usd: int) -> Group:
    """The Sybil splitter, or its twin who does not split: of one skill, so that they differ in nothing else."""
    return Group(name, size, Behaviour.AUDIT, (880_000, 880_000), (960_000, 960_000), (stake_usd, stake_usd))


def _designed() -> Scenario:
    """The population on which the formulas were designed (design/measured/protocol.md, 3), with the stake grinder and the Sybil
    splitter of the issue. 400 validators."""
    return Scenario(
        "designed",
        (
            Group("honest", 212),
            Group("weak", 40, sensitivity_ppm=(550_000, 700_000), specificity_ppm=(800_000, 900_000)),
            Group("always safe", 32, Behaviour.ALWAYS_SAFE),
            Group("random", 20, Behaviour.RANDOM),
            Group("always unsafe", 12, Behaviour.ALWAYS_UNSAFE),
            Group("copycat", 20, Behaviour.COPYCAT),
            Group("sleeper", 40, Behaviour.SLEEPER),
            Group("stake grinder", 3, Behaviour.ALWAYS_SAFE, stake_usd=(90_000, 110_000)),
            _even("sybil split", 20, 1_500),
            _even("sybil whole", 1, 30_000),
        ),
    )


def _unseen() -> Scenario:
    """A population that nothing was tuned on: fewer and weaker honest validators with wider skills, more hostile work, fewer
    families with more of their errors in common, slower and worse resolutions, more of everybody who does not look."""
    return Scenario(
        "unseen",
        (
            Group("honest", 140, sensitivity_ppm=(720_000, 960_000), specificity_ppm=(880_000, 990_000)),
            Group("weak", 30, sensitivity_ppm=(450_000, 620_000), specificity_ppm=(760_000, 880_000)),
            Group("always safe", 33, Behaviour.ALWAYS_SAFE, stake_usd=(500, 40_000)),
            Group("random", 15, Behaviour.RANDOM),
            Group("always unsafe", 15, Behaviour.ALWAYS_UNSAFE),
            Group("copycat", 12, Behaviour.COPYCAT),
            Group(
                "sleeper", 30, Behaviour.SLEEPER, sensitivity_ppm=(720_000, 960_000), specificity_ppm=(880_000, 990_000)
            ),
            Group("stake grinder", 2, Behaviour.RANDOM, stake_usd=(150_000, 200_000)),
            _even("sybil split", 12, 2_000),
            _even("sybil whole", 1, 24_000),
        ),
        families=5,
        unsafe_ppm=250_000,
        canary_ppm=80_000,
        cause_of_package_ppm=200_000,
        cause_of_family_ppm=300_000,
        resolved_ppm=800_000,
        resolution_right_ppm=900_000,
        resolution_days=7,
    )


SCENARIOS = {scenario.name: scenario for scenario in (_designed(), _unseen())}
"""The populations that the report and the gates use, by name."""
