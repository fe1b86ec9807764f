{{ config(materialized='table') }}

SELECT
    epoch || '/' || validator_id AS weight_key,
    epoch,
    DATE '1970-01-01' + CAST(day AS INTEGER) AS published_on,
    validator_id,
    stake_micro_usd,
    accuracy_ppm,
    reputation_ppm,
    weight,
    capped,
    epoch = max(epoch) OVER () AS is_newest
FROM {{ source('protocol', 'weights') }}
ORDER BY epoch, validator_id
