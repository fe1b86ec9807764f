{{ config(materialized='table') }}

SELECT
    entry_key,
    validator_id,
    DATE '1970-01-01' + CAST(day AS INTEGER) AS happened_on,
    kind,
    kind IN ('LOW_QUALITY', 'DISPUTED', 'ATTRIBUTABLE_ESCALATION', 'SANCTION') AS is_bad
FROM {{ source('protocol', 'reputation_ledger') }}
ORDER BY entry_key
