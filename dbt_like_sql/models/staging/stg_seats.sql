{{ config(materialized='table') }}

-- One vote for each seat: what was revealed in time, else why nothing was.
SELECT
    round_id || '/' || phase || '.' || seat_number AS seat_key,
    round_id,
    phase,
    seat_number,
    validator_id,
    operator,
    family,
    CASE
        WHEN status = 'NO_SHOW' THEN 'NO_SHOW'
        WHEN status = 'ABSTAINED' THEN 'ABSTAIN'
        WHEN status = 'REVEALED' THEN verdict
    END AS vote,
    finding_count
FROM {{ source('protocol', 'seats') }}
ORDER BY round_id, phase, seat_number
