{{ config(materialized='table') }}

-- One row for each plugin in the prompt of a seat. Of decided rounds only: before that a verdict is sealed.
SELECT
    usages.round_id || '/' || usages.phase || '.' || usages.seat_number || '/' || usages.plugin_id AS usage_key,
    usages.plugin_id,
    usages.round_id,
    usages.phase,
    usages.seat_number,
    usages.validator_id,
    usages.submission_id,
    usages.plugin_type,
    usages.product_type,
    usages.slot,
    usages.verdict,
    usages.used_at
FROM {{ source('protocol', 'plugin_usages') }} AS usages
INNER JOIN {{ ref('stg_rounds') }} AS rounds USING (round_id)
WHERE rounds.decided_at IS NOT NULL
ORDER BY usage_key
