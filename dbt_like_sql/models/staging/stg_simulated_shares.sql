{{ config(materialized='table') }}

SELECT
    policy || '/' || scenario || '/' || seed || '/' || day || '/' || group_name AS share_key,
    policy,
    policy_hash,
    scenario,
    seed,
    day,
    group_name,
    weight_ppm,
    stake_ppm,
    ratio_ppm,
    day = max(day) OVER (PARTITION BY policy, scenario, seed) AS is_last
FROM {{ source('simulation', 'group_shares') }}
ORDER BY share_key
