//! One partition of a topic, read from its start without a consumer group: a compacted topic whose
//! readers each want all of it (campaigns' states).
//!
//! The one thing to know: offsets have holes there, since compaction takes what a later record of
//! the same key replaces. So a range may hold fewer records than offsets, and nothing of it is
//! lost. Where reading goes on is the caller's to keep; nothing is committed.

use super::client;
use crate::log::{FlushReason, Limits, Log, LogError, LogId, Offset, Position, Records};
use crate::settings::KafkaSettings;
use crate::time::Micros;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientContext, Message as _, Offset as KafkaOffset, TopicPartitionList};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long the brokers are waited for when reading begins.
const BEGIN: Duration = Duration::from_secs(5);
/// Kilobytes that wait in librdkafka.
const BUFFER_KB: &str = "8192";
/// librdkafka's own events are served at least so often.
const SERVE: Duration = Duration::from_millis(500);

/// Tells of librdkafka's troubles in our log.
struct Context(Arc<str>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, message, "librdkafka");
            }
            _ => tracing::debug!(facility, message, "librdkafka"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, topic = %self.0, "Kafka reader");
    }
}

impl ConsumerContext for Context {}

/// A reader of one partition.
pub struct Tail {
    settings: KafkaSettings,
    id: LogId,
    end: Offset,
    open: Option<Open>,
}

struct Open {
    // Before the consumer: a queue is given back before its client is destroyed.
    queue: PartitionQueue<Context>,
    consumer: Arc<BaseConsumer<Context>>,
    filled: Arc<Notify>,
    /// Where the last call ended.
    resume: Offset,
    /// Behind the last record taken from the queue.
    next: Offset,
    /// Records were taken since the last call ended: a call that was dropped has lost them.
    taken: bool,
}

impl Tail {
    /// A reader of `partition` of `topic`; it connects when it is first read.
    #[must_use]
    pub fn new(settings: &KafkaSettings, topic: &str, partition: u32) -> Tail {
        let id = LogId { name: topic.into(), partition };
        Tail { settings: settings.clone(), id, end: Offset::MAX, open: None }
    }

    /// First offset and the one behind the last. Errors: [`LogError::Io`], after a few seconds.
    pub async fn bounds(&self) -> Result<(Offset, Offset), LogError> {
        let consumer = self.consumer()?;
        self.ask(consumer).await.map(|(_, low, high)| (low, high))
    }

