{{ config(materialized='table') }}

WITH ledger AS (
    SELECT * FROM {{ source('protocol', 'reputation_ledger') }}
)

SELECT
    entry_key,
    validator_id,
    DATE '1970-01-01' + CAST(day AS INTEGER) AS happened_on,
    kind,
    kind IN ('LOW_QUALITY', 'DISPUTED', 'ATTRIBUTABLE_ESCALATION', 'SANCTION') AS is_bad,
    -- An event and the compensation that took it back say nothing about how the validator behaved.
    kind = 'COMPENSATION'
    OR entry_key || '/undo' IN (SELECT entry_key FROM ledger WHERE kind = 'COMPENSATION') AS taken_back
FROM ledger
ORDER BY entry_key
