{{ config(materialized='table') }}

-- One row for each validator: who it is, what the newest epoch says of it, and what that rests on.
WITH newest AS (
    SELECT
        *,
        CAST(weight * 1000000 // nullif(sum(weight) OVER (), 0) AS BIGINT) AS weight_share_ppm,
        CAST(stake_micro_usd * 1000000 // nullif(sum(stake_micro_usd) OVER (), 0) AS BIGINT) AS stake_share_ppm
    FROM (
        SELECT * REPLACE (CAST(weight AS HUGEINT) AS weight, CAST(stake_micro_usd AS HUGEINT) AS stake_micro_usd)
        FROM {{ ref('stg_weights') }}
        WHERE is_newest
    )
),

votes AS (
    SELECT
        validator_id,
        count(*) AS scored_seats,
        count(*) FILTER (reason = 'ALIGNED') AS aligned_seats,
        count(*) FILTER (reason = 'MISALIGNED') AS misaligned_seats,
        count(*) FILTER (reason = 'ABSTAINED') AS abstained_seats,
        count(*) FILTER (reason IN ('NO_SHOW', 'LATE_REVEAL')) AS missed_seats,
        max(scored_on) AS last_scored_on
    FROM {{ ref('stg_accuracy_entries') }}
    WHERE NOT taken_back
    GROUP BY validator_id
),

conduct AS (
    SELECT
        validator_id,
        count(*) FILTER (kind = 'CONSTRUCTIVE') AS constructive_events,
        count(*) FILTER (is_bad) AS bad_events
    FROM {{ ref('stg_reputation_events') }}
    WHERE NOT taken_back
    GROUP BY validator_id
)

SELECT
    validator_id,
    validators.operator,
    validators.family,
    validators.status,
    validators.joined_at,
    newest.epoch,
    validators.stake_micro_usd,
    newest.accuracy_ppm,
    newest.reputation_ppm,
    CAST(newest.weight AS BIGINT) AS weight,
    newest.weight_share_ppm,
    newest.stake_share_ppm,
    coalesce(newest.capped, false) AS capped,
    coalesce(votes.scored_seats, 0) AS scored_seats,
    coalesce(votes.aligned_seats, 0) AS aligned_seats,
    coalesce(votes.misaligned_seats, 0) AS misaligned_seats,
    coalesce(votes.abstained_seats, 0) AS abstained_seats,
    coalesce(votes.missed_seats, 0) AS missed_seats,
    coalesce(conduct.constructive_events, 0) AS constructive_events,
    coalesce(conduct.bad_events, 0) AS bad_events,
    votes.last_scored_on
FROM {{ ref('stg_validators') }} AS validators
LEFT JOIN newest USING (validator_id)
LEFT JOIN votes USING (validator_id)
LEFT JOIN conduct USING (validator_id)
ORDER BY validator_id
