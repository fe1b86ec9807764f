"""SIGMA reputation by DuckDB: the same steps as `sigma_core.standing.reputation`, in SQL, equal bit for bit.

A day's constructive and bad events are folded one by one with ``list_reduce``; days are the steps of a recursive query.
"""

from __future__ import annotations

import polars as pl

from sigma_core.policy import PPM, StandingRules
from sigma_core.standing.duckdb_engine import connect, fetch
from sigma_core.standing.reputation import HALF_PPM, STATE_SCHEMA, ReputationState, check_events, daily_counts

# A validator's steps begin on the eve of its first event: before it nothing moves it.
_ADVANCE = """
WITH RECURSIVE
stepped(validator_id, day, reputation_ppm, ceiling_ppm) USING KEY (validator_id) AS (
    (
        SELECT validator_id, CAST($after AS BIGINT), reputation_ppm, ceiling_ppm
        FROM state
        UNION ALL
        SELECT validator_id, min(day) - 1, CAST($start AS BIGINT), CAST($one AS BIGINT)
        FROM daily
        WHERE validator_id NOT IN (SELECT validator_id FROM state)
        GROUP BY validator_id
    )
    UNION ALL
    SELECT validator_id, day, least(moved, ceiling_ppm), ceiling_ppm
    FROM (
        SELECT s.validator_id,
               s.day + 1 AS day,
               least(CASE WHEN d.lifted THEN $one ELSE s.ceiling_ppm END, coalesce(d.sanction_ppm, $one)) AS ceiling_ppm,
               greatest(0, least($one, coalesce(d.change_ppm, 0) +
               CASE WHEN coalesce(d.constructive + d.bad, 0) = 0
                    THEN $half + sign(s.reputation_ppm - $half) * ((abs(s.reputation_ppm - $half) * $keep) >> $bits)
                    ELSE list_reduce(
                        range(d.bad),
                        lambda r, _: (r * ($one - $loss)) // $one,
                        list_reduce(
                            range(d.constructive),
                            lambda r, _: r + ((($one - r) * $good) // $one),
                            s.reputation_ppm
                        )
                    )
               END)) AS moved
        FROM stepped s
        LEFT JOIN daily d ON d.validator_id = s.validator_id AND d.day = s.day + 1
        WHERE s.day < $until
    )
)
SELECT validator_id, reputation_ppm, ceiling_ppm FROM stepped ORDER BY validator_id
"""


def advance(
    state: ReputationState, events: pl.DataFrame, day: int, rules: StandingRules, threads: int | None = None
) -> ReputationState:
    """As `reputation.advance`."""
    check_events(state, events)
    return advance_daily(state, daily_counts(events), day, rules, threads)


def advance_daily(
    state: ReputationState, daily: pl.DataFrame, day: int, rules: StandingRules, threads: int | None = None
) -> ReputationState:
    """As `reputation.advance_daily`."""
    daily = daily.filter(pl.col("day") <= day)
    parameters = {
        "after": state.day,
        "until": day,
        "one": PPM,
        "half": HALF_PPM,
        "start": rules.reputation_start_ppm,
        "good": rules.reputation_constructive_ppm,
        "loss": rules.reputation_bad_ppm,
        "keep": rules.reputation_idle_keep_per_day,
        "bits": rules.decay_bits,
    }
    with connect({"state": state.frame, "daily": daily}, threads) as connection:
        return ReputationState(day, fetch(connection, _ADVANCE, parameters).select(*STATE_SCHEMA))


def replay(events: pl.DataFrame, day: int, rules: StandingRules, threads: int | None = None) -> ReputationState:
    """As `reputation.replay`."""
    first = events["day"].sort()[0] if events.height else day + 1
    return advance(ReputationState.before(min(first, day + 1)), events, day, rules, threads)
