"""Governance weight: monotone, capped exactly, and the same integers on both engines."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from types import ModuleType
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sigma_core.policy import PPM, StandingRules, load_policy
from sigma_core.standing import weights, weights_duckdb
from sigma_core.standing.ledger import LedgerInvalid
from sigma_core.standing.weights import (
    MAX_TIER_PPM,
    VALIDATOR_COLUMNS,
    WeightTable,
    effective_cap_ppm,
    max_weight,
    operator_level,
)

RULES = load_policy().standing
CAP = RULES.stake_cap_micro_usd
ENGINES = [pytest.param(weights, id="polars"), pytest.param(weights_duckdb, id="duckdb")]


@dataclass(frozen=True)
class One:
    """One validator with its standing; None = new."""

    name: str
    operator: str = "solo"
    stake: int = 1_000_000_000
    accuracy: int | None = 900_000
    reputation: int | None = 500_000
    tier: int = PPM
    plugin: int = 0
    world: int = 0
    suspended: bool = field(default=False)

    def but(self, **changes: Any) -> One:
        return One(**{**self.__dict__, **changes})


Frames = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]


def frames(pool: list[One]) -> Frames:
    validators = pl.DataFrame(
        [(v.name, v.operator, "family", v.stake, v.tier, v.plugin, v.world, v.suspended) for v in pool],
        schema=VALIDATOR_COLUMNS,
        orient="row",
    )
    accuracy = pl.DataFrame(
        [(v.name, v.accuracy) for v in pool if v.accuracy is not None],
        schema={"validator_id": pl.String, "accuracy_ppm": pl.Int64},
        orient="row",
    )
    reputation = pl.DataFrame(
        [(v.name, v.reputation) for v in pool if v.reputation is not None],
        schema={"validator_id": pl.String, "reputation_ppm": pl.Int64},
        orient="row",
    )
    return validators, accuracy, reputation


def weigh(pool: list[One], rules: StandingRules = RULES) -> WeightTable:
    return weights.governance_weights(*frames(pool), rules)


def weight_of(table: WeightTable, name: str) -> int:
    return int(table.frame.filter(pl.col("validator_id") == name)["weight"].item())


def by_operator(table: WeightTable) -> dict[str, int]:
    totals: dict[str, int] = defaultdict(int)
    for operator, weight in table.frame.select("operator", "weight").rows():
        totals[operator] += weight
    return totals


def uncapped_by_hand(v: One) -> int:
    if v.suspended:
        return 0
    accuracy = 500_000 if v.accuracy is None else v.accuracy
    reputation = 500_000 if v.reputation is None else v.reputation
    curve = 50_000 + 950_000 * max(0, 2 * accuracy - PPM) ** 2 // PPM**2
    weight = min(v.stake, CAP)
    for factor in (curve, 500_000 + reputation, v.tier, PPM + min(v.plugin, 100_000), PPM + min(v.world, 50_000)):
        weight = weight * factor // PPM
    return weight


def validators(names: st.SearchStrategy[str]) -> st.SearchStrategy[One]:
    # Stakes of a few micro-USD test the roundings, stakes beyond the cap the caps.
    stakes = st.one_of(st.integers(0, 100), st.integers(0, 2 * CAP))
    return st.builds(
        One,
        name=names,
        operator=st.sampled_from(["ann", "ben", "cem", "dag", "eva", "fay", "gil"]),
        stake=stakes,
        accuracy=st.none() | st.integers(1, PPM - 1),
        reputation=st.none() | st.integers(0, PPM),
        tier=st.sampled_from([PPM, PPM // 2, 0, MAX_TIER_PPM]) | st.integers(0, MAX_TIER_PPM),
        plugin=st.integers(0, 200_000),
        world=st.integers(0, 100_000),
        suspended=st.sampled_from([False, False, False, True]),
    )


pools = st.lists(validators(st.text(min_size=1, max_size=3)), max_size=14, unique_by=lambda v: v.name)


@settings(deadline=None, max_examples=40)
@given(pools, st.sampled_from([1, 4]), st.randoms(use_true_random=False))
def test_both_engines_agree_on_every_row_in_any_order(pool: list[One], threads: int, order: Any) -> None:
    by_polars = weigh(pool)
    shuffled = pool.copy()
    order.shuffle(shuffled)
    by_duckdb = weights_duckdb.governance_weights(*frames(shuffled), RULES, threads)
    assert by_duckdb.frame.equals(by_polars.frame)
    assert by_duckdb.frame.schema == by_polars.frame.schema
    assert (by_duckdb.operator_cap_ppm, by_duckdb.operator_level) == (
        by_polars.operator_cap_ppm,
        by_polars.operator_level,
    )


@settings(deadline=None)
@given(pools)
def test_no_operator_holds_more_than_the_cap_of_the_total_after_capping(pool: list[One]) -> None:
    table = weigh(pool)
    held = by_operator(table)
    uncapped = {v.name: uncapped_by_hand(v) for v in pool}
    whole: dict[str, int] = defaultdict(int)
    for v in pool:
        whole[v.operator] += uncapped[v.name]
    with_weight = [weight for weight in whole.values() if weight]
    assert table.operator_cap_ppm == effective_cap_ppm(len(with_weight), RULES)
    for operator, weight in held.items():
        assert weight * PPM <= table.operator_cap_ppm * table.total_weight
        assert weight == min(whole[operator], table.operator_level)
    for row in table.frame.iter_rows(named=True):
        share = Fraction(uncapped[row["validator_id"]])
        if row["capped"]:
            share *= Fraction(table.operator_level, whole[row["operator"]])
        assert abs(row["weight"] - share) < 1
        assert row["capped"] == (whole[row["operator"]] > table.operator_level and share > 0)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(2, 4))
def test_the_level_is_the_highest_that_holds(weights_of_operators: list[int], multiple: int) -> None:
    cap = min(PPM, multiple * PPM // len(weights_of_operators))
    level = operator_level(weights_of_operators, cap)

    def holds(level: int) -> bool:
        total = sum(min(weight, level) for weight in weights_of_operators)
        return min(max(weights_of_operators), level) * PPM <= cap * total

    assert holds(level)
    if level < max(weights_of_operators):
        assert not any(holds(higher) for higher in range(level + 1, max(weights_of_operators) + 1))


RAISES = {
    "accuracy": lambda v, by: v.but(accuracy=min(PPM - 1, (500_000 if v.accuracy is None else v.accuracy) + by)),
    "reputation": lambda v, by: v.but(reputation=min(PPM, (500_000 if v.reputation is None else v.reputation) + by)),
    "stake": lambda v, by: v.but(stake=v.stake + by * 1000),
    "tier": lambda v, by: v.but(tier=min(MAX_TIER_PPM, v.tier + by)),
    "plugin": lambda v, by: v.but(plugin=v.plugin + by),
    "world": lambda v, by: v.but(world=v.world + by),
}


@settings(deadline=None)
@given(pools, st.sampled_from(sorted(RAISES)), st.integers(1, PPM), st.data())
def test_weight_is_monotone_in_each_input(pool: list[One], what: str, by: int, data: st.DataObject) -> None:
    assume(pool)
    at = data.draw(st.integers(0, len(pool) - 1))
    raised = [RAISES[what](v, by) if index == at else v for index, v in enumerate(pool)]
    before, after = weigh(pool), weigh(raised)
    # A weight that rises from nothing may add an operator, which alone changes the effective cap of a small pool.
    assume(before.operator_cap_ppm == after.operator_cap_ppm)
    assert weight_of(after, pool[at].name) >= weight_of(before, pool[at].name)


@settings(deadline=None)
@given(pools)
def test_a_suspended_validator_has_no_weight(pool: list[One]) -> None:
    table = weigh(pool)
    assert table.frame.filter("suspended")["weight"].sum() == 0


class TestFormula:
    # One operator in a pool of two may hold all: the cap is idle.
    def weight(self, **changes: Any) -> int:
        return weight_of(weigh([One("v", "one").but(**changes), One("w", "two", stake=CAP)]), "v")

    def test_at_half_reputation_and_full_accuracy_weight_is_stake(self) -> None:
        assert self.weight(stake=1_000_000, accuracy=PPM - 1) == 999_996

    def test_a_new_validator_starts_at_the_floor(self) -> None:
        assert self.weight(accuracy=None, reputation=None) == 50_000_000
        assert self.weight(accuracy=1) == 50_000_000

    def test_accuracy_above_chance_counts_squared(self) -> None:
        assert self.weight(accuracy=750_000) == 287_500_000  # 0.05 + 0.95 · 0.25

    def test_reputation_tier_and_bonuses_multiply(self) -> None:
        assert self.weight(accuracy=None, reputation=PPM, tier=1_200_000, plugin=100_000, world=50_000) == 103_950_000

    def test_bonuses_and_stake_are_capped(self) -> None:
        assert self.weight(plugin=10**9, world=10**9) == self.weight(plugin=100_000, world=50_000)
        assert self.weight(stake=2**53 - 1) == self.weight(stake=CAP)

    @pytest.mark.parametrize("engine", ENGINES)
    def test_nobody_gives_an_empty_table(self, engine: ModuleType) -> None:
        table = engine.governance_weights(*frames([]), RULES)
        assert (table.frame.height, table.total_weight, table.operator_cap_ppm, table.operator_level) == (0, 0, PPM, 0)


class TestOperatorCap:
    def test_in_a_large_pool_it_is_the_policys_and_in_a_small_one_twice_an_equal_share(self) -> None:
        assert effective_cap_ppm(1000, RULES) == 10_000
        assert effective_cap_ppm(120, RULES) == 16_666
        assert effective_cap_ppm(2, RULES) == PPM
        assert effective_cap_ppm(1, RULES) == PPM

    def test_a_capped_operators_validators_keep_their_proportions(self) -> None:
        pool = [One("big-1", "big", stake=60 * 10**9), One("big-2", "big", stake=20 * 10**9)]
        pool += [One(f"small-{n}", f"operator-{n}", stake=10**9) for n in range(7)]
        table = weigh(pool)
        assert table.operator_cap_ppm == 250_000
        assert table.frame.filter("capped")["validator_id"].to_list() == ["big-1", "big-2"]
        level = table.operator_level
        assert weight_of(table, "big-1") + weight_of(table, "big-2") == level
        assert abs(weight_of(table, "big-1") - Fraction(3, 4) * level) < 1
        assert Fraction(level, table.total_weight) > Fraction(249_999, PPM)

    def test_a_cap_that_no_level_can_keep_is_refused(self) -> None:
        with pytest.raises(LedgerInvalid, match="3 operators cannot each hold at most 333333 ppm"):
            operator_level([5, 5, 5], 333_333)


class TestSplittingAStake:
    @settings(deadline=None)
    @given(pools, st.lists(st.integers(0, CAP // 4), min_size=2, max_size=4))
    def test_among_validators_of_one_operator_gains_nothing(self, others: list[One], parts: list[int]) -> None:
        others = [v for v in others if not v.name.startswith("me")]
        me = One("me", "mine", accuracy=812_345, reputation=654_321)
        whole = weigh([*others, me.but(stake=sum(parts))])
        split = weigh([*others, *(me.but(name=f"me{n}", stake=part) for n, part in enumerate(parts))])
        assume(whole.operator_cap_ppm == split.operator_cap_ppm)
        assert by_operator(split)["mine"] <= by_operator(whole)["mine"]

    @settings(deadline=None)
    @given(pools, st.lists(st.integers(0, CAP // 4), min_size=2, max_size=4))
    def test_among_operators_gains_at_most_what_the_operator_cap_took(
        self, others: list[One], parts: list[int]
    ) -> None:
        others = [v for v in others if not v.name.startswith("me")]
        me = One("me", "mine", accuracy=812_345, reputation=654_321)
        split = weigh(
            [*others, *(me.but(name=f"me{n}", operator=f"mine{n}", stake=part) for n, part in enumerate(parts))]
        )
        held = sum(weight for operator, weight in by_operator(split).items() if operator.startswith("mine"))
        assert held <= uncapped_by_hand(me.but(stake=sum(parts)))

    def test_at_the_cap_gains_at_most_a_twentieth_in_ten_seats(self) -> None:
        # One identity sits at most once in ten seats; infinitely many small ones take ten times their share.
        share = Fraction(RULES.operator_cap_ppm, PPM)
        assert 10 * share / (1 - (1 - share) ** 10) <= Fraction(105, 100)


class TestRefusals:
    @pytest.mark.parametrize(
        ("pool", "rule"),
        [
            ([One("v"), One("v")], "validator v is listed twice"),
            ([One("v", stake=-1)], "validator v has a negative stake"),
            ([One("v", stake=2**53)], "validator v has a stake beyond"),
            ([One("v", tier=MAX_TIER_PPM + 1)], "validator v has a tier outside"),
            ([One("v", plugin=-1)], "validator v has a negative bonus"),
            ([One("v", accuracy=0)], r"accuracy of v is not within \(0, 1\)"),
            ([One("v", reputation=PPM + 1)], "reputation of v is not within 0"),
            ([One("v", operator=None)], "validator v has an empty value"),  # type: ignore[arg-type]
        ],
    )
    @pytest.mark.parametrize("engine", ENGINES)
    def test_a_validator(self, engine: ModuleType, pool: list[One], rule: str) -> None:
        with pytest.raises(LedgerInvalid, match=rule):
            engine.governance_weights(*frames(pool), RULES)

    def test_a_ledger_of_an_unknown_validator(self) -> None:
        known, accuracy, reputation = frames([One("v")])
        _, of_nobody, nobodys = frames([One("nobody")])
        with pytest.raises(LedgerInvalid, match="accuracy of nobody is of an unknown validator"):
            weights.governance_weights(known, of_nobody, reputation, RULES)
        with pytest.raises(LedgerInvalid, match="reputation of nobody is of an unknown validator"):
            weights.governance_weights(known, accuracy, nobodys, RULES)

    def test_a_stake_cap_that_64_bits_cannot_multiply(self) -> None:
        with pytest.raises(LedgerInvalid, match="stake_cap_micro_usd 10000000000000 is too large"):
            weigh([One("v")], RULES.model_copy(update={"stake_cap_micro_usd": 10**13}))


def test_the_largest_weight_is_reached_and_fits() -> None:
    best = One("v", stake=2**53 - 1, accuracy=PPM - 1, reputation=PPM, tier=MAX_TIER_PPM, plugin=10**6, world=10**6)
    assert max_weight(RULES) * Fraction(9999, 10_000) < uncapped_by_hand(best) <= max_weight(RULES) < 2**53
    assert weight_of(weigh([best]), "v") == uncapped_by_hand(best)
