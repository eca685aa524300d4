-- One template for one server and for a cluster; what stands in braces is put in by
-- consumers/src/statistics/schema. On a cluster this table is `events_local`, and `events` lies over all shards.
--
-- One row an event, in the order in which the panel asks: a campaign's events of a type by time.
-- A month is a partition: a late event touches one, and a range of many months stays below the
-- engine's limits. Roll-ups are projections, which live in the same part as the rows they come
-- from and so cannot disagree with them.
CREATE TABLE IF NOT EXISTS {database}.{events}{on_cluster}
(
    id UUID,
    type LowCardinality(String),
    time DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    received DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    server LowCardinality(String),
    -- Resolved from campaign_id or tag; 0: nobody's.
    campaign_id UInt32,
    tag String CODEC(ZSTD(1)),
    variation_id String CODEC(ZSTD(1)),
    site_id String CODEC(ZSTD(1)),
    zone_id String CODEC(ZSTD(1)),
    user_id String CODEC(ZSTD(1)),
    ip String CODEC(ZSTD(1)),
    country LowCardinality(String),
    user_agent String CODEC(ZSTD(1)),
    device LowCardinality(String),
    os LowCardinality(String),
    -- What the advertiser pays, in 10^-9 of the account's currency.
    cost_nanos Int64,
    impression_id String CODEC(ZSTD(1)),
    click_id String CODEC(ZSTD(1)),
    goal LowCardinality(String),
    value_micros Nullable(Int64),
    extra Map(String, String) CODEC(ZSTD(1)),
    -- Where the event comes from; by these a range is found again after a crash.
    log_topic LowCardinality(String),
    log_partition UInt32 CODEC(ZSTD(1)),
    log_offset UInt64 CODEC(DoubleDelta, ZSTD(1)),
    INDEX log_at (log_topic, log_partition, log_offset) TYPE minmax GRANULARITY 1,
    PROJECTION per_minute
    (
        SELECT
            toStartOfMinute(time),
            campaign_id,
            type,
            country,
            count(),
            sum(toInt128(cost_nanos))
        GROUP BY toStartOfMinute(time), campaign_id, type, country
    )
)
ENGINE = {engine}
PARTITION BY toYYYYMM(time)
ORDER BY (campaign_id, type, time)
SETTINGS
    {deduplication},
    -- A confirmed insert moves the log's position, so it must survive a power cut; so must the
    -- merge that replaces it.
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_compressed_bytes_to_fsync_after_merge = 1;
