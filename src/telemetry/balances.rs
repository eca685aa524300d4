//! Metrics of the balances sink, the catalogue feed and the publisher.
//!
//! | name | counts |
//! | --- | --- |
//! | `penstock_balances_events_total{booked}` | events in committed transactions: `charged`, `duplicate`, `unattributed` |
//! | `penstock_balances_stops_total{reason}` | reasons that events gave to campaigns (`balance`: to advertisers) |
//! | `penstock_balances_published_total{what}` | records durable in a log: `change`, `heartbeat`, `kpis` |
//! | `penstock_balances_publish_seconds` | from the receipt of the exhausting event to its stop being durable in the log |
//! | `penstock_balances_retries_total{what}` | calls that failed and are made again: `snapshot`, `publish`, `keep` |
//! | `penstock_balances_housekept_total{what}` | rows removed: `ids`, `ranges`, `outbox` |
//! | `penstock_catalogue_version`, `_campaigns`, `_tags` | the snapshot that is handed out |

use crate::ledger::{Applied, Housekept, Outcome, Reason};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Booked {
    booked: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct For {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct What {
    what: &'static str,
}

/// Metrics of everything around the ledger. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BalancesMetrics {
    events: Family<Booked, Counter>,
    stops: Family<For, Counter>,
    published: Family<What, Counter>,
    publish_seconds: Histogram,
    retries: Family<What, Counter>,
    housekept: Family<What, Counter>,
    version: Gauge,
    campaigns: Gauge,
    tags: Gauge,
}

impl Default for BalancesMetrics {
    /// Counts without being shown, for tests.
    fn default() -> Self {
        BalancesMetrics {
            events: Family::default(),
            stops: Family::default(),
            published: Family::default(),
            publish_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            retries: Family::default(),
            housekept: Family::default(),
            version: Gauge::default(),
            campaigns: Gauge::default(),
            tags: Gauge::default(),
        }
    }
}

impl BalancesMetrics {
    /// Declares the metrics in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let m = Self::default();
        // Known labels begin at 0, so that a rate over the first one is right.
        for booked in ["charged", "duplicate", "unattributed"] {
            drop(m.events.get_or_create(&Booked { booked }));
        }
        for what in ["change", "heartbeat", "kpis"] {
            drop(m.published.get_or_create(&What { what }));
        }
        for what in ["snapshot", "publish", "keep"] {
            drop(m.retries.get_or_create(&What { what }));
        }
        let r = registry;
        r.register(
            "penstock_balances_events",
            "Events in committed transactions, by how they were booked",
            m.events.clone(),
        );
        r.register("penstock_balances_stops", "Reasons that events gave to campaigns", m.stops.clone());
        r.register("penstock_balances_published", "Records durable in a log", m.published.clone());
        r.register(
            "penstock_balances_publish_seconds",
            "From the receipt of the exhausting event to its stop being durable in the log",
            m.publish_seconds.clone(),
        );
        r.register("penstock_balances_retries", "Calls that failed and are made again", m.retries.clone());
        r.register("penstock_balances_housekept", "Rows removed by housekeeping", m.housekept.clone());
        r.register("penstock_catalogue_version", "Version of the snapshot that is handed out", m.version.clone());
        r.register("penstock_catalogue_campaigns", "Campaigns in the snapshot", m.campaigns.clone());
        r.register("penstock_catalogue_tags", "Tags in the snapshot", m.tags.clone());
        m
    }

    /// A range was committed.
    pub fn applied(&self, applied: &Applied) {
        if applied.outcome == Outcome::AlreadyBooked {
            return;
        }
        let sums = &applied.sums;
        for (booked, tally) in
            [("charged", sums.charged), ("duplicate", sums.duplicate), ("unattributed", sums.unattributed)]
        {
            self.events.get_or_create(&Booked { booked }).inc_by(tally.events);
        }
        for (_, reason) in &applied.stopped {
            self.stops.get_or_create(&For { reason: reason.name() }).inc();
        }
        self.stops.get_or_create(&For { reason: Reason::Balance.name() }).inc_by(applied.exhausted.len() as u64);
    }

    /// Records of a kind are durable in their log.
    pub fn published(&self, what: &'static str, records: usize) {
        self.published.get_or_create(&What { what }).inc_by(records as u64);
    }

    /// A stop is durable, so long after its event was received.
    pub fn publish_latency(&self, latency: Duration) {
        self.publish_seconds.observe(latency.as_secs_f64());
    }

    /// A call failed and will be made again.
    pub fn retry(&self, what: &'static str) {
        self.retries.get_or_create(&What { what }).inc();
    }

    /// Housekeeping has run.
    pub fn housekept(&self, kept: &Housekept) {
        for (what, rows) in [("ids", kept.ids_purged), ("ranges", kept.ranges_folded), ("outbox", kept.outbox_purged)] {
            self.housekept.get_or_create(&What { what }).inc_by(rows);
        }
    }

    /// A new snapshot is handed out.
    pub fn catalogue(&self, version: u64, campaigns: usize, tags: usize) {
        let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.version.set(i64::try_from(version).unwrap_or(i64::MAX));
        self.campaigns.set(gauge(campaigns));
        self.tags.set(gauge(tags));
    }
}
