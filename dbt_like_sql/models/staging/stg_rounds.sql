{{ config(materialized='table') }}

-- The truth is the newest that is known: a resolution's, or the one that the outcome itself brought.
WITH resolved AS (
    SELECT
        round_id,
        arg_max(truth, number) AS truth,
        arg_max(truth_source, number) AS truth_source,
        max(resolved_at) AS resolved_at,
        count(*) AS resolutions
    FROM {{ source('protocol', 'round_resolutions') }}
    GROUP BY round_id
),

overridden AS (
    SELECT
        round_id,
        arg_max(outcome, number) AS override_outcome
    FROM {{ source('protocol', 'round_overrides') }}
    GROUP BY round_id
)

SELECT
    rounds.round_id,
    rounds.submission_id,
    rounds.round_number,
    rounds.round_type,
    rounds.trigger_source,
    rounds.outcome,
    coalesce(rounds.with_rejection, false) AS with_rejection,
    coalesce(rounds.scored, false) AS scored,
    coalesce(resolved.truth, rounds.truth) AS truth,
    coalesce(resolved.truth_source, rounds.truth_source) AS truth_source,
    coalesce(resolved.resolutions, 0) AS resolutions,
    resolved.resolved_at,
    overridden.override_outcome,
    rounds.weights_epoch,
    rounds.assurance_level,
    rounds.n_eff_ppm,
    coalesce(rounds.diversity_degraded, false) AS diversity_degraded,
    rounds.opened_at,
    rounds.decided_at
FROM {{ source('protocol', 'rounds') }} AS rounds
LEFT JOIN resolved USING (round_id)
LEFT JOIN overridden USING (round_id)
ORDER BY rounds.round_id
