"""Governance weight by DuckDB: the same integers as `sigma_core.standing.weights`, in one SQL statement, equal bit for bit.

Operator sums and the cap are HUGEINT. The cap's level is found by a window over the operators instead of a loop.
"""

from __future__ import annotations

import polars as pl

from sigma_core.policy import PPM, StandingRules
from sigma_core.standing.duckdb_engine import connect, fetch
from sigma_core.standing.weights import NEW_ACCURACY_PPM, WEIGHT_COLUMNS, WeightTable, check_inputs

_WEIGHTS = """
WITH
curved AS (
    SELECT v.*,
           coalesce(a.accuracy_ppm, p.new_accuracy) AS accuracy_ppm,
           coalesce(r.reputation_ppm, p.new_reputation) AS reputation_ppm,
           greatest(0, 2 * coalesce(a.accuracy_ppm, p.new_accuracy) - p.one) AS above_chance,
           p.floor + ((p.one - p.floor) * above_chance * above_chance) // (p.one * p.one) AS curve
    FROM validators v
    CROSS JOIN policy p
    LEFT JOIN accuracy a USING (validator_id)
    LEFT JOIN reputation r USING (validator_id)
),
uncapped AS (
    SELECT c.*,
           (least(stake_micro_usd, p.stake_cap) * curve) // p.one AS by_accuracy,
           (by_accuracy * (p.reputation_offset + reputation_ppm)) // p.one AS by_reputation,
           (by_reputation * tier_ppm) // p.one AS by_tier,
           (by_tier * (p.one + least(plugin_bonus_ppm, p.plugin_cap))) // p.one AS by_plugins,
           (by_plugins * (p.one + least(in_world_bonus_ppm, p.in_world_cap))) // p.one AS by_world,
           CASE WHEN suspended THEN 0 ELSE by_world END AS uncapped
    FROM curved c CROSS JOIN policy p
),
operators AS (
    SELECT operator, sum(uncapped)::HUGEINT AS whole
    FROM uncapped GROUP BY operator HAVING sum(uncapped) > 0
),
cap AS (
    SELECT p.one,
           CASE WHEN n = 0 THEN p.one ELSE least(p.one, greatest(p.operator_cap, (p.multiple * p.one) // n)) END AS cap
    FROM (SELECT count(*) AS n FROM operators) CROSS JOIN policy p
),
ordered AS (
    SELECT operator, whole, cap,
           row_number() OVER (ORDER BY whole DESC, operator) - 1 AS heavier,
           sum(whole) OVER (
               ORDER BY whole DESC, operator ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
           )::HUGEINT AS rest,
           one - heavier * cap AS share_left
    FROM operators CROSS JOIN cap
),
allowed AS (
    SELECT heavier, whole, (cap * rest) // share_left AS level
    FROM ordered
    WHERE share_left > 0
),
level AS (
    SELECT coalesce((SELECT level FROM allowed WHERE whole <= level ORDER BY heavier LIMIT 1), 0) AS level
),
shares AS (
    SELECT u.*, level, cap,
           coalesce(whole > level AND uncapped > 0, false) AS capped,
           (uncapped::HUGEINT * level) // whole AS share,
           (uncapped::HUGEINT * level) % whole AS remainder
    FROM uncapped u CROSS JOIN level CROSS JOIN cap LEFT JOIN operators USING (operator)
),
ranked AS (
    SELECT *,
           row_number() OVER (PARTITION BY operator ORDER BY remainder DESC, validator_id) AS rank,
           level - sum(share) OVER (PARTITION BY operator) AS units_left
    FROM shares
)
SELECT * REPLACE (level::BIGINT AS level),
       CASE WHEN capped THEN share + (rank <= units_left)::BIGINT ELSE uncapped END::BIGINT AS weight
FROM ranked
ORDER BY validator_id
"""


def governance_weights(
    validators: pl.DataFrame,
    accuracy: pl.DataFrame,
    reputation: pl.DataFrame,
    rules: StandingRules,
    threads: int | None = None,
) -> WeightTable:
    """As `weights.governance_weights`."""
    check_inputs(validators, accuracy, reputation, rules)
    policy = {
        "one": PPM,
        "new_accuracy": NEW_ACCURACY_PPM,
        "new_reputation": rules.reputation_start_ppm,
        "stake_cap": rules.stake_cap_micro_usd,
        "floor": rules.accuracy_floor_ppm,
        "reputation_offset": rules.reputation_offset_ppm,
        "plugin_cap": rules.plugin_bonus_cap_ppm,
        "in_world_cap": rules.in_world_bonus_cap_ppm,
        "operator_cap": rules.operator_cap_ppm,
        "multiple": rules.operator_cap_small_pool_multiple,
    }
    tables = {
        "validators": validators,
        "accuracy": accuracy.select("validator_id", "accuracy_ppm"),
        "reputation": reputation.select("validator_id", "reputation_ppm"),
        "policy": pl.DataFrame(policy, schema=dict.fromkeys(policy, pl.Int64)),
    }
    with connect(tables, threads) as connection:
        rows = fetch(connection, _WEIGHTS)
    cap, level = rows.select("cap", "level").row(0) if rows.height else (PPM, 0)
    return WeightTable(rows.select(*WEIGHT_COLUMNS), cap, level)
