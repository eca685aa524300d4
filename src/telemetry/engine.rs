//! What the local ClickHouse engine counts, in its own process and in its supervisor's.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// What a query was and how it ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct QueryLabel {
    /// `insert` (with data) or `query`.
    pub kind: &'static str,
    /// `ok`, `error` (an exception was answered), `refused` (before it ran), `gone` (the client left).
    pub outcome: &'static str,
}

/// Served on the engine's own `/metrics`; clones share the same numbers.
#[derive(Clone, Debug)]
pub struct EngineMetrics {
    /// `penstock_engine_queries_total{kind,outcome}`: requests ended, by outcome.
    pub queries: Family<QueryLabel, Counter>,
    /// `penstock_engine_queries_running`: requests that hold a place now.
    pub running: Gauge,
    /// `penstock_engine_query_seconds`: from a place taken to the last byte of the result.
    pub seconds: Histogram,
    /// `penstock_engine_inserted_rows_total`: rows of INSERTs with data that the engine confirmed.
    pub inserted_rows: Counter,
    /// `penstock_engine_busy_total`: requests answered 503 because all places were taken.
    pub busy: Counter,
}

impl EngineMetrics {
    /// Declares the metrics in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = EngineMetrics {
            queries: Family::default(),
            running: Gauge::default(),
            seconds: Histogram::new(exponential_buckets(0.001, 2.0, 17)),
            inserted_rows: Counter::default(),
            busy: Counter::default(),
        };
        let r = registry.sub_registry_with_prefix("penstock_engine");
        r.register("queries", "Requests ended, by outcome", metrics.queries.clone());
        r.register("queries_running", "Requests that hold a place now", metrics.running.clone());
        r.register_with_unit("query", "Time of a request", Unit::Seconds, metrics.seconds.clone());
        r.register("inserted_rows", "Rows of confirmed INSERTs with data", metrics.inserted_rows.clone());
        r.register("busy", "Requests refused because all places were taken", metrics.busy.clone());
        metrics
    }
}

/// What the parent process counts of its engine; clones share the same numbers.
#[derive(Clone, Debug, Default)]
pub struct EngineSupervisorMetrics {
    /// `penstock_engine_ready`: 1 while the child serves queries.
    pub ready: Gauge,
    /// `penstock_engine_restarts_total`: deaths of the child that were answered with a new one.
    pub restarts: Counter,
}

impl EngineSupervisorMetrics {
    /// Declares the metrics in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = EngineSupervisorMetrics::default();
        let r = registry.sub_registry_with_prefix("penstock_engine");
        r.register("ready", "1 while the engine's process serves queries", metrics.ready.clone());
        r.register("restarts", "Deaths of the engine's process", metrics.restarts.clone());
        metrics
    }
}
