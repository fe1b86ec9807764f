{{ config(materialized='table') }}

-- One row for each plugin that was used: in how many prompts it was, once a seat, and what those seats said.
SELECT
    plugin_id,
    arg_max(plugin_type, (used_at, usage_key)) AS plugin_type,
    count(*) AS uses,
    count(DISTINCT round_id) AS rounds,
    count(DISTINCT validator_id) AS validators,
    count(*) FILTER (verdict = 'SAFE') AS safe_votes,
    count(*) FILTER (verdict = 'UNSAFE') AS unsafe_votes,
    count(*) FILTER (verdict = 'ABSTAIN') AS abstentions,
    min(used_at) AS first_used_at,
    max(used_at) AS last_used_at
FROM {{ ref('stg_plugin_usages') }}
GROUP BY plugin_id
ORDER BY plugin_id
