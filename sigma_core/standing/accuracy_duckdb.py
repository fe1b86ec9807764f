"""Audit accuracy by DuckDB: the same steps as `sigma_core.standing.accuracy`, in SQL, equal bit for bit.

Sums are HUGEINT inside and cast back with a check; the recurrence is BIGINT, whose products DuckDB itself refuses to
overflow.
"""

from __future__ import annotations

import polars as pl

from sigma_core.policy import PPM, StandingRules
from sigma_core.standing.accuracy import AccuracyState, check_columns, check_daily, check_profile
from sigma_core.standing.duckdb_engine import Source, connect, fetch
from sigma_core.standing.ledger import LedgerInvalid, prior_q10

_PROFILE = """
SELECT count(*) AS height,
       count(*) * 4 - count(validator_id) - count(day) - count(aligned_q10) - count(misaligned_q10) AS nulls,
       min(day) AS day,
       least(min(aligned_q10), min(misaligned_q10)) AS lowest,
       greatest(max(aligned_q10), max(misaligned_q10)) AS highest
FROM ledger
"""

_DAILY = """
SELECT validator_id,
       CAST(day AS BIGINT) AS day,
       CAST(sum(aligned_q10) AS BIGINT) AS aligned_q10,
       CAST(sum(misaligned_q10) AS BIGINT) AS misaligned_q10
FROM ledger
GROUP BY ALL
ORDER BY day, validator_id
"""

# A side below zero becomes NULL and stays so; USING KEY keeps one row for each validator, not one for each day.
_ADVANCE = """
WITH RECURSIVE
validators AS (
    SELECT validator_id FROM state
    UNION
    SELECT validator_id FROM daily WHERE day <= $until
),
stepped(validator_id, day, aligned_q10, misaligned_q10) USING KEY (validator_id) AS (
    SELECT v.validator_id,
           CAST($after AS BIGINT),
           coalesce(s.aligned_q10, 0),
           coalesce(s.misaligned_q10, 0)
    FROM validators v
    LEFT JOIN state s USING (validator_id)
    UNION ALL
    SELECT validator_id,
           day,
           CASE WHEN aligned_q10 >= 0 THEN aligned_q10 END,
           CASE WHEN misaligned_q10 >= 0 THEN misaligned_q10 END
    FROM (
        SELECT s.validator_id,
               s.day + 1 AS day,
               ((s.aligned_q10 * $decay) >> $bits) + coalesce(d.aligned_q10, 0) AS aligned_q10,
               ((s.misaligned_q10 * $decay) >> $bits) + coalesce(d.misaligned_q10, 0) AS misaligned_q10
        FROM stepped s
        LEFT JOIN daily d ON d.validator_id = s.validator_id AND d.day = s.day + 1
        WHERE s.day < $until
    )
)
SELECT validator_id, aligned_q10, misaligned_q10 FROM stepped ORDER BY validator_id
"""

_ACCURACY = """
SELECT validator_id,
       aligned_q10,
       misaligned_q10,
       ((aligned_q10 + $prior) * $ppm) // (aligned_q10 + misaligned_q10 + 2 * $prior) AS accuracy_ppm
FROM state
ORDER BY validator_id
"""


def daily_points(ledger: Source, threads: int | None = None) -> pl.DataFrame:
    """As `accuracy.daily_points`, of a frame or a Parquet file."""
    with connect({"ledger": ledger}, threads) as connection:
        check_columns(connection.table("ledger").columns)
        check_profile(**fetch(connection, _PROFILE).row(0, named=True))
        return fetch(connection, _DAILY)


def advance(
    state: AccuracyState, daily: pl.DataFrame, day: int, rules: StandingRules, threads: int | None = None
) -> AccuracyState:
    """As `accuracy.advance`."""
    check_daily(state, daily, rules)
    parameters = {"after": state.day, "until": day, "decay": rules.decay_per_day, "bits": rules.decay_bits}
    with connect({"state": state.frame, "daily": daily}, threads) as connection:
        frame = fetch(connection, _ADVANCE, parameters)
    broken = frame.filter(pl.any_horizontal(pl.all().is_null()))
    if broken.height:
        raise LedgerInvalid(
            f"accuracy ledger: validator {broken['validator_id'][0]}, up to day {day}: a side falls below zero"
        )
    return AccuracyState(day, frame)


def replay(ledger: Source, day: int, rules: StandingRules, threads: int | None = None) -> AccuracyState:
    """As `accuracy.replay`."""
    daily = daily_points(ledger, threads)
    first = daily["day"][0] if daily.height else day + 1
    return advance(AccuracyState.before(min(first, day + 1)), daily, day, rules, threads)


def accuracy(state: AccuracyState, rules: StandingRules, threads: int | None = None) -> pl.DataFrame:
    """As `accuracy.accuracy`."""
    with connect({"state": state.frame}, threads) as connection:
        return fetch(connection, _ACCURACY, {"prior": prior_q10(rules), "ppm": PPM})
