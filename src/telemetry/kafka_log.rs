//! Metrics of the logs in Kafka.

use crate::log::{LogId, Offset};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfTopic {
    /// Its name.
    pub topic: String,
}

/// All Kafka logs of a process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct KafkaLogMetrics {
    repeats: Family<OfTopic, Counter>,
    holes: Family<OfTopic, Counter>,
    /// Partitions that the process owns now.
    pub assigned: Gauge,
    /// Changes of what it owns.
    pub rebalances: Counter,
    /// Positions that were not stored because the partition was somebody else's by then.
    pub fenced: Counter,
    /// Memberships that the group ended, each followed by another.
    pub memberships_ended: Counter,
}

impl KafkaLogMetrics {
    /// Declares the metrics in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let m = Self::default();
        let r = registry;
        r.register(
            "penstock_log_repeats",
            "Records whose (spool, sequence) had come before: events that count twice: alert",
            m.repeats.clone(),
        );
        r.register("penstock_log_holes", "Offsets that hold no record although they should: alert", m.holes.clone());
        r.register("penstock_group_assigned", "Partitions that this process owns", m.assigned.clone());
        r.register("penstock_group_rebalances", "Changes of what this process owns", m.rebalances.clone());
        r.register("penstock_group_fenced", "Positions refused: the partition had another owner", m.fenced.clone());
        r.register(
            "penstock_group_memberships_ended",
            "Memberships that the group ended (another process has the member's name, or a broker was lost): alert",
            m.memberships_ended.clone(),
        );
        m
    }

    /// The metrics of one partition.
    #[must_use]
    pub fn of(&self, log: &LogId) -> OneLog {
        let of = OfTopic { topic: log.name.to_string() };
        OneLog {
            log: log.clone(),
            repeats: self.repeats.get_or_create_owned(&of),
            holes: self.holes.get_or_create_owned(&of),
        }
    }
}

/// The metrics of one partition.
#[derive(Clone, Debug)]
pub struct OneLog {
    log: LogId,
    repeats: Counter,
    holes: Counter,
}

impl OneLog {
    /// The record at `offset` had come before.
    pub fn repeated(&self, spool: u64, sequence: Offset, offset: Offset) {
        self.repeats.inc();
        let (log, spool) = (&self.log, format!("{spool:016x}"));
        tracing::error!(%log, offset, spool, sequence, "a record came twice; its event counts twice");
    }

    /// How many came twice.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        self.repeats.get()
    }

    /// The offsets from `from` to `to` hold no record.
    pub fn hole(&self, from: Offset, to: Offset) {
        self.holes.inc_by(to - from);
        tracing::error!(log = %self.log, from, to, "offsets of the topic hold no record");
    }
}
