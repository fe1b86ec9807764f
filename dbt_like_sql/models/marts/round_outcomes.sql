{{ config(materialized='table') }}

-- One row for each round: how it was voted on, how it ended, and what came of it.
WITH votes AS (
    SELECT
        round_id,
        count(*) AS seats,
        count(*) FILTER (vote = 'SAFE') AS safe_votes,
        count(*) FILTER (vote = 'UNSAFE') AS unsafe_votes,
        count(*) FILTER (vote = 'ABSTAIN') AS abstentions,
        count(*) FILTER (vote = 'NO_SHOW') AS no_shows,
        count(DISTINCT family) AS families,
        count(DISTINCT operator) AS operators,
        CAST(sum(finding_count) AS BIGINT) AS findings
    FROM {{ ref('stg_seats') }}
    GROUP BY round_id
)

SELECT
    round_id,
    rounds.submission_id,
    submissions.submission_name,
    submissions.submission_version,
    submissions.product_type,
    rounds.round_number,
    rounds.round_type,
    rounds.trigger_source,
    rounds.outcome,
    rounds.with_rejection,
    rounds.scored,
    rounds.truth,
    rounds.truth_source,
    rounds.resolutions,
    rounds.override_outcome,
    coalesce(votes.seats, 0) AS seats,
    coalesce(votes.safe_votes, 0) AS safe_votes,
    coalesce(votes.unsafe_votes, 0) AS unsafe_votes,
    coalesce(votes.abstentions, 0) AS abstentions,
    coalesce(votes.no_shows, 0) AS no_shows,
    coalesce(votes.families, 0) AS families,
    coalesce(votes.operators, 0) AS operators,
    coalesce(votes.findings, 0) AS findings,
    rounds.assurance_level,
    rounds.n_eff_ppm,
    rounds.diversity_degraded,
    rounds.weights_epoch,
    certificates.certificate_id,
    certificates.status AS certificate_status,
    rounds.opened_at,
    rounds.decided_at,
    rounds.resolved_at,
    date_diff('millisecond', rounds.opened_at, rounds.decided_at) AS milliseconds_to_decision
FROM {{ ref('stg_rounds') }} AS rounds
LEFT JOIN {{ ref('stg_submissions') }} AS submissions USING (submission_id)
LEFT JOIN votes USING (round_id)
LEFT JOIN {{ ref('stg_certificates') }} AS certificates USING (round_id)
ORDER BY round_id
