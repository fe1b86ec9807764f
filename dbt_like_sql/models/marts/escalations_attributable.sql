{{ config(materialized='table') }}

-- One row for each validator that sat in an escalated round: how many, and how many were its doing.
WITH sat AS (
    SELECT
        seats.validator_id,
        count(DISTINCT seats.round_id) AS rounds,
        count(DISTINCT seats.round_id) FILTER (rounds.outcome = 'ESCALATED') AS escalated_rounds,
        count(DISTINCT seats.round_id) FILTER (rounds.outcome = 'ESCALATED' AND rounds.truth IS NOT NULL) AS resolved_rounds
    FROM {{ ref('stg_seats') }} AS seats
    INNER JOIN {{ ref('stg_rounds') }} AS rounds USING (round_id)
    GROUP BY seats.validator_id
),

attributed AS (
    SELECT
        validator_id,
        count(*) AS attributable_escalations,
        max(happened_on) AS last_attributed_on
    FROM {{ ref('stg_reputation_events') }}
    WHERE kind = 'ATTRIBUTABLE_ESCALATION' AND NOT taken_back
    GROUP BY validator_id
)

SELECT
    validator_id,
    validators.operator,
    validators.family,
    sat.rounds,
    sat.escalated_rounds,
    sat.resolved_rounds,
    coalesce(attributed.attributable_escalations, 0) AS attributable_escalations,
    attributed.last_attributed_on
FROM sat
INNER JOIN {{ ref('stg_validators') }} AS validators USING (validator_id)
LEFT JOIN attributed USING (validator_id)
WHERE sat.escalated_rounds > 0 OR attributed.attributable_escalations > 0
ORDER BY validator_id
