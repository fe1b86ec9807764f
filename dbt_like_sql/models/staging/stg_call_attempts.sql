{{ config(materialized='table') }}

SELECT
    attempt_id,
    call_key,
    round_id,
    validator_id,
    purpose,
    provider,
    model,
    model_revision,
    state,
    latency_us,
    uncached_in,
    cache_read,
    cache_write,
    tokens_out,
    reasoning,
    usage_source,
    cost_micro_usd,
    created_at
FROM {{ source('usage', 'call_attempts') }}
ORDER BY attempt_id
