{{ config(materialized='table') }}

SELECT
    policy || '/' || scenario || '/' || seed AS run_key,
    policy,
    policy_hash,
    scenario,
    seed,
    submissions,
    attacks,
    attacks_certified,
    unsafe,
    unsafe_certified,
    safe,
    safe_certified,
    escalated
FROM {{ source('simulation', 'runs') }}
ORDER BY run_key
