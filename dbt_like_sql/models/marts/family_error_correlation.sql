{{ config(materialized='table') }}

-- One row for each pair of families that sat in the same rounds: how much their errors coincide (the phi coefficient), and what ten votes
-- so correlated are worth (Kish). Only truths that the votes themselves did not make count.
WITH votes AS (
    SELECT
        seats.round_id,
        seats.seat_key,
        seats.family,
        CAST(seats.vote <> rounds.truth AS INTEGER) AS wrong
    FROM {{ ref('stg_seats') }} AS seats
    INNER JOIN {{ ref('stg_rounds') }} AS rounds USING (round_id)
    WHERE
        seats.vote IN ('SAFE', 'UNSAFE')
        AND rounds.truth_source IN ('CANARY_LABEL', 'MONITORING', 'OPERATOR', 'THIRD_PANEL')
),

-- A pair of one family is there in both orders, so that neither vote is the first.
pairs AS (
    SELECT
        one.family AS family_a,
        other.family AS family_b,
        count(*) AS pairs,
        sum(one.wrong) AS wrong_a,
        sum(other.wrong) AS wrong_b,
        sum(one.wrong * other.wrong) AS both_wrong,
        count(DISTINCT one.round_id) AS rounds
    FROM votes AS one
    INNER JOIN votes AS other
        ON one.round_id = other.round_id AND one.seat_key <> other.seat_key AND one.family <= other.family
    GROUP BY one.family, other.family
),

correlated AS (
    SELECT
        *,
        -- Undefined where a family was never wrong, or never right.
        (pairs * both_wrong - wrong_a * wrong_b)
        / sqrt(nullif(CAST(wrong_a AS DOUBLE) * (pairs - wrong_a) * wrong_b * (pairs - wrong_b), 0)) AS phi
    FROM pairs
)

SELECT
    family_a || '/' || family_b AS pair_key,
    family_a,
    family_b,
    rounds,
    CASE WHEN family_a = family_b THEN pairs // 2 ELSE pairs END AS pairs_of_votes,
    CAST(wrong_a * 1000000 // pairs AS BIGINT) AS error_rate_a_ppm,
    CAST(wrong_b * 1000000 // pairs AS BIGINT) AS error_rate_b_ppm,
    CAST(round(phi * 1000000) AS BIGINT) AS correlation_ppm,
    CAST(round(10000000 / (1 + 9 * greatest(phi, 0))) AS BIGINT) AS n_eff_of_ten_ppm
FROM correlated
ORDER BY pair_key
