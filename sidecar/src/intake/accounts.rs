//! What a worker counts of its requests; looked up once a worker, not once a request.

use super::request::Durability;
use super::take::{Counters, Tally};
use crate::http::problem::Problem;
use penstock::telemetry::SidecarMetrics;
use penstock::telemetry::sidecar::{CodeLabel, DurabilityLabel, RepeatLabel};
use prometheus_client::metrics::histogram::Histogram;
use std::cell::OnceCell;
use tokio::time::Instant;

/// Counters and histograms of one worker's answers.
pub struct Accounts {
    /// All of the sidecar's.
    pub metrics: SidecarMetrics,
    counters: Counters,
    /// By [`Durability`]; made when the first answer waits for it.
    acks: [OnceCell<Histogram>; 3],
}

impl Accounts {
    /// Of these metrics.
    #[must_use]
    pub fn of(metrics: SidecarMetrics) -> Self {
        Self { counters: Counters::of(&metrics), acks: Default::default(), metrics }
    }

    /// Counts what an answer says of its events.
    pub fn answered(&self, tally: &Tally) {
        tally.count(&self.counters);
    }

    /// Counts a request whose events were as durable as asked for at `at`.
    pub fn acknowledge(&self, durability: Durability, started: Instant, at: Instant) {
        let ack = self.acks[durability as usize]
            .get_or_init(|| self.metrics.ack.get_or_create_owned(&DurabilityLabel { durability: durability.name() }));
        ack.observe(at.saturating_duration_since(started).as_secs_f64());
    }

    /// Counts a request with a key that was there before.
    pub fn repeated(&self, outcome: &'static str) {
        self.metrics.repeats.get_or_create(&RepeatLabel { outcome }).inc();
    }

    /// Counts a problem that the gate does not see, because the request had left when it arose.
    pub fn refused(&self, problem: &Problem) {
        self.metrics.problems.get_or_create(&CodeLabel { code: problem.code() }).inc();
    }
}
