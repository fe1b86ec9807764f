{{ config(materialized='table') }}

-- One row for each answer to a canary, of decided rounds only: what was said of a planted file, and each vote on a canary package.
SELECT
    planted.round_id || '/' || planted.phase || '.' || planted.seat_number || '/FILE' AS answer_key,
    'FILE' AS canary,
    planted.round_id,
    planted.validator_id,
    planted.family,
    'UNSAFE' AS truth,
    CASE planted.answer WHEN 'CAUGHT' THEN 'UNSAFE' WHEN 'MISSED' THEN 'SAFE' END AS said
FROM {{ source('protocol', 'planted_canaries') }} AS planted
INNER JOIN {{ ref('stg_rounds') }} AS rounds USING (round_id)
WHERE rounds.decided_at IS NOT NULL

UNION ALL

SELECT
    seats.seat_key || '/PACKAGE' AS answer_key,
    'PACKAGE' AS canary,
    seats.round_id,
    seats.validator_id,
    seats.family,
    rounds.truth,
    CASE WHEN seats.vote IN ('SAFE', 'UNSAFE') THEN seats.vote END AS said
FROM {{ ref('stg_seats') }} AS seats
INNER JOIN {{ ref('stg_rounds') }} AS rounds USING (round_id)
WHERE rounds.truth_source = 'CANARY_LABEL'
ORDER BY answer_key
