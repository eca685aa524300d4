//! Sends one batch and waits for its acknowledgements, in as many attempts as it takes.
//!
//! A [`Sending`] outlives the call that began it: when the brokers are silent for too long the
//! call ends, so that the state shows it and a stop is heard, and the next call goes on waiting
//! for the very same messages. Nothing is enqueued twice while its producer lives.

use super::batch::Batch;
use penstock::kafka::{Producer, ProducerError, SharedProducer, Ticket, is_final};
use penstock::log::{Offset, Range};
use penstock::settings::ForwardSettings;
use penstock::telemetry::ForwardMetrics;
use rdkafka::error::RDKafkaErrorCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Most messages of one batch call: bounds the memory of a call, and lets acknowledgements begin.
const CALL: usize = 4_096;
/// How long a full buffer is left alone. Other partitions fill it too, so nobody tells when it has room.
const FULL_WAIT: Duration = Duration::from_millis(2);
/// How often a wait looks whether the producer has broken.
const LOOK: Duration = Duration::from_millis(500);

/// A batch on its way.
pub(super) struct Sending {
    pub range: Range,
    /// Found to be there already, ascending: left out.
    held: Vec<Offset>,
    producer: Arc<Producer>,
    ticket: Ticket,
    /// Where each chunk of the ticket went: index of its part.
    chunks: Vec<usize>,
    /// The part being enqueued, and how many of its records were.
    part: usize,
    item: usize,
    enqueued: u64,
    began: Instant,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Attempt {
    /// All of it is on all in-sync replicas.
    Done,
    /// Not yet; the same sending goes on.
    Waiting(String),
    /// The producer broke: what arrived is unknown.
    Broken(String),
    /// The brokers refuse it.
    Refused(String),
}

impl Sending {
    pub fn new(range: Range, producer: &SharedProducer, held: Vec<Offset>) -> Self {
        let (producer, ticket) = (producer.current(), Ticket::new());
        let began = Instant::now();
        Sending { range, held, producer, ticket, chunks: Vec::new(), part: 0, item: 0, enqueued: 0, began }
    }

    /// Enqueues what is not, and waits up to `ack_wait`. Cancel
    /// safe: a later call goes on.
    pub async fn go(
        &mut self,
        batch: &Batch,
        topic: impl Fn(usize) -> String,
        settings: &ForwardSettings,
        metrics: &ForwardMetrics,
    ) -> Attempt {
        let deadline = Instant::now() + settings.ack_wait;
        loop {
            let full = match self.enqueue(batch, &topic, metrics) {
                Ok(full) => full,
                Err(error) => return Attempt::Refused(error.to_string()),
            };
            if !full && self.ticket.is_settled() {
                return self.outcome(metrics);
            }
            if let Some(why) = self.producer.fatal() {
                return Attempt::Broken(why);
            }
            let now = Instant::now();
            if now >= deadline {
                let last = self.producer.last_error().map(|e| format!("; {e}")).unwrap_or_default();
                return Attempt::Waiting(format!("Kafka has not acknowledged for {:?}{last}", self.began.elapsed()));
            }
            let wait = if full { FULL_WAIT } else { LOOK };
            let _ = tokio::time::timeout_at(deadline.min(now + wait), self.ticket.settled()).await;
        }
    }

    /// True when the buffer was full before all was enqueued.
    fn enqueue(
        &mut self,
        batch: &Batch,
        topic: &impl Fn(usize) -> String,
        metrics: &ForwardMetrics,
    ) -> Result<bool, ProducerError> {
        while let Some(part) = batch.parts.get(self.part) {
            let held = &self.held;
            let is_held = |item: usize| held.binary_search(&part.sequence(item)).is_ok();
            // Runs of what is missing: with nothing held that is the whole part.
            while self.item < part.len() && !held.is_empty() && is_held(self.item) {
                self.item += 1;
            }
            if self.item >= part.len() {
                (self.part, self.item) = (self.part + 1, 0);
                continue;
            }
            let most = part.len().min(self.item + CALL);
            let to = if held.is_empty() { most } else { (self.item..most).find(|i| is_held(*i)).unwrap_or(most) };
            let (messages, ticket) = (part.slices(self.item, to), &mut self.ticket);
            self.chunks.push(self.part);
            let done =
                self.producer.enqueue_within(&topic(part.topic), part.partition, &batch.bytes, messages, ticket)?;
            metrics.enqueued.inc_by(done.messages as u64);
            self.enqueued += done.messages as u64;
            self.item += done.messages;
            if done.full {
                metrics.buffer_full.inc();
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn outcome(&self, metrics: &ForwardMetrics) -> Attempt {
        match self.ticket.failed() {
            (0, _) => {
                metrics.ack.observe(self.began.elapsed().as_secs_f64());
                Attempt::Done
            }
            (n, Some(code)) if is_stale(code) => Attempt::Broken(format!("{n} records: {code}; asking for it anew")),
            (n, Some(code)) if is_final(code) => Attempt::Refused(format!("{n} records: {code}")),
            (n, code) => {
                let why = code.map_or_else(|| "unknown error".to_owned(), |c| c.to_string());
                Attempt::Broken(self.producer.fatal().unwrap_or_else(|| format!("{n} records: {why}")))
            }
        }
    }

    /// Part and the offset behind its acknowledged records, where the broker told.
    pub fn offsets(&self) -> impl Iterator<Item = (usize, i64)> {
        self.chunks.iter().zip(self.ticket.offsets()).filter_map(|(part, offset)| Some((*part, offset?)))
    }

    /// Messages that were handed to the producer.
    pub fn enqueued(&self) -> u64 {
        self.enqueued
    }

    /// The producer it goes through.
    pub fn producer(&self) -> &Arc<Producer> {
        &self.producer
    }
}

/// Whether the client, or the broker that it asked, does not know of a partition that is there by
/// the plan: right after a topic has grown. A client made anew asks for the topic anew, and what had
/// arrived meanwhile is looked up as after every break.
const fn is_stale(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::UnknownPartition | RDKafkaErrorCode::UnknownTopicOrPartition)
}
