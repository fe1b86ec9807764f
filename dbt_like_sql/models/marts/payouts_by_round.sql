{{ config(materialized='table') }}

-- One row for each settled round: what went in and what came out. Lines that a reversal took back count on neither side.
WITH undone AS (
    SELECT left(entry_key, length(entry_key) - 5) AS entry_key
    FROM {{ ref('stg_payouts') }}
    WHERE kind = 'REVERSAL'
),

standing AS (
    SELECT *
    FROM {{ ref('stg_payouts') }}
    WHERE kind <> 'REVERSAL' AND entry_key NOT IN (SELECT entry_key FROM undone)
),

whole AS (
    SELECT
        round_id,
        CAST(sum(amount_micro_usd) AS BIGINT) AS imbalance_micro_usd,
        count(*) FILTER (kind = 'REVERSAL') AS reversed_lines
    FROM {{ ref('stg_payouts') }}
    GROUP BY round_id
)

SELECT
    round_id,
    max(standing.booked_on) AS booked_on,
    CAST(coalesce(-sum(standing.amount_micro_usd) FILTER (standing.kind = 'BUDGET'), 0) AS BIGINT) AS budget_micro_usd,
    CAST(coalesce(-sum(standing.amount_micro_usd) FILTER (standing.kind = 'FORFEIT'), 0) AS BIGINT) AS forfeits_micro_usd,
    CAST(coalesce(sum(standing.amount_micro_usd) FILTER (standing.kind = 'PAYOUT'), 0) AS BIGINT) AS payouts_micro_usd,
    CAST(coalesce(sum(standing.amount_micro_usd) FILTER (standing.kind = 'RESERVE'), 0) AS BIGINT) AS reserve_micro_usd,
    count(*) FILTER (standing.kind = 'PAYOUT') AS paid_seats,
    count(*) FILTER (standing.kind = 'FORFEIT') AS forfeiting_seats,
    whole.reversed_lines,
    whole.imbalance_micro_usd
FROM whole
LEFT JOIN standing USING (round_id)
GROUP BY round_id, whole.reversed_lines, whole.imbalance_micro_usd
ORDER BY round_id
