{{ config(materialized='table') }}

-- One row for each validator: the seats that its share of the weight would bring it, and those that it drew. Caps and rules against sitting twice
-- shift seats from the heavy to the light, so a z-score is a reason to look and no proof.
WITH drawn AS (
    SELECT
        rounds.weights_epoch AS epoch,
        seats.validator_id,
        count(*) AS seats
    FROM {{ ref('stg_seats') }} AS seats
    INNER JOIN {{ ref('stg_rounds') }} AS rounds USING (round_id)
    GROUP BY rounds.weights_epoch, seats.validator_id
),

epochs AS (
    SELECT
        epoch,
        sum(seats) AS seats
    FROM drawn
    GROUP BY epoch
),

chances AS (
    SELECT
        epoch,
        validator_id,
        weight / nullif(sum(weight) OVER (PARTITION BY epoch), 0) AS chance
    FROM {{ ref('stg_weights') }}
),

expected AS (
    SELECT
        chances.validator_id,
        sum(epochs.seats * chances.chance) AS seats,
        sum(epochs.seats * chances.chance * (1 - chances.chance)) AS variance,
        coalesce(sum(drawn.seats), 0) AS drawn_seats
    FROM chances
    INNER JOIN epochs USING (epoch)
    LEFT JOIN drawn USING (epoch, validator_id)
    GROUP BY chances.validator_id
)

SELECT
    validator_id,
    CAST(drawn_seats AS BIGINT) AS drawn_seats,
    CAST(round(seats * 1000) AS BIGINT) AS expected_milli_seats,
    CAST(round(1000 * (drawn_seats - seats) / nullif(sqrt(variance), 0)) AS BIGINT) AS z_milli
FROM expected
ORDER BY validator_id
