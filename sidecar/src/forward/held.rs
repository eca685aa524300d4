//! After an unclean end: what of a range is in Kafka already.
//!
//! A barrier is written to each partition that the range's records go to, and the tail is read from
//! a lower bound up to it. Why nothing of the range can stand behind the barrier:
//!
//! - the producer that sent it is gone (its process died, or it broke and was replaced), so what
//!   it sent was in the brokers' hands before;
//! - requests that a leader had not yet read from the dead connection are read before ours: each
//!   leader first answers a question about the partition's offsets, then acknowledges a first
//!   barrier, and only then is the second written, which the tail is read up to;
//! - a leader that is deposed meanwhile cannot append any more (`acks=all`, no unclean election).
//!
//! The barrier carries the promise; the consumers count every (spool, sequence) that repeats.

use super::batch::Batch;
use super::plan::Plan;
use penstock::kafka::barrier::{TailError, Tails, Target};
use penstock::kafka::{Message, SharedProducer, Ticket, key};
use penstock::log::Range;
use penstock::pipeline::{Held, SinkError};
use penstock::settings::ForwardSettings;
use penstock::telemetry::ForwardMetrics;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Clocks are set back by less than this between the append of a record and its sending.
const SLACK: Duration = Duration::from_secs(600);

/// Everything that asking takes.
pub(super) struct Asking<'a> {
    pub producer: &'a SharedProducer,
    pub plan: &'a Plan,
    pub spool: u64,
    pub settings: &'a ForwardSettings,
    pub metrics: &'a ForwardMetrics,
    pub stop: &'a CancellationToken,
    /// Random.
    pub nonce: u64,
}

impl Asking<'_> {
    /// What of the range is in Kafka.
    pub async fn ask(&self, range: Range, batch: &Batch) -> Result<Held, SinkError> {
        let Some(oldest) = batch.oldest else { return Ok(Held::All) };
        let targets = self.targets(range, batch);
        let kafka = self.producer.settings().clone();
        let (resend, wait) = (self.settings.resend_lost, self.settings.ack_wait);
        let (wanted, since) = (targets.clone(), oldest.minus(SLACK));
        let tails = blocking(move || Tails::find(&kafka, &wanted, since, resend, wait)).await?.map_err(|error| {
            let gone = matches!(error, TailError::Gone { .. });
            if gone { self.gone(range, batch, &error) } else { SinkError::Retry(error.to_string()) }
        })?;
        self.barrier(&targets, self.nonce).await?;
        let second = self.nonce.wrapping_add(1);
        self.barrier(&targets, second).await?;
        let (spool, patience, stop) = (self.spool, self.settings.tail_timeout, self.stop.clone());
        let read = blocking(move || tails.read(spool, range, second, patience, || stop.is_cancelled()));
        let found = read.await?.map_err(|error| SinkError::Retry(error.to_string()))?;
        self.metrics.tail_records.inc_by(found.read);
        self.metrics.found.inc_by(found.sequences.len() as u64);
        // The range's poison is in no topic; whatever else it holds must be found.
        let missing = {
            let there: BTreeSet<u64> = found.sequences.iter().copied().collect();
            batch.sequences().filter(|s| !there.contains(s)).count()
        };
        tracing::info!(%range, found = found.sequences.len(), missing, read = found.read, "read the tails of the topics");
        Ok(match (missing, found.sequences.is_empty()) {
            (0, _) => Held::All,
            (_, true) => Held::Nothing,
            _ => Held::Some(found.sequences),
        })
    }

    /// The partitions that the range's records go to, or all of their topics when the plan that it
    /// was sent by is lost.
    fn targets(&self, range: Range, batch: &Batch) -> Vec<Target> {
        let target =
            |topic: usize, partition: u32, bound| Target { topic: self.plan.name(topic).to_owned(), partition, bound };
        if !self.plan.is_lost(range) {
            let bound = |p: &super::batch::Part| self.plan.bound(p.topic, p.partition);
            return batch.parts.iter().map(|p| target(p.topic, p.partition, bound(p))).collect();
        }
        let topics: BTreeSet<usize> = batch.parts.iter().map(|p| p.topic).collect();
        let all = topics.into_iter().flat_map(|t| {
            let count = self.plan.count(self.plan.name(t)).unwrap_or(0);
            (0..count).map(move |p| (t, p))
        });
        all.map(|(t, p)| target(t, p, None)).collect()
    }

    async fn barrier(&self, targets: &[Target], nonce: u64) -> Result<(), SinkError> {
        let producer = self.producer.current();
        let key = key::barrier(self.spool, nonce);
        let mut ticket = Ticket::new();
        for target in targets {
            let message = Message { key: &key, value: None };
            let done = producer.enqueue(&target.topic, target.partition, std::iter::once(message), &mut ticket);
            let done = done.map_err(|e| SinkError::Fatal(e.to_string()))?;
            if done.full {
                return Err(SinkError::Retry("the producer's buffer is full".to_owned()));
            }
        }
        self.metrics.barriers.inc_by(targets.len() as u64);
        let settled = tokio::time::timeout(self.settings.ack_wait, ticket.settled()).await;
        match (settled, ticket.failed()) {
            (Ok(()), (0, _)) => Ok(()),
            (Ok(()), (_, code)) => {
                let why = code.map_or_else(|| "unknown error".to_owned(), |c| c.to_string());
                // A broken producer answers nothing any more; the next attempt has a new one.
                if producer.fatal().is_some() {
                    self.producer.replace(&producer).map_err(|e| SinkError::Fatal(e.to_string()))?;
                }
                Err(SinkError::Retry(format!("a barrier was refused: {why}")))
            }
            (Err(_), _) => {
                let last = producer.last_error().map(|e| format!("; {e}")).unwrap_or_default();
                let wait = self.settings.ack_wait;
                Err(SinkError::Retry(format!("no barrier was acknowledged for {wait:?}{last}")))
            }
        }
    }

    fn gone(&self, range: Range, batch: &Batch, error: &TailError) -> SinkError {
        SinkError::Fatal(format!(
            "whether the {} records of {range} had arrived cannot be told: {error}; forward.resend_lost = true \
             sends them again, then they may count twice",
            batch.len
        ))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SinkError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| SinkError::Retry(format!("a reader died: {e}")))
}