    fn failed(&self, what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LogError {
        LogError::Io { what: format!("{what} {}", self.id), source: io::Error::other(error) }
    }

    fn consumer(&self) -> Result<BaseConsumer<Context>, LogError> {
        let mut config = client::config(&self.settings).map_err(|e| self.failed("reading", e))?;
        config
            // librdkafka wants a name before partitions can be assigned; nothing is joined.
            .set("group.id", format!("{}-tail", self.settings.client_id))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("queued.max.messages.kbytes", BUFFER_KB)
            .set("fetch.error.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "1000");
        config.create_with_context(Context(self.id.name.clone())).map_err(|e| self.failed("reading", e))
    }

    /// Asks the brokers for the partition's bounds.
    async fn ask(&self, consumer: BaseConsumer<Context>) -> Result<(BaseConsumer<Context>, Offset, Offset), LogError> {
        let (topic, partition) = (self.id.name.clone(), self.partition()?);
        let asked = tokio::task::spawn_blocking(move || {
            consumer.fetch_watermarks(&topic, partition, BEGIN).map(|bounds| (consumer, bounds))
        });
        let (consumer, (low, high)) =
            asked.await.map_err(|e| self.failed("reading", e))?.map_err(|e| self.failed("reading", e))?;
        Ok((consumer, u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0)))
    }

    fn partition(&self) -> Result<i32, LogError> {
        i32::try_from(self.id.partition).map_err(|e| self.failed("reading", e))
    }

    /// Begins to read at `from`. An offset behind the end is one of another life of the topic: it
    /// was made anew.
    async fn begin(&mut self, from: Offset) -> Result<Open, LogError> {
        let (consumer, low, high) = self.ask(self.consumer()?).await?;
        self.end = high;
        if from < low || from > high {
            return Err(LogError::Gap { log: self.id.clone(), wanted: from, start: low });
        }
        let consumer = Arc::new(consumer);
        let partition = self.partition()?;
        let mut queue = consumer
            .split_partition_queue(&self.id.name, partition)
            .ok_or_else(|| self.failed("reading", "librdkafka has no queue for it"))?;
        let filled = Arc::new(Notify::new());
        let ring = Arc::clone(&filled);
        queue.set_nonempty_callback(move || ring.notify_one());
        let mut assigned = TopicPartitionList::new();
        let at = KafkaOffset::Offset(i64::try_from(from).map_err(|e| self.failed("reading", e))?);
        assigned
            .add_partition_offset(&self.id.name, partition, at)
            .and_then(|()| consumer.assign(&assigned))
            .map_err(|e| self.failed("reading", e))?;
        Ok(Open { queue, consumer, filled, resume: from, next: from, taken: false })
    }
}

/// How a look into the queue ended.
enum Taken {
    Full,
    Empty,
    /// The broker does not have the offset any more: the bounds are asked for again.
    OutOfRange,
    Failed(KafkaError),
}

impl Open {
    fn take(&mut self, limits: &Limits, out: &mut Records) -> Taken {
        let mut bytes = 0;
        loop {
            if out.len() >= limits.rows || bytes >= limits.bytes {
                return Taken::Full;
            }
            match self.queue.poll(Duration::ZERO) {
                None => return Taken::Empty,
                Some(Ok(message)) => {
                    let Ok(offset) = u64::try_from(message.offset()) else { continue };
                    (self.next, self.taken) = (offset + 1, true);
                    let appended = message.timestamp().to_millis().unwrap_or(0).saturating_mul(1_000);
                    // A null value (a tombstone) says nothing to a reader of states.
                    if let Some(body) = message.payload() {
                        bytes += body.len();
                        out.push(offset, Micros(appended), body);
                    }
                }
                Some(Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
                ))) => return Taken::OutOfRange,
                Some(Err(error)) => return Taken::Failed(error),
            }
        }
    }

    /// Ends a call that returns what it has taken.
    fn ends(&mut self, from: Offset, out: &Records) {
        self.resume = out.range().map_or(from, |range| range.to);
        self.taken = false;
    }

    /// Serves what is not a record: errors that librdkafka mends by itself.
    fn serve(&self) {
        while let Some(event) = self.consumer.poll(Duration::ZERO) {
            if let Err(error) = event {
                tracing::debug!(%error, "Kafka reader");
            }
        }
    }
}

impl Log for Tail {
    fn id(&self) -> &LogId {
        &self.id
    }

    async fn position(&mut self) -> Result<Option<Position>, LogError> {
        Ok(None)
    }

    async fn read(&mut self, from: Offset, limits: &Limits, out: &mut Records) -> Result<FlushReason, LogError> {
        out.clear();
        let idle = Instant::now() + limits.idle;
        let mut closes: Option<Instant> = None;
        let mut fresh = true;
        loop {
            if self.open.as_ref().is_none_or(|open| fresh && (open.taken || open.resume != from)) {
                self.open = None;
                self.open = Some(self.begin(from).await?);
            }
            fresh = false;
            let Some(open) = &mut self.open else { continue };
            open.serve();
            match open.take(limits, out) {
                Taken::Full => {
                    open.ends(from, out);
                    return Ok(FlushReason::Rows);
                }
                Taken::Empty => {}
                _ if !out.is_empty() => {
                    self.open = None;
                    return Ok(FlushReason::Age);
                }
                Taken::OutOfRange => {
                    self.open = None;
                    continue;
                }
                Taken::Failed(error) => {
                    self.open = None;
                    return Err(self.failed("reading", error));
                }
            }
            self.end = self.end.max(open.next);
            let now = Instant::now();
            let until = if out.is_empty() { idle } else { *closes.get_or_insert(now + limits.age) };
            if now >= until {
                open.ends(from, out);
                return Ok(if out.is_empty() { FlushReason::Idle } else { FlushReason::Age });
            }
            let filled = Arc::clone(&open.filled);
            let _ = tokio::time::timeout_at(until.min(now + SERVE), filled.notified()).await;
        }
    }

    /// Nothing is kept here: whoever reads keeps its own snapshot.
    async fn store(&mut self, _: Position) -> Result<(), LogError> {
        Ok(())
    }

    /// [`Offset::MAX`] until the brokers have said: nobody has caught up with what is unknown.
    fn end(&self) -> Offset {
        self.end
    }
}
