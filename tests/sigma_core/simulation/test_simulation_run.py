"""A simulated deployment: repeatable, on the protocol's own code, counted without loss."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from random import Random

import pytest

from sigma_core.policy import PPM, Policy
from sigma_core.simulation.population import (
    SCENARIOS,
    Behaviour,
    Group,
    Scenario,
    SimulationInvalid,
    members,
)
from sigma_core.simulation.run import Result, _Luck, simulate
from sigma_core.simulation.study import with_standing

TOWN = Scenario(
    "town",
    (Group("honest", 40), Group("idle", 10, Behaviour.ALWAYS_SAFE), Group("sleeper", 6, Behaviour.SLEEPER)),
    submissions=120,
    submissions_per_day=25,
    families=5,
    attack_ppm=100_000,
)


@pytest.fixture(scope="module")
def town(policy: Policy) -> Result:
    return simulate(TOWN, policy, 3)


def test_equal_seeds_give_equal_results_in_any_process_and_others_differ(policy: Policy, town: Result) -> None:
    assert simulate(TOWN, policy, 3) == town
    assert simulate(TOWN, policy, 4).shares != town.shares
    program = (
        "from dataclasses import replace\n"
        "from sigma_core.policy import load_policy\n"
        "from sigma_core.simulation.population import SCENARIOS\n"
        "from sigma_core.simulation.run import simulate\n"
        "print(simulate(SCENARIOS['unseen'].sized(40), load_policy(), 5))\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


def test_every_submission_is_counted_once(town: Result) -> None:
    assert town.submissions == TOWN.submissions
    assert town.canaries + town.safe + town.unsafe == town.submissions
    assert town.attacks <= town.unsafe
    assert sum(town.seats_by_group.values()) == 10 * town.submissions
    for certified, of in ((town.safe_certified, town.safe), (town.attacks_certified, town.attacks)):
        assert 0 <= certified <= of


def test_shares_of_every_day_add_up_and_the_first_day_is_neutral(town: Result) -> None:
    days = -(-TOWN.submissions // TOWN.submissions_per_day)
    assert sorted({share.day for share in town.shares}) == list(range(days))
    for day in range(days):
        of_day = [share for share in town.shares if share.day == day]
        assert [share.group for share in of_day] == [group.name for group in TOWN.groups]
        assert PPM - 3 <= sum(share.weight_ppm for share in of_day) <= PPM
        assert PPM - 3 <= sum(share.stake_ppm for share in of_day) <= PPM


def test_a_clique_that_does_not_attack_is_as_good_as_honest(policy: Policy) -> None:
    peaceful = replace(TOWN, attack_ppm=0, groups=(Group("honest", 40), Group("sleeper", 40, Behaviour.SLEEPER)))
    final = simulate(peaceful.sized(600), policy, 1).final
    assert abs(final["honest"] - final["sleeper"]) < 150_000


def test_under_another_policy_the_same_votes_weigh_differently(policy: Policy, town: Result) -> None:
    stricter = with_standing(policy, missed_unsafe_q10=4 * 1024)
    other = simulate(TOWN, stricter, 3)
    assert other.policy_hash != town.policy_hash
    assert other.final["idle"] != town.final["idle"]


@pytest.mark.parametrize("package, family", [(0, 0), (1_000_000, 0), (0, 1_000_000), (300_000, 400_000)])  # noqa: PT006
def test_shared_causes_do_not_change_how_often_a_validator_is_right(package: int, family: int) -> None:
    scenario = replace(TOWN, cause_of_package_ppm=package, cause_of_family_ppm=family)
    random = Random(1)
    right = both = 0
    for _ in range(20_000):
        luck = _Luck(random, scenario)
        one = luck.of("a", random.randrange(PPM)) < 800_000
        other = luck.of("a", random.randrange(PPM)) < 800_000
        right += one
        both += one and other
    assert abs(right / 20_000 - 0.8) < 0.012
    shared = (package / PPM) ** 2 + (family / PPM) ** 2
    assert abs(both / 20_000 - (0.64 + 0.16 * shared)) < 0.015


def test_exposed_validators_never_sit_on_that_author_again(policy: Policy) -> None:
    crowd = (Group("honest", 220), Group("idle", 60, Behaviour.ALWAYS_SAFE), Group("sleeper", 40, Behaviour.SLEEPER))
    free = replace(TOWN, groups=crowd, attack_ppm=300_000, canary_ppm=0, resolution_days=1).sized(200)
    limited = replace(free, exposure_limit=True)
    drawn = [(simulate(limited, policy, seed), simulate(free, policy, seed)) for seed in range(1, 7)]
    for group in ("idle", "sleeper"):
        assert sum(few.seats_by_group[group] for few, _ in drawn) < sum(many.seats_by_group[group] for _, many in drawn)


def test_aimed_canaries_cost_a_clique_with_one_name_and_not_one_with_many(policy: Policy) -> None:
    base = replace(TOWN, canary_ppm=200_000, aimed_canaries_ppm=PPM).sized(500)
    aimed, fresh = simulate(base, policy, 2), simulate(replace(base, fresh_authors=True), policy, 2)
    assert aimed.final["sleeper"] < fresh.final["sleeper"]


class TestScenarios:
    def test_members_are_as_the_groups_say(self) -> None:
        made = members(SCENARIOS["designed"], Random(1))
        assert len(made) == SCENARIOS["designed"].validators == 400
        assert [member.validator_id for member in made] == sorted({member.validator_id for member in made})
        assert len({member.operator for member in made}) == 400
        shared = members(replace(TOWN, groups=(Group("one", 5, one_operator=True), Group("two", 3))), Random(1))
        assert len({member.operator for member in shared}) == 4

    def test_a_clique_of_another_size_is_taken_from_the_first_group(self) -> None:
        changed = TOWN.with_clique(250_000, 50_000)
        assert [group.size for group in changed.groups] == [32, 10, 14]
        assert (changed.validators, changed.attack_ppm) == (TOWN.validators, 50_000)
        with pytest.raises(SimulationInvalid, match="a clique of 56 leaves no honest"):
            TOWN.with_clique(PPM, 1)
        with pytest.raises(SimulationInvalid, match="has no sleeper clique"):
            replace(TOWN, groups=TOWN.groups[:1]).with_clique(1, 1)

    @pytest.mark.parametrize(
        ("changes", "rule"),
        [
            ({"unsafe_ppm": PPM + 1}, "unsafe_ppm is not within"),
            ({"no_show_ppm": -1}, "no_show_ppm is not within"),
            ({"cause_of_package_ppm": 600_000, "cause_of_family_ppm": 500_000}, "more than 1,000,000"),
            ({"submissions": 0}, "a count is below one"),
            ({"groups": (Group("a", 1), Group("a", 2))}, "two groups have one name"),
        ],
    )
    def test_refuses(self, changes: dict[str, object], rule: str) -> None:
        with pytest.raises(SimulationInvalid, match=rule):
            replace(TOWN, **changes)
