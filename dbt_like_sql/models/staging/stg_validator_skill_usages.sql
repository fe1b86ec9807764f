{{ config(materialized='table') }}

-- One row for each older skill in the prompt of a seat, of decided rounds.
SELECT
    usages.round_id || '/' || usages.phase || '.' || usages.seat_number || '/' || usages.skill_id AS usage_key,
    usages.skill_id,
    usages.round_id,
    usages.validator_id,
    usages.used_at
FROM {{ source('protocol', 'validator_skill_usages') }} AS usages
INNER JOIN {{ ref('stg_rounds') }} AS rounds USING (round_id)
WHERE rounds.decided_at IS NOT NULL
ORDER BY usage_key
