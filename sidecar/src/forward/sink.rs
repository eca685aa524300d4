//! The sink `kafka`: one spool partition's ranges into the event topics.

use super::batch::{self, Batch};
use super::forwarder::{Forwarder, KnownTopics};
use super::held::Asking;
use super::plan::Plan;
use super::send::{Attempt, Sending};
use penstock::log::spool::Watermarks;
use penstock::log::{LogId, Offset, Position, Range, Records};
use penstock::pipeline::{Held, Poison, Sink, SinkError};
use penstock::pricing::Snapshot;
use penstock::registry::SchemaIds;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the bounds are put on disk: so much more of the tails is read after a crash.
const SAVE: Duration = Duration::from_secs(5);

/// Forwards one partition of the spool.
pub struct KafkaSink<R> {
    pub(super) forwarder: Arc<Forwarder<R>>,
    pub(super) spool: u64,
    pub(super) plan: Plan,
    pub(super) path: PathBuf,
    /// Told how far Kafka has it.
    pub(super) marks: Arc<Watermarks>,
    pub(super) stop: CancellationToken,
    pub(super) sending: Option<Sending>,
    pub(super) saved: Option<Instant>,
    /// What the gauge of bytes under way was raised by.
    pub(super) in_flight: i64,
}

impl<R> KafkaSink<R> {
    fn under_way(&mut self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.forwarder.metrics.in_flight.inc_by(bytes - self.in_flight);
        self.in_flight = bytes;
    }

    /// Takes over topics that are new or have grown, from sequence `from` on. True when there were.
    async fn take_over(&mut self, from: Offset, known: &KnownTopics) -> Result<bool, SinkError> {
        let mut changed = false;
        for topic in &self.forwarder.topics {
            let Some(count) = known.counts.get(topic).copied() else { continue };
            if self.plan.holds(topic, count) {
                continue;
            }
            // Those that are there stay, also when the brokers speak of fewer.
            let before = self.plan.count(topic);
            let count = count.max(before.unwrap_or(0));
            let ends = self.ends(topic.clone(), before.unwrap_or(0), count).await?;
            tracing::info!(topic, count, before, from, "the topic's partitions are taken over");
            self.plan.adopt(topic, from, ends);
            changed = true;
        }
        Ok(changed)
    }

    /// Ends of the partitions from `from` on; 0 stands for those before.
    async fn ends(&self, topic: String, from: u32, to: u32) -> Result<Vec<i64>, SinkError> {
        let producer = self.forwarder.producer.current();
        let wait = self.forwarder.settings.ack_wait;
        let asked = tokio::task::spawn_blocking(move || {
            (0..to).map(|p| if p < from { Ok(0) } else { producer.end(&topic, p, wait) }).collect::<Result<Vec<_>, _>>()
        });
        match asked.await {
            Ok(Ok(ends)) => Ok(ends),
            Ok(Err(error)) => Err(SinkError::Retry(format!("the ends of the topics: {error}"))),
            Err(error) => Err(SinkError::Retry(error.to_string())),
        }
    }

    /// Before anything of the range is sent: bounds that hold now, and a topic that has grown.
    async fn begin(&mut self, range: Range) -> Result<(), SinkError> {
        self.plan.begin(range.from);
        let known = self.forwarder.known.borrow().clone();
        let grown = match self.take_over(range.to, &known).await {
            Ok(grown) => grown,
            // The new partitions can wait; the range goes by the old number anyway.
            Err(error) => {
                tracing::warn!(%error, "more partitions are taken over later");
                false
            }
        };
        if grown || self.saved.is_none_or(|at| at.elapsed() >= SAVE) {
            self.plan.save().map_err(|e| SinkError::Retry(e.to_string()))?;
            self.saved = Some(Instant::now());
        }
        Ok(())
    }

    /// Sends, or goes on sending, and translates how it ended.
    async fn attempt(&mut self, range: Range, batch: &Batch, held: &[Offset]) -> Result<(), SinkError> {
        let (producer, metrics) = (&self.forwarder.producer, &self.forwarder.metrics);
        let sending = self.sending.get_or_insert_with(|| Sending::new(range, producer, held.to_vec()));
        let plan = &self.plan;
        let sent = sending.go(batch, |t| plan.name(t).to_owned(), &self.forwarder.settings, metrics);
        let attempt = tokio::select! {
            biased;
            attempt = sent => attempt,
            // A stop waits a moment for what is nearly there, then leaves it to the next start.
            () = stopped(&self.stop) => Attempt::Waiting("stopping".to_owned()),
        };
        match attempt {
            Attempt::Done => {
                if let Some(sending) = self.sending.take() {
                    self.forwarder.metrics.acked.inc_by(sending.enqueued());
                    for (part, offset) in sending.offsets() {
                        if let Some(part) = batch.parts.get(part) {
                            self.plan.acknowledged(part.topic, part.partition, offset);
                        }
                    }
                }
                self.done(range);
                Ok(())
            }
            Attempt::Waiting(why) => {
                self.forwarder.metrics.unknown.inc();
                Err(SinkError::Unknown(why))
            }
            Attempt::Broken(why) => {
                self.forwarder.metrics.unknown.inc();
                self.forwarder.metrics.rebuilt.inc();
                if let Some(sending) = self.sending.take() {
                    let replaced = self.forwarder.producer.replace(sending.producer());
                    replaced.map_err(|e| SinkError::Fatal(e.to_string()))?;
                }
                Err(SinkError::Unknown(why))
            }
            Attempt::Refused(why) => {
                self.sending = None;
                Err(SinkError::Fatal(why))
            }
        }
    }

