{{ config(materialized='table') }}

-- One row for each validator with a line: what it earned, what it forfeited, and what reversals moved.
SELECT
    payouts.validator_id,
    validators.operator,
    count(DISTINCT payouts.round_id) AS rounds,
    CAST(coalesce(sum(payouts.amount_micro_usd) FILTER (payouts.kind = 'PAYOUT'), 0) AS BIGINT) AS paid_micro_usd,
    CAST(coalesce(-sum(payouts.amount_micro_usd) FILTER (payouts.kind = 'FORFEIT'), 0) AS BIGINT) AS forfeited_micro_usd,
    CAST(coalesce(sum(payouts.amount_micro_usd) FILTER (payouts.kind = 'REVERSAL'), 0) AS BIGINT) AS reversed_micro_usd,
    CAST(sum(payouts.amount_micro_usd) AS BIGINT) AS balance_micro_usd,
    max(payouts.booked_on) AS last_booked_on
FROM {{ ref('stg_payouts') }} AS payouts
INNER JOIN {{ ref('stg_validators') }} AS validators USING (validator_id)
GROUP BY payouts.validator_id, validators.operator
ORDER BY payouts.validator_id
