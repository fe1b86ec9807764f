{{ config(materialized='table') }}

WITH ledger AS (
    SELECT * FROM {{ source('protocol', 'accuracy_ledger') }}
)

SELECT
    entry_key,
    validator_id,
    round_id,
    DATE '1970-01-01' + CAST(day AS INTEGER) AS scored_on,
    aligned_q10,
    misaligned_q10,
    reason,
    truth_source,
    -- An entry and the compensation that took it back say nothing about how the validator voted.
    reason = 'COMPENSATION'
    OR entry_key || '/undo' IN (SELECT entry_key FROM ledger WHERE reason = 'COMPENSATION') AS taken_back
FROM ledger
ORDER BY entry_key
