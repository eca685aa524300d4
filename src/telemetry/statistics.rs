//! What the statistics sink counts of its dealings with ClickHouse. Ranges and rows are the
//! pipeline's ([`super::PipelineMetrics`]).

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// How an insert ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct InsertLabel {
    /// `ok`, `retry` (refused, nothing written), `unknown`, `fatal`.
    pub outcome: &'static str,
}

/// What the table answered when it was asked for a range.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct HeldLabel {
    /// `nothing`, `some`, `all`.
    pub held: &'static str,
}

/// The sink's metrics; clones share the same numbers.
#[derive(Clone, Debug)]
pub struct StatisticsMetrics {
    /// `penstock_statistics_inserts_total{outcome}`: INSERTs that ended.
    pub inserts: Family<InsertLabel, Counter>,
    /// `penstock_statistics_insert_seconds`: time of an INSERT that was confirmed.
    pub insert: Histogram,
    /// `penstock_statistics_insert_bytes_total`: bytes of confirmed INSERTs (Arrow streams).
    pub bytes: Counter,
    /// `penstock_statistics_held_total{held}`: ranges that the table was asked for.
    pub held: Family<HeldLabel, Counter>,
    /// `penstock_statistics_paced_milliseconds_total`: time spent waiting for `max_inserts_per_second`.
    pub paced_ms: Counter,
}

impl StatisticsMetrics {
    /// Declares the metrics in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = StatisticsMetrics {
            inserts: Family::default(),
            insert: Histogram::new(exponential_buckets(0.002, 2.0, 16)),
            bytes: Counter::default(),
            held: Family::default(),
            paced_ms: Counter::default(),
        };
        let r = registry.sub_registry_with_prefix("penstock_statistics");
        r.register("inserts", "INSERTs that ended, by outcome", metrics.inserts.clone());
        r.register_with_unit("insert", "Time of a confirmed INSERT", Unit::Seconds, metrics.insert.clone());
        r.register("insert_bytes", "Bytes of confirmed INSERTs", metrics.bytes.clone());
        r.register("held", "Ranges the table was asked for, by answer", metrics.held.clone());
        r.register("paced_milliseconds", "Time spent waiting for the insert rate's cap", metrics.paced_ms.clone());
        metrics
    }
}
