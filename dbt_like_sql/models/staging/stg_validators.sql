{{ config(materialized='table') }}

SELECT
    validator_id,
    operator,
    family,
    stake_micro_usd,
    tier_ppm,
    status,
    joined_at
FROM {{ source('protocol', 'validators') }}
ORDER BY validator_id
