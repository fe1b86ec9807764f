{{ config(materialized='incremental', unique_key='weight_key') }}

-- One row for each epoch and validator. A published epoch never changes, so only new ones are computed.
SELECT
    weight_key,
    epoch,
    published_on,
    validator_id,
    stake_micro_usd,
    accuracy_ppm,
    reputation_ppm,
    weight,
    capped,
    CAST(CAST(weight AS HUGEINT) * 1000000 // nullif(sum(weight) OVER of_epoch, 0) AS BIGINT) AS weight_share_ppm,
    CAST(CAST(stake_micro_usd AS HUGEINT) * 1000000 // nullif(sum(stake_micro_usd) OVER of_epoch, 0) AS BIGINT) AS stake_share_ppm
FROM {{ ref('stg_weights') }}
{% if is_incremental() %}
WHERE epoch > (SELECT coalesce(max(epoch), 0) FROM {{ this }})
{% endif %}
WINDOW of_epoch AS (PARTITION BY epoch)
