{{ config(materialized='table') }}

-- One row for each simulated policy, population and group: its final weight share over its stake share, over all seeds, and what the policy
-- certified meanwhile.
WITH outcomes AS (
    SELECT
        policy,
        scenario,
        CAST(sum(safe_certified) * 1000000 // nullif(sum(safe), 0) AS BIGINT) AS good_certified_ppm,
        CAST(sum(unsafe_certified) AS BIGINT) AS bad_certified,
        CAST(sum(attacks) AS BIGINT) AS attacks,
        CAST(sum(attacks_certified) AS BIGINT) AS attacks_certified
    FROM {{ ref('stg_simulated_runs') }}
    GROUP BY policy, scenario
)

SELECT
    shares.policy || '/' || shares.scenario || '/' || shares.group_name AS comparison_key,
    shares.policy,
    shares.policy_hash,
    shares.scenario,
    shares.group_name,
    count(*) AS seeds,
    CAST(sum(shares.ratio_ppm) // count(*) AS BIGINT) AS mean_ratio_ppm,
    min(shares.ratio_ppm) AS lowest_ratio_ppm,
    max(shares.ratio_ppm) AS highest_ratio_ppm,
    outcomes.good_certified_ppm,
    outcomes.bad_certified,
    outcomes.attacks,
    outcomes.attacks_certified
FROM {{ ref('stg_simulated_shares') }} AS shares
INNER JOIN outcomes USING (policy, scenario)
WHERE shares.is_last
GROUP BY ALL
ORDER BY comparison_key
