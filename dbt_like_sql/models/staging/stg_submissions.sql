{{ config(materialized='table') }}

SELECT
    submission_id,
    name AS submission_name,
    version AS submission_version,
    product_type,
    submitted_at
FROM {{ source('protocol', 'submissions') }}
ORDER BY submission_id
