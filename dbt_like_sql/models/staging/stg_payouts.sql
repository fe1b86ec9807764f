{{ config(materialized='table') }}

SELECT
    entry_key,
    round_id,
    validator_id,
    DATE '1970-01-01' + CAST(day AS INTEGER) AS booked_on,
    kind,
    amount_micro_usd
FROM {{ source('protocol', 'payout_ledger') }}
ORDER BY entry_key
