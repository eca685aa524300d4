//! What the forwarder counts of its dealings with Kafka. Ranges, records and the backlog (lag) are
//! the pipeline's ([`super::PipelineMetrics`], sink `kafka`).

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The forwarder's metrics; clones share the same numbers.
#[derive(Clone, Debug)]
pub struct ForwardMetrics {
    /// `penstock_forward_enqueued_total`: records handed to librdkafka.
    pub enqueued: Counter,
    /// `penstock_forward_acked_total`: records that all in-sync replicas have.
    pub acked: Counter,
    /// `penstock_forward_unframed_total`: records sent with the single-object header because the
    /// registry had not told their schema's id yet.
    pub unframed: Counter,
    /// `penstock_forward_unknown_total`: ranges whose outcome is unknown for now.
    pub unknown: Counter,
    /// `penstock_forward_rebuilt_total`: producers that broke and were made anew.
    pub rebuilt: Counter,
    /// `penstock_forward_buffer_full_total`: times that librdkafka's buffer was full.
    pub buffer_full: Counter,
    /// `penstock_forward_in_flight_bytes`: bytes of the ranges under way.
    pub in_flight: Gauge,
    /// `penstock_forward_barriers_total`: barriers that were written.
    pub barriers: Counter,
    /// `penstock_forward_tail_records_total`: records read back after unclean stops.
    pub tail_records: Counter,
    /// `penstock_forward_found_total`: records that were found there and so not sent again.
    pub found: Counter,
    /// `penstock_forward_ack_seconds`: from the first enqueue of a range to its last acknowledgement.
    pub ack: Histogram,
}

impl ForwardMetrics {
    /// Metrics that nobody scrapes.
    #[must_use]
    pub fn detached() -> Self {
        ForwardMetrics {
            enqueued: Counter::default(),
            acked: Counter::default(),
            unframed: Counter::default(),
            unknown: Counter::default(),
            rebuilt: Counter::default(),
            buffer_full: Counter::default(),
            in_flight: Gauge::default(),
            barriers: Counter::default(),
            tail_records: Counter::default(),
            found: Counter::default(),
            ack: Histogram::new(exponential_buckets(0.001, 2.0, 18)),
        }
    }

    /// Declares the metrics in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let m = Self::detached();
        let r = registry.sub_registry_with_prefix("penstock_forward");
        r.register("enqueued", "Records handed to the producer", m.enqueued.clone());
        r.register("acked", "Records that all in-sync replicas have", m.acked.clone());
        r.register("unframed", "Records sent without a registry's id, which was not known yet", m.unframed.clone());
        r.register("unknown", "Ranges whose outcome is unknown for now", m.unknown.clone());
        r.register("rebuilt", "Producers that broke and were made anew", m.rebuilt.clone());
        r.register("buffer_full", "Times that the producer's buffer was full", m.buffer_full.clone());
        r.register("in_flight_bytes", "Bytes of the ranges under way", m.in_flight.clone());
        r.register("barriers", "Barriers written after unclean stops", m.barriers.clone());
        r.register("tail_records", "Records read back after unclean stops", m.tail_records.clone());
        r.register("found", "Records found there and not sent again", m.found.clone());
        r.register_with_unit(
            "ack",
            "From enqueue to the last acknowledgement of a range",
            Unit::Seconds,
            m.ack.clone(),
        );
        m
    }
}
