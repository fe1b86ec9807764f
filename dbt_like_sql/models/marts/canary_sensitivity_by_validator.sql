{{ config(materialized='table') }}

-- One row for each validator and kind of canary (FILE, PACKAGE), and one for both (ALL): how often what is UNSAFE was called so, and
-- what is SAFE. Without an answer it is neither. The intervals are Wilson's at 95 % (E. B. Wilson, JASA 22, 1927).
WITH answers AS (
    SELECT validator_id, family, canary, truth, said FROM {{ ref('stg_canary_answers') }}
    UNION ALL
    SELECT validator_id, family, 'ALL' AS canary, truth, said FROM {{ ref('stg_canary_answers') }}
),

counts AS (
    SELECT
        validator_id, family,
        canary,
        count(*) FILTER (truth = 'UNSAFE' AND said IS NOT NULL) AS unsafe_answered,
        count(*) FILTER (truth = 'UNSAFE' AND said = 'UNSAFE') AS unsafe_caught,
        count(*) FILTER (truth = 'SAFE' AND said IS NOT NULL) AS safe_answered,
        count(*) FILTER (truth = 'SAFE' AND said = 'SAFE') AS safe_passed,
        count(*) FILTER (said IS NULL) AS unanswered
    FROM answers
    GROUP BY validator_id, family, canary
),

spreads AS (
    SELECT
        *,
        1.96 * 1.96 AS zz,
        1.96 * sqrt(1.96 * 1.96 + 4.0 * unsafe_caught * (unsafe_answered - unsafe_caught) / nullif(unsafe_answered, 0)) AS unsafe_spread,
        1.96 * sqrt(1.96 * 1.96 + 4.0 * safe_passed * (safe_answered - safe_passed) / nullif(safe_answered, 0)) AS safe_spread
    FROM counts
)

SELECT
    validator_id || '/' || canary AS sensitivity_key,
    validator_id,
    family,
    canary,
    unsafe_answered,
    unsafe_caught,
    unsafe_caught * 1000000 // nullif(unsafe_answered, 0) AS sensitivity_ppm,
    CAST(floor(1000000 * (2 * unsafe_caught + zz - unsafe_spread) / (2 * (unsafe_answered + zz))) AS BIGINT) AS sensitivity_low_ppm,
    CAST(ceil(1000000 * (2 * unsafe_caught + zz + unsafe_spread) / (2 * (unsafe_answered + zz))) AS BIGINT) AS sensitivity_high_ppm,
    safe_answered,
    safe_passed,
    safe_passed * 1000000 // nullif(safe_answered, 0) AS specificity_ppm,
    CAST(floor(1000000 * (2 * safe_passed + zz - safe_spread) / (2 * (safe_answered + zz))) AS BIGINT) AS specificity_low_ppm,
    CAST(ceil(1000000 * (2 * safe_passed + zz + safe_spread) / (2 * (safe_answered + zz))) AS BIGINT) AS specificity_high_ppm,
    unanswered
FROM spreads
ORDER BY sensitivity_key
