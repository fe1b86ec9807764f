{{ config(materialized='table') }}

SELECT
    round_id,
    submission_id,
    round_number,
    round_type,
    trigger_source,
    outcome,
    coalesce(with_rejection, false) AS with_rejection,
    coalesce(scored, false) AS scored,
    truth,
    truth_source,
    weights_epoch,
    assurance_level,
    n_eff_ppm,
    coalesce(diversity_degraded, false) AS diversity_degraded,
    opened_at,
    decided_at
FROM {{ source('protocol', 'rounds') }}
ORDER BY round_id
