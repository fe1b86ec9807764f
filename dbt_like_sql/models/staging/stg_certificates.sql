{{ config(materialized='table') }}

SELECT
    certificate_id,
    submission_id,
    round_id,
    status,
    issued_at,
    expires_at
FROM {{ source('protocol', 'certificates') }}
ORDER BY certificate_id
