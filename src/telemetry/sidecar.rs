//! What the sidecar counts. Events are counted once their outcome is known, never when tried.

use crate::event::{Code, TYPES};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// An event type's name.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct TypeLabel {
    /// `click`, …
    pub r#type: &'static str,
}

/// A stable code of a rejection or of a problem.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct CodeLabel {
    /// `missing_field`, `body_too_large`, …
    pub code: &'static str,
}

/// What an acknowledgement waited for.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct DurabilityLabel {
    /// `os`, `disk`.
    pub durability: &'static str,
}

/// What came of a request whose `Idempotency-Key` was known.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RepeatLabel {
    /// `answered` (from the table), `waited` (the first was under way), `conflict` (another body).
    pub outcome: &'static str,
}

/// Codes of problems that are the sidecar's own and not its clients': alerts are raised on them.
pub const OWN_PROBLEMS: [&str; 8] = [
    "spool_full",
    "spool_unavailable",
    "sync_failed",
    "sync_timeout",
    "kafka_timeout",
    "too_many_keys",
    "overloaded",
    "internal",
];

/// The sidecar's metrics; clones share the same numbers.
#[derive(Clone, Debug)]
pub struct SidecarMetrics {
    /// `penstock_intake_accepted_events_total{type}`: events acknowledged with 202.
    pub accepted: Family<TypeLabel, Counter>,
    /// `penstock_intake_rejected_events_total{code}`: events refused one by one, beside accepted ones or alone.
    pub rejected: Family<CodeLabel, Counter>,
    /// `penstock_sidecar_problems_total{code}`: requests refused as a whole (problem+json).
    pub problems: Family<CodeLabel, Counter>,
    /// `penstock_intake_ack_seconds{durability}`: from the request's head to its acknowledgement.
    pub ack: Family<DurabilityLabel, Histogram, fn() -> Histogram>,
    /// `penstock_intake_body_bytes_total`: bytes of bodies, decompressed.
    pub body_bytes: Counter,
    /// `penstock_intake_flushes_total`: writes of groups to the spool; requests per write is the group commit's gain.
    pub flushes: Counter,
    /// `penstock_intake_flushed_requests_total`: requests acknowledged by those writes.
    pub flushed_requests: Counter,
    /// `penstock_intake_repeats_total{outcome}`: repeats under a known `Idempotency-Key`.
    pub repeats: Family<RepeatLabel, Counter>,
    /// `penstock_intake_inflight_bytes`: bodies held in memory while they arrive or wait.
    pub inflight_bytes: Gauge,
    /// `penstock_sidecar_inflight_requests`: requests between head and end of answer.
    pub inflight_requests: Gauge,
    /// `penstock_stop_latency_seconds`: from the receipt of the event that used up a budget to the
    /// moment the sidecar answers `serving:false`.
    pub stop_latency: Histogram,
    /// `penstock_stop_list_version`: newest version the stop list has taken in.
    pub stop_version: Gauge,
    /// `penstock_stop_list_stopped`: campaigns stopped now.
    pub stopped: Gauge,
    /// `penstock_stop_list_stale`: 1 while answers say `stale`.
    pub stale: Gauge,
    /// `penstock_stop_list_watchers`: open long polls and event streams.
    pub watchers: Gauge,
    /// `penstock_stop_list_resyncs_total`: watchers that were too far behind and got the full set.
    pub resyncs: Counter,
}

fn ack_histogram() -> Histogram {
    // 50 µs to 3.3 s: `os` answers lie at the low end, `disk` around the sync interval.
    Histogram::new(exponential_buckets(0.000_05, 2.0, 17))
}

impl SidecarMetrics {
    /// Registers all of it.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            accepted: Family::default(),
            rejected: Family::default(),
            problems: Family::default(),
            ack: Family::new_with_constructor(ack_histogram as fn() -> Histogram),
            body_bytes: Counter::default(),
            flushes: Counter::default(),
            flushed_requests: Counter::default(),
            repeats: Family::default(),
            inflight_bytes: Gauge::default(),
            inflight_requests: Gauge::default(),
            // 1 ms to 65 s; the promise is one second.
            stop_latency: Histogram::new([
                0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0, 10.0, 30.0, 65.0,
            ]),
            stop_version: Gauge::default(),
            stopped: Gauge::default(),
            stale: Gauge::default(),
            watchers: Gauge::default(),
            resyncs: Counter::default(),
        };
        // Those with known labels begin at 0, so that a rate over the first one is right.
        for kind in TYPES {
            drop(metrics.accepted.get_or_create(&TypeLabel { r#type: kind.name }));
        }
        for code in Code::ALL {
            drop(metrics.rejected.get_or_create(&CodeLabel { code: code.name() }));
        }
        for code in OWN_PROBLEMS {
            drop(metrics.problems.get_or_create(&CodeLabel { code }));
        }
        let m = &metrics;
        let mut counter = |name: &str, help: &str, c: &Counter| registry.register(name, help, c.clone());
        counter("penstock_intake_flushes", "Writes of groups to the spool", &m.flushes);
        counter("penstock_intake_flushed_requests", "Requests acknowledged by those writes", &m.flushed_requests);
        counter("penstock_stop_list_resyncs", "Watchers that were too far behind and got the full set", &m.resyncs);
        registry.register("penstock_intake_accepted_events", "Events acknowledged", m.accepted.clone());
        registry.register("penstock_intake_rejected_events", "Events refused one by one", m.rejected.clone());
        registry.register("penstock_sidecar_problems", "Requests refused as a whole", m.problems.clone());
        registry.register("penstock_intake_repeats", "Repeats under a known Idempotency-Key", m.repeats.clone());
        let help = "From the request's head to its acknowledgement";
        registry.register_with_unit("penstock_intake_ack", help, Unit::Seconds, m.ack.clone());
        let help = "Bytes of bodies, decompressed";
        registry.register_with_unit("penstock_intake_body", help, Unit::Bytes, m.body_bytes.clone());
        let help = "From the receipt of the event that used up a budget to the sidecar's changed answer";
        registry.register_with_unit("penstock_stop_latency", help, Unit::Seconds, m.stop_latency.clone());
        let mut gauge = |name: &str, help: &str, g: &Gauge| registry.register(name, help, g.clone());
        gauge("penstock_intake_inflight_bytes", "Bodies held in memory", &m.inflight_bytes);
        gauge("penstock_sidecar_inflight_requests", "Requests between head and end of answer", &m.inflight_requests);
        gauge("penstock_stop_list_version", "Newest version taken in", &m.stop_version);
        gauge("penstock_stop_list_stopped", "Campaigns stopped now", &m.stopped);
        gauge("penstock_stop_list_stale", "1 while answers say stale", &m.stale);
        gauge("penstock_stop_list_watchers", "Open long polls and event streams", &m.watchers);
        metrics
    }
}
