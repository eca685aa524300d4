//! What the panel counts.

use crate::time::Micros;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

/// A query of the panel and what came of it.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct QueryLabel {
    /// `count`, `events`, `series`, …
    pub query: &'static str,
    /// `ok`, `unavailable`, `too_expensive`, `refused`.
    pub outcome: &'static str,
}

/// A finished request.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabel {
    /// The route's pattern, never the path itself; `other` when no route matched.
    pub route: String,
    /// The answer's HTTP status.
    pub status: u16,
}

/// How a reconcile ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ReconcileLabel {
    /// `equal`, `different`, `failed`.
    pub outcome: &'static str,
}

/// The panel's metrics; clones share the same numbers.
#[derive(Clone, Debug)]
pub struct PanelMetrics {
    /// `penstock_panel_request_seconds{route,status}`: from the request's head to the answer's.
    pub request_seconds: Family<RequestLabel, Histogram, fn() -> Histogram>,
    /// `penstock_panel_query_seconds{query,outcome}`: ClickHouse queries.
    pub query_seconds: Family<QueryLabel, Histogram, fn() -> Histogram>,
    /// `penstock_panel_cache_hits_total`: statistics answered without a query.
    pub cache_hits: Counter,
    /// `penstock_reconcile_runs_total{outcome}`.
    pub reconciles: Family<ReconcileLabel, Counter>,
    /// `penstock_reconcile_differences`: differences the last reconcile found.
    pub differences: Gauge,
    /// `penstock_reconcile_finished_timestamp_seconds`: when that was; 0: not yet.
    pub finished: Gauge<f64, AtomicU64>,
    /// `penstock_reconcile_complete`: 1 when it compared everything that was acknowledged when it began.
    pub complete: Gauge,
    /// `penstock_reconcile_every_seconds`: how often the panel does it by itself; 0: never.
    pub reconcile_every: Gauge<f64, AtomicU64>,
}

fn latency() -> Histogram {
    // 0.5 ms to 16 s.
    Histogram::new(exponential_buckets(0.000_5, 2.0, 16))
}

impl PanelMetrics {
    /// Registers all of it.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = PanelMetrics {
            request_seconds: Family::new_with_constructor(latency as fn() -> Histogram),
            query_seconds: Family::new_with_constructor(latency as fn() -> Histogram),
            cache_hits: Counter::default(),
            reconciles: Family::default(),
            differences: Gauge::default(),
            finished: Gauge::default(),
            complete: Gauge::default(),
            reconcile_every: Gauge::default(),
        };
        for outcome in ["equal", "different", "failed"] {
            drop(metrics.reconciles.get_or_create(&ReconcileLabel { outcome }));
        }
        let m = &metrics;
        let help = "From the request's head to the answer's";
        registry.register_with_unit("penstock_panel_request", help, Unit::Seconds, m.request_seconds.clone());
        let help = "ClickHouse queries of the panel";
        registry.register_with_unit("penstock_panel_query", help, Unit::Seconds, m.query_seconds.clone());
        let help = "Statistics answered without a query";
        registry.register("penstock_panel_cache_hits", help, m.cache_hits.clone());
        registry.register("penstock_reconcile_runs", "Reconciles by outcome", m.reconciles.clone());
        let help = "Differences that the last reconcile found";
        registry.register("penstock_reconcile_differences", help, m.differences.clone());
        let help = "Unix time at which it ended; 0: none has";
        registry.register("penstock_reconcile_finished_timestamp_seconds", help, m.finished.clone());
        let help = "1 when it compared all that was acknowledged when it began";
        registry.register("penstock_reconcile_complete", help, m.complete.clone());
        let help = "How often the panel reconciles by itself; 0: never";
        registry.register("penstock_reconcile_every_seconds", help, m.reconcile_every.clone());
        metrics
    }
}

impl PanelMetrics {
    /// A reconcile ended at `at` with so many differences; `complete`: nothing lagged.
    pub fn reconciled(&self, differences: u64, complete: bool, at: Micros) {
        let outcome = if differences == 0 { "equal" } else { "different" };
        self.reconciles.get_or_create(&ReconcileLabel { outcome }).inc();
        self.differences.set(i64::try_from(differences).unwrap_or(i64::MAX));
        self.complete.set(i64::from(complete));
        self.finished.set(super::pipeline::seconds(at));
    }

    /// A reconcile came to no verdict.
    pub fn reconcile_failed(&self) {
        self.reconciles.get_or_create(&ReconcileLabel { outcome: "failed" }).inc();
    }
}
