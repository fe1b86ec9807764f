{{ config(materialized='table') }}

-- One row for each older skill that was used. Plugins have a count of their own.
SELECT
    skill_id,
    validator_id,
    count(*) AS uses,
    count(DISTINCT round_id) AS rounds,
    max(used_at) AS last_used_at
FROM {{ ref('stg_validator_skill_usages') }}
GROUP BY skill_id, validator_id
ORDER BY skill_id
