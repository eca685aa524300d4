//! The client that fetches: one a process, all partitions of its pipelines over it.
//!
//! It is apart from the client that is a member of the group (`group.rs`): what is read, and from
//! where, is decided by pipelines one partition at a time; what is owned is decided by the group
//! for all at once. So a pipeline that begins again from its pin disturbs no membership, and a
//! rebalance needs no seeks.

use super::raw::Queue;
use crate::kafka::client;
use crate::log::{LogError, LogId, Offset};
use crate::settings::{KafkaSettings, SettingsError};
use backon::{ExponentialBuilder, Retryable as _};
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientContext, TopicPartitionList};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long one question to the brokers may take.
const ASK: Duration = Duration::from_secs(5);
/// How long a partition may be without a leader that answers: a broker that died is missed after
/// `broker.session.timeout.ms`, nine seconds unless set otherwise, and then another one is made leader.
const LEADER_MOVES: Duration = Duration::from_secs(12);
/// How often the fetcher's common queue is looked at; only errors come that way.
const LOOK: Duration = Duration::from_millis(500);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A secret cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// librdkafka does not take the configuration.
    #[error("the Kafka consumer cannot be made: {0}")]
    Create(#[source] KafkaError),
    /// No thread could be made.
    #[error("cannot start a thread for the Kafka consumer: {0}")]
    Thread(#[source] io::Error),
}

/// How partitions are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOptions {
    /// Group whose rights are used; nothing is committed under it by this client.
    pub group: String,
    /// Most bytes fetched ahead of each pipeline, a partition. One answer of a broker may exceed it.
    pub ahead_bytes: usize,
    /// How long a broker may gather records for one answer. Zero: it answers with the first record,
    /// which costs brokers and network an answer a produced batch.
    pub gather: Duration,
}

/// What a broker waits for while it gathers.
const GATHERED_BYTES: &str = "65536";
/// How long a broker keeps a question to which it has no answer yet.
const WAIT: Duration = Duration::from_millis(250);

impl FetchOptions {
    /// How long to gather for a sink that makes a range of what came within `age`: short beside it,
    /// and not at all when a quick answer is what the sink is for.
    #[must_use]
    pub fn gather_for(age: Duration) -> Duration {
        if age < WAIT * 2 { Duration::ZERO } else { WAIT.min(age / 4) }
    }
}

/// Remembers whether brokers can be reached.
#[derive(Debug, Default)]
pub(super) struct FetchContext {
    down: AtomicBool,
}

impl ClientContext for FetchContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.down.store(true, Ordering::Release);
        }
        tracing::debug!(%error, reason, "Kafka consumer");
    }
}

impl ConsumerContext for FetchContext {}

/// Fetches partitions from wherever it is told. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher(Arc<BaseConsumer<FetchContext>>);

