-- Per minute, campaign, type and country; answered by the projection of `events`. The sum is 128
-- bits wide, so that no sum of 64-bit amounts can wrap.
CREATE VIEW IF NOT EXISTS {database}.stats_minute{on_cluster} AS
SELECT
    toStartOfMinute(time) AS minute,
    campaign_id,
    type,
    country,
    count() AS count,
    sum(toInt128(cost_nanos)) AS cost_nanos
FROM {database}.events
GROUP BY toStartOfMinute(time), campaign_id, type, country;
