{{ config(materialized='table') }}

SELECT
    epoch || '/' || validator_id AS weight_key,
    epoch,
    validator_id,
    stake_micro_usd,
    accuracy_ppm,
    reputation_ppm,
    weight,
    capped,
    epoch = max(epoch) OVER () AS is_newest
FROM {{ source('protocol', 'weights') }}
ORDER BY epoch, validator_id