    /// Asks the brokers what they hold.
    async fn ask(&mut self, range: Range, batch: &Batch) -> Result<Held, SinkError> {
        let Forwarder { producer, settings, metrics, .. } = &*self.forwarder;
        let (plan, spool, stop, nonce) = (&self.plan, self.spool, &self.stop, rand::random::<u64>());
        let held = Asking { producer, plan, spool, settings, metrics, stop, nonce }.ask(range, batch).await?;
        if held == Held::All {
            self.done(range);
        }
        Ok(held)
    }

    fn done(&mut self, range: Range) {
        self.under_way(0);
        self.marks.set_replicated(range.to);
    }
}

async fn stopped(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
}

impl<R> Drop for KafkaSink<R> {
    fn drop(&mut self) {
        self.under_way(0);
    }
}

impl<R: SchemaIds> Sink for KafkaSink<R> {
    type Batch = Batch;

    fn name(&self) -> &'static str {
        "kafka"
    }

    fn prepare(
        &mut self,
        _log: &LogId,
        range: Range,
        records: &Records,
        _catalogue: &Snapshot,
        bad: &mut Vec<Poison>,
    ) -> Batch {
        let forwarder = &self.forwarder;
        let (kafka, most) = (forwarder.producer.settings(), forwarder.settings.max_message_bytes);
        let batch = batch::make(records, range, self.spool, &self.plan, kafka, forwarder.ids.as_ref(), most, bad);
        forwarder.metrics.unframed.inc_by(batch.unframed);
        batch
    }

    async fn held(&mut self, _log: &LogId, range: Range, batch: &Batch) -> Result<Held, SinkError> {
        // This process is still sending it: nothing has to be asked, only waited for.
        if self.sending.as_ref().is_some_and(|s| s.range == range) {
            return match self.attempt(range, batch, &[]).await {
                Ok(()) => Ok(Held::All),
                Err(SinkError::Unknown(why)) if self.sending.is_some() => Err(SinkError::Retry(why)),
                Err(SinkError::Unknown(_)) => self.ask(range, batch).await,
                Err(error) => Err(error),
            };
        }
        self.ask(range, batch).await
    }

    async fn write(&mut self, _log: &LogId, range: Range, batch: &Batch, held: &Held) -> Result<(), SinkError> {
        let held = match held {
            Held::Nothing => &[][..],
            Held::Some(sequences) => sequences,
            Held::All => return Ok(()),
        };
        self.begin(range).await?;
        self.under_way(batch.bytes());
        self.attempt(range, batch, held).await
    }

    async fn start(&mut self, log: &LogId, position: Position) -> Result<Position, SinkError> {
        let under_way = position.pinned.unwrap_or(position.next);
        self.plan = Plan::load(&self.path, self.spool).map_err(|e| SinkError::Fatal(e.to_string()))?;
        if self.plan.is_new() && under_way > 0 {
            tracing::warn!(%log, path = %self.path.display(), "the forwarder's plan is gone; all partitions will be searched");
            self.plan.lost(under_way);
        }
        let mapping = self.forwarder.producer.settings().mapping();
        if under_way > position.next
            && let Some((kind, planned, now)) = self.plan.moved(&mapping).into_iter().next()
        {
            // Where its records went is where they have to be looked for.
            return Err(SinkError::Fatal(format!(
                "kafka.topics sends `{kind}` to {now} now, and the range [{}, {under_way}) was begun when it went to \
                 {planned}: set it back, start, and change it after a clean stop, when no range is under way",
                position.next
            )));
        }
        let mapped = self.plan.map(&mapping);
        let planned = self.forwarder.topics.iter().all(|t| self.plan.count(t).is_some());
        let known = match planned {
            // Brokers that are away are waited for where their acknowledgements are.
            true => self.forwarder.known.borrow().clone(),
            false => self.forwarder.known().await.map_err(SinkError::Retry)?,
        };
        // What is under way goes by the old number.
        if self.take_over(under_way, &known).await? || mapped {
            self.plan.save().map_err(|e| SinkError::Retry(e.to_string()))?;
        }
        self.marks.set_replicated(position.next);
        Ok(position)
    }
}
