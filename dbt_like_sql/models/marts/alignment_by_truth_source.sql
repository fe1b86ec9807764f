{{ config(materialized='table') }}

-- One row for each source of truth and model family: how often its seats were on the right side. Entries that were taken back are left out,
-- and so are missed canary files: of those only misses are booked (canary_sensitivity_by_family has all).
SELECT
    entries.truth_source || '/' || validators.family AS alignment_key,
    entries.truth_source,
    validators.family,
    count(*) AS scored_seats,
    count(*) FILTER (entries.reason = 'ALIGNED') AS aligned_seats,
    count(*) FILTER (entries.reason = 'MISALIGNED') AS misaligned_seats,
    count(*) FILTER (entries.reason NOT IN ('ALIGNED', 'MISALIGNED')) AS seats_without_a_vote,
    -- Of the votes cast; empty where none was.
    count(*) FILTER (entries.reason = 'ALIGNED') * 1000000
    // nullif(count(*) FILTER (entries.reason IN ('ALIGNED', 'MISALIGNED')), 0) AS alignment_ppm
FROM {{ ref('stg_accuracy_entries') }} AS entries
INNER JOIN {{ ref('stg_validators') }} AS validators USING (validator_id)
INNER JOIN {{ ref('stg_rounds') }} AS rounds USING (round_id)
WHERE NOT entries.taken_back AND (entries.truth_source <> 'CANARY_LABEL' OR rounds.truth_source = 'CANARY_LABEL')
GROUP BY entries.truth_source, validators.family
ORDER BY alignment_key
