"""Governance weight by Polars: stake × accuracy × reputation × tier × bonuses, then the operator cap.

All integers. A weight is in micro-USD of stake at full standing. Before the cap it is, in this order, with one floor after
each factor, factors in ppm:

    min(stake, stake cap) · curve · (offset + r) · tier · (10^6 + plugin bonus) · (10^6 + in-world bonus)
    curve = floor + (10^6 − floor) · x² // 10^12,   x = max(0, 2·accuracy − 10^6)

Every step is a non-decreasing function of every input, so weight is monotone in accuracy, reputation, stake, tier and
bonuses; a suspended validator has none. `max_weight` proves the products below 2^63.

**Operator cap.** With n operators that have weight, one operator holds at most
c = min(10^6, max(operator cap, small-pool multiple · 10^6 // n)) ppm of the total *after* capping. Order the operators
by weight, w_1 ≥ w_2 ≥ …, and let R_k be the sum without the first k. The level is

    C = c·R_k // (10^6 − k·c)   for the smallest k with w_{k+1} ≤ C

and an operator above C is brought to exactly C, so that C·10^6 ≤ c·(R_k + k·C), the total after capping; C + 1 would break
it. Such a level exists when n·c ≥ 10^6, which a multiple of 2 or more gives. Within the operator, shares are scaled by C over
the operator's weight and floored; the units that the floors leave go one each to the largest remainders, ties by
validator id (Hamilton's method). Raising one's own weight then never lowers one's own share.

What splitting a stake gains, before selection: among validators of one operator nothing, as the floors of parts sum to at most
the floor of the whole, but for a stake above the stake cap, which the operator cap bounds; among operators nothing while the
operator cap does not bind, and else at most what the cap took: the cap is as good as the proof that operators differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from sigma_core.canonical import MAX_SAFE_INTEGER
from sigma_core.policy import PPM, StandingRules
from sigma_core.standing.ledger import INT64_END, LedgerInvalid

NEW_ACCURACY_PPM = PPM // 2
"""Accuracy of a validator without any ledger entry: K / 2K."""

MAX_TIER_PPM = 4 * PPM
"""The largest tier factor that the bit-length proof covers."""

VALIDATOR_COLUMNS = {
    "validator_id": pl.String,
    "operator": pl.String,
    "family": pl.String,
    "stake_micro_usd": pl.Int64,
    "tier_ppm": pl.Int64,
    "plugin_bonus_ppm": pl.Int64,
    "in_world_bonus_ppm": pl.Int64,
    "suspended": pl.Boolean,
}

WEIGHT_COLUMNS = {
    **VALIDATOR_COLUMNS,
    "accuracy_ppm": pl.Int64,
    "reputation_ppm": pl.Int64,
    "weight": pl.Int64,
    "capped": pl.Boolean,
}


@dataclass(frozen=True, slots=True)
class WeightTable:
    """Weights of one epoch: ``frame`` has `WEIGHT_COLUMNS`, sorted by validator id; ``operator_cap_ppm`` is the cap that
    applied and ``operator_level`` the weight that it allowed one operator."""

    frame: pl.DataFrame
    operator_cap_ppm: int
    operator_level: int

    @property
    def total_weight(self) -> int:
        """Sum of all weights."""
        return int(self.frame["weight"].sum())


def governance_weights(
    validators: pl.DataFrame, accuracy: pl.DataFrame, reputation: pl.DataFrame, rules: StandingRules
) -> WeightTable:
    """The weight of every validator in ``validators`` (`VALIDATOR_COLUMNS`).

    ``accuracy`` (validator_id, accuracy_ppm) and ``reputation`` (validator_id, reputation_ppm) may lack validators, who then
    stand as new ones do. Raises LedgerInvalid for a validator that is listed twice, unknown, or out of range.
    """
    check_inputs(validators, accuracy, reputation, rules)
    frame = (
        validators.select(*VALIDATOR_COLUMNS)
        .join(accuracy.select("validator_id", "accuracy_ppm"), on="validator_id", how="left")
        .join(reputation.select("validator_id", "reputation_ppm"), on="validator_id", how="left")
        .with_columns(
            pl.col("accuracy_ppm").fill_null(NEW_ACCURACY_PPM),
            pl.col("reputation_ppm").fill_null(rules.reputation_start_ppm),
        )
        .with_columns(weight=_uncapped(rules))
        .with_columns(of_operator=pl.col("weight").sum().over("operator"))
        .sort("validator_id")
    )
    operators = frame.filter(pl.col("weight") > 0).group_by("operator").agg(pl.col("of_operator").first())
    cap = effective_cap_ppm(operators.height, rules)
    level = operator_level(operators["of_operator"].to_list(), cap)
    capped = (pl.col("of_operator") > level) & (pl.col("weight") > 0)
    frame = frame.with_columns(capped=capped)
    scaled = _scale_to_level(frame.filter("capped"), level)
    frame = frame.update(scaled, on="validator_id", maintain_order="left")
    return WeightTable(frame.select(*WEIGHT_COLUMNS), cap, level)


def _uncapped(rules: StandingRules) -> pl.Expr:
    above_chance = (2 * pl.col("accuracy_ppm") - PPM).clip(lower_bound=0)
    curve = rules.accuracy_floor_ppm + (PPM - rules.accuracy_floor_ppm) * above_chance * above_chance // PPM**2
    weight = pl.col("stake_micro_usd").clip(upper_bound=rules.stake_cap_micro_usd)
    for factor in (
        curve,
        rules.reputation_offset_ppm + pl.col("reputation_ppm"),
        pl.col("tier_ppm"),
        PPM + pl.col("plugin_bonus_ppm").clip(upper_bound=rules.plugin_bonus_cap_ppm),
        PPM + pl.col("in_world_bonus_ppm").clip(upper_bound=rules.in_world_bonus_cap_ppm),
    ):
        weight = weight * factor // PPM
    return pl.when("suspended").then(0).otherwise(weight)


def _scale_to_level(capped: pl.DataFrame, level: int) -> pl.DataFrame:
    """``capped`` validators (with ``of_operator``, their operator's sum) with weights that sum to ``level`` for each operator."""
    # One operator's sum may have 63 bits and a weight 50: the product needs more than 64.
    product = pl.col("weight").cast(pl.Int128) * level
    whole = pl.col("of_operator").cast(pl.Int128)
    return (
        capped.select("validator_id", "operator", share=product // whole, remainder=product % whole)
        .sort("operator", "remainder", "validator_id", descending=[False, True, False])
        .with_columns(
            left=level - pl.col("share").sum().over("operator"), rank=pl.col("share").cum_count().over("operator")
        )
        .select("validator_id", weight=(pl.col("share") + (pl.col("rank") <= pl.col("left"))).cast(pl.Int64))
    )


def effective_cap_ppm(operators: int, rules: StandingRules) -> int:
    """The share of the total that one of ``operators`` (those with weight) may hold: in a small pool more than the policy's."""
    if operators == 0:
        return PPM
    return min(PPM, max(rules.operator_cap_ppm, rules.operator_cap_small_pool_multiple * PPM // operators))


def operator_level(weights: Iterable[int], cap_ppm: int) -> int:
    """The level C of the module's text for operators' ``weights`` > 0, 0 for none. Raises LedgerInvalid when there is none."""
    ordered = sorted(weights, reverse=True)
    if not ordered:
        return 0
    rest = sum(ordered)
    for capped, heaviest in enumerate(ordered):
        share_left = PPM - capped * cap_ppm
        if share_left <= 0:
            break
        level = cap_ppm * rest // share_left
        if heaviest <= level:
            return level
        rest -= heaviest
    raise LedgerInvalid(
        f"{len(ordered)} operators cannot each hold at most {cap_ppm} ppm of the total: raise operator_cap_small_pool_multiple"
    )


def max_weight(rules: StandingRules) -> int:
    """The largest weight that one validator can have.

    Raises LedgerInvalid when a product on the way there might pass 2^63 − 1, or the result what canonical JSON holds.
    """
    curve_product = (PPM - rules.accuracy_floor_ppm) * PPM * PPM
    weight, products = rules.stake_cap_micro_usd, [curve_product]
    for factor in (
        PPM,
        rules.reputation_offset_ppm + PPM,
        MAX_TIER_PPM,
        PPM + rules.plugin_bonus_cap_ppm,
        PPM + rules.in_world_bonus_cap_ppm,
    ):
        products.append(weight * factor)
        weight = weight * factor // PPM
    if max(products) >= INT64_END or weight > MAX_SAFE_INTEGER:
        raise LedgerInvalid(f"policy: stake_cap_micro_usd {rules.stake_cap_micro_usd} is too large for 64-bit weights")
    return weight


def check_validators(validators: pl.DataFrame, rules: StandingRules) -> None:
    """Refuse validators that no weight can be computed of. Raises LedgerInvalid, naming the validator and the rule."""
    if validators.height * max_weight(rules) >= INT64_END:
        raise LedgerInvalid(f"{validators.height} validators at the stake cap would sum past 64 bits")
    for broken, rule in (
        (pl.any_horizontal(pl.col(list(VALIDATOR_COLUMNS)).is_null()), "has an empty value"),
        (pl.col("validator_id").is_duplicated(), "is listed twice"),
        (pl.col("stake_micro_usd") < 0, "has a negative stake"),
        (pl.col("stake_micro_usd") > MAX_SAFE_INTEGER, "has a stake beyond 2^53 − 1 micro-USD"),
        (~pl.col("tier_ppm").is_between(0, MAX_TIER_PPM), f"has a tier outside 0 … {MAX_TIER_PPM}"),
        (pl.min_horizontal("plugin_bonus_ppm", "in_world_bonus_ppm") < 0, "has a negative bonus"),
    ):
        _refuse_first("validator", validators.filter(broken), rule)


def check_inputs(
    validators: pl.DataFrame, accuracy: pl.DataFrame, reputation: pl.DataFrame, rules: StandingRules
) -> None:
    """Refuse what neither engine is meant to see; names the validator and the rule."""
    check_validators(validators, rules)
    known = pl.col("validator_id").is_in(validators["validator_id"].implode())
    for what, frame, within, range_of in (
        ("accuracy of", accuracy, pl.col("accuracy_ppm").is_between(1, PPM - 1), "(0, 1)"),
        ("reputation of", reputation, pl.col("reputation_ppm").is_between(0, PPM), "0 … 1"),
    ):
        for broken, rule in (
            (pl.col("validator_id").is_duplicated(), "is listed twice"),
            (~known, "is of an unknown validator"),
            (~within, f"is not within {range_of}"),
        ):
            _refuse_first(what, frame.filter(broken), rule)


def _refuse_first(what: str, broken: pl.DataFrame, rule: str) -> None:
    if broken.height:
        raise LedgerInvalid(f"{what} {broken['validator_id'].sort()[0]} {rule}")