impl Fetcher {
    /// A fetcher; it connects by itself, now or when the brokers are there.
    ///
    /// Errors: [`ClientError`].
    pub fn new(settings: &KafkaSettings, options: &FetchOptions) -> Result<Fetcher, ClientError> {
        let mut config = client::config(settings)?;
        let (least, wait) = if options.gather.is_zero() { ("1", WAIT) } else { (GATHERED_BYTES, options.gather) };
        config
            .set("fetch.min.bytes", least)
            .set("fetch.wait.max.ms", wait.as_millis().to_string())
            .set("group.id", &options.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // An offset that is gone is an error of its own, never a reason to go somewhere else.
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false")
            .set("check.crcs", "true")
            .set("queued.max.messages.kbytes", (options.ahead_bytes / 1024).clamp(64, 2_097_151).to_string())
            .set("queued.min.messages", "1000000")
            // A full queue is looked at again soon: the default of a second would stall a fast sink.
            .set("fetch.queue.backoff.ms", "20")
            .set("fetch.error.backoff.ms", "200")
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", "10000");
        let consumer = BaseConsumer::from_config_and_context(&config, FetchContext::default());
        let consumer = Arc::new(consumer.map_err(ClientError::Create)?);
        let weak = Arc::downgrade(&consumer);
        let thread = std::thread::Builder::new().name("kafka-fetch".to_owned());
        thread.spawn(move || serve(&weak)).map_err(ClientError::Thread)?;
        Ok(Fetcher(consumer))
    }

    /// Begins to fetch a partition at `from`; anything it fetched of it before is dropped.
    pub(super) fn begin(&self, log: &LogId, from: Offset) -> Result<Queue, LogError> {
        let (partition, list) = self.list(log, rdkafka::Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX)))?;
        let failed = |error: KafkaError| io_error(log, "fetch from Kafka", io::Error::other(error));
        let queue = Queue::cut(Arc::clone(&self.0), &log.name, partition)
            .ok_or_else(|| io_error(log, "fetch from Kafka", io::Error::other("no queue for the partition")))?;
        self.0.incremental_assign(&list).map_err(failed)?;
        Ok(queue)
    }

    /// Stops fetching a partition.
    pub(super) fn end(&self, log: &LogId) {
        let Ok((_, list)) = self.list(log, rdkafka::Offset::Invalid) else { return };
        if let Err(error) = self.0.incremental_unassign(&list) {
            tracing::warn!(%log, %error, "a partition could not be left");
        }
    }

    fn list(&self, log: &LogId, offset: rdkafka::Offset) -> Result<(i32, TopicPartitionList), LogError> {
        let no_such = |error: String| io_error(log, "fetch from Kafka", io::Error::other(error));
        let partition = i32::try_from(log.partition).map_err(|e| no_such(e.to_string()))?;
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(&log.name, partition, offset).map_err(|e| no_such(e.to_string()))?;
        Ok((partition, list))
    }

    /// Whether the brokers were away when last heard of.
    pub(super) fn is_down(&self) -> bool {
        self.0.context().down.load(Ordering::Acquire)
    }

    /// A broker was heard.
    pub(super) fn is_up(&self) {
        self.0.context().down.store(false, Ordering::Release);
    }

    /// First offset and first offset behind the last, asked of the partition's leader. While that
    /// changes, which a lost broker makes it do, it is asked again for twelve seconds.
    ///
    /// Errors: [`LogError::Io`]; may pass.
    pub async fn watermarks(&self, log: &LogId) -> Result<(Offset, Offset), LogError> {
        let ask = || async {
            let (consumer, id) = (Arc::clone(&self.0), log.clone());
            let asked = tokio::task::spawn_blocking(move || {
                consumer.fetch_watermarks(&id.name, i32::try_from(id.partition).unwrap_or(i32::MAX), ASK)
            });
            asked.await?.map_err(io::Error::other)
        };
        let again = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(1))
            .without_max_times()
            .with_total_delay(Some(LEADER_MOVES));
        let asked = ask.retry(again).when(leader_moves).await;
        let (low, high) = asked.map_err(|e| io_error(log, "ask Kafka for the log's ends", e))?;
        self.is_up();
        Ok((u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0)))
    }

    /// How many partitions a topic has now; 0 when there is no such topic.
    ///
    /// Errors: the brokers do not answer.
    pub async fn partitions(&self, topic: &str) -> Result<u32, KafkaError> {
        let (consumer, topic) = (Arc::clone(&self.0), topic.to_owned());
        let asked = tokio::task::spawn_blocking(move || {
            let metadata = consumer.fetch_metadata(Some(&topic), ASK)?;
            let found = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none());
            Ok(found.map_or(0, |t| u32::try_from(t.partitions().len()).unwrap_or(u32::MAX)))
        });
        asked.await.unwrap_or(Err(KafkaError::Canceled))
    }
}

pub(super) fn io_error(log: &LogId, what: &str, source: io::Error) -> LogError {
    LogError::Io { what: format!("{log}: cannot {what}"), source }
}

/// Serves the common queue until the last fetcher is gone.
fn serve(consumer: &Weak<BaseConsumer<FetchContext>>) {
    while let Some(consumer) = consumer.upgrade() {
        match consumer.poll(LOOK) {
            // Every partition's queue is cut off before it is assigned. Should one come this way
            // all the same, its log finds the offset missing and fetches it again.
            Some(Ok(_)) => tracing::error!("a record came by the consumer's common queue"),
            Some(Err(error)) => tracing::debug!(%error, "Kafka consumer"),
            None => {}
        }
    }
}

/// Whether the partition has another leader than was asked, or none yet, or was asked for at a broker
/// that does not know of it: one that has just started answers before it has caught up.
fn leader_moves(error: &io::Error) -> bool {
    use RDKafkaErrorCode as E;
    let code = error.get_ref().and_then(|e| e.downcast_ref::<KafkaError>()).and_then(KafkaError::rdkafka_error_code);
    let unknown = matches!(code, Some(E::UnknownPartition | E::UnknownTopicOrPartition));
    unknown || matches!(code, Some(E::NotLeaderForPartition | E::LeaderNotAvailable))
}
