{{ config(materialized='table') }}

-- One row for each day: its calls to audit engines, and what is known of their cost.
SELECT
    CAST(created_at AS DATE) AS used_on,
    count(DISTINCT call_key) AS calls,
    count(*) AS attempts,
    count(*) FILTER (state = 'failed') AS failed_attempts,
    count(DISTINCT provider || '/' || model) AS models,
    CAST(coalesce(sum(uncached_in), 0) + coalesce(sum(cache_read), 0) + coalesce(sum(cache_write), 0) AS BIGINT) AS tokens_in,
    CAST(coalesce(sum(tokens_out), 0) AS BIGINT) AS tokens_out,
    -- Unknown is not free: where no attempt has a known cost, neither has the sum.
    CAST(sum(cost_micro_usd) AS BIGINT) AS known_cost_micro_usd,
    count(*) - count(cost_micro_usd) AS attempts_of_unknown_cost
FROM {{ ref('stg_call_attempts') }}
GROUP BY ALL
ORDER BY used_on
