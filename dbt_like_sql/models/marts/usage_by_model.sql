{{ config(materialized='table') }}

-- One row for each model, revision and purpose: what it was asked, what that took, and what it is known to have cost.
SELECT
    provider || '/' || model || '@' || model_revision || '#' || purpose AS usage_key,
    provider,
    model,
    model_revision,
    purpose,
    count(DISTINCT call_key) AS calls,
    count(*) AS attempts,
    count(*) FILTER (state = 'failed') AS failed_attempts,
    count(DISTINCT round_id) AS rounds,
    CAST(sum(uncached_in) AS BIGINT) AS uncached_in,
    CAST(sum(cache_read) AS BIGINT) AS cache_read,
    CAST(sum(cache_write) AS BIGINT) AS cache_write,
    CAST(sum(tokens_out) AS BIGINT) AS tokens_out,
    CAST(sum(reasoning) AS BIGINT) AS reasoning,
    -- Unknown is not free: where no attempt has a known cost, neither has the sum.
    CAST(sum(cost_micro_usd) AS BIGINT) AS known_cost_micro_usd,
    count(*) - count(cost_micro_usd) AS attempts_of_unknown_cost,
    quantile_disc(latency_us, 0.5) AS median_latency_us,
    quantile_disc(latency_us, 0.95) AS p95_latency_us,
    min(created_at) AS first_attempt_at,
    max(created_at) AS last_attempt_at
FROM {{ ref('stg_call_attempts') }}
GROUP BY provider, model, model_revision, purpose
ORDER BY usage_key
