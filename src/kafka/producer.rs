//! The bounded, idempotent producer that everything writes to Kafka with.
//!
//! `acks=all`, idempotence, no message timeout: what is enqueued is sent until it is acknowledged
//! or this producer ends, in order and once. When idempotence itself breaks (a *fatal* error), the
//! producer is built anew through [`SharedProducer`], and what was under way is unknown.

use super::batch::{self, Enqueued, Message, Slice, Ticket, TopicHandle};
use super::client;
use super::context::Context;
use super::served::Served;
use crate::settings::{KafkaSettings, SettingsError};
use bytes::Bytes;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer as _};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a producer buffers and sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerOptions {
    /// Most bytes that wait in librdkafka's queues. At least 1 MiB.
    pub buffer_bytes: usize,
    /// Most messages that wait there.
    pub buffer_messages: usize,
    /// How long a partition's messages wait for more of them before they are sent.
    pub linger: Duration,
    /// Codec of the batches: `none`, `lz4`, `zstd`, `gzip`, `snappy`.
    pub compression: &'static str,
    /// Most bytes of one message.
    pub max_message_bytes: usize,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        ProducerOptions {
            buffer_bytes: 32 << 20,
            buffer_messages: 200_000,
            linger: Duration::from_millis(5),
            compression: "lz4",
            max_message_bytes: 1_000_000,
        }
    }
}

/// Why there is no producer, or why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ProducerError {
    /// A secret cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// librdkafka does not take the configuration.
    #[error("the Kafka producer cannot be made: {0}")]
    Create(#[source] KafkaError),
    /// The operating system gives it no thread.
    #[error("the Kafka producer has no thread: {0}")]
    Thread(#[source] std::io::Error),
    /// librdkafka does not take the topic's name.
    #[error("the topic {0:?} cannot be written to")]
    Topic(String),
}

/// A producer. Its delivery reports are served by a thread of its own.
pub struct Producer {
    /// Before the client: topics are given back before it is destroyed.
    topics: Mutex<HashMap<String, Arc<TopicHandle>>>,
    client: Served,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Producer {
    /// A producer; it connects by itself, now or when the brokers are there.
    ///
    /// Errors: [`ProducerError`].
    pub fn new(settings: &KafkaSettings, options: &ProducerOptions) -> Result<Self, ProducerError> {
        let mut config = client::config(settings)?;
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // Never given up: an outage of hours is waited for, the spool holds meanwhile.
            .set("message.timeout.ms", "0")
            .set("queue.buffering.max.kbytes", (options.buffer_bytes / 1024).max(1024).to_string())
            .set("queue.buffering.max.messages", options.buffer_messages.to_string())
            .set("queue.buffering.max.ms", options.linger.as_millis().to_string())
            .set("compression.type", options.compression)
            .set("message.max.bytes", options.max_message_bytes.to_string())
            .set("batch.size", options.max_message_bytes.to_string())
            // A broker that comes back is used soon.
            .set("reconnect.backoff.max.ms", "1000");
        let client = BaseProducer::from_config_and_context(&config, Context::default());
        let client = Served::new(client.map_err(ProducerError::Create)?).map_err(ProducerError::Thread)?;
        Ok(Producer { topics: Mutex::default(), client })
    }

    /// Enqueues messages in their order for one partition and counts them in `ticket`. Never waits.
    ///
    /// Errors: [`ProducerError::Topic`].
    pub fn enqueue<'a>(
        &self,
        topic: &str,
        partition: u32,
        messages: impl ExactSizeIterator<Item = Message<'a>>,
        ticket: &mut Ticket,
    ) -> Result<Enqueued, ProducerError> {
        let (handle, partition) = self.place(topic, partition)?;
        Ok(batch::produce(&handle, partition, messages, ticket))
    }

    /// The same for messages that lie in `buffer`, whose values are not copied: it is kept until they
    /// are acknowledged or have failed.
    ///
    /// Errors: [`ProducerError::Topic`].
    ///
    /// # Panics
    /// When a message does not lie within the buffer.
    pub fn enqueue_within(
        &self,
        topic: &str,
        partition: u32,
        buffer: &Bytes,
        messages: impl ExactSizeIterator<Item = Slice>,
        ticket: &mut Ticket,
    ) -> Result<Enqueued, ProducerError> {
        let (handle, partition) = self.place(topic, partition)?;
        Ok(batch::produce_within(&handle, partition, buffer, messages, ticket))
    }

    fn place(&self, topic: &str, partition: u32) -> Result<(Arc<TopicHandle>, i32), ProducerError> {
        let found = i32::try_from(partition).ok().and_then(|p| Some((self.topic(topic)?, p)));
        found.ok_or_else(|| ProducerError::Topic(topic.to_owned()))
    }

    fn topic(&self, name: &str) -> Option<Arc<TopicHandle>> {
        let mut topics = locked(&self.topics);
        if let Some(topic) = topics.get(name) {
            return Some(Arc::clone(topic));
        }
        let topic = Arc::new(TopicHandle::new(self.client.client(), name)?);
        topics.insert(name.to_owned(), Arc::clone(&topic));
        Some(topic)
    }

    /// The error that ended this producer for good, if one has.
    #[must_use]
    pub fn fatal(&self) -> Option<String> {
        self.client.client().fatal_error().map(|(code, why)| format!("{code}: {why}"))
    }

    /// The last error that librdkafka told of, for messages; it may be over.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.client.context().last_error()
    }

    /// Messages that are enqueued and not reported.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.client.in_flight_count()).unwrap_or(0)
    }

    /// How many partitions the topic has; `None` when there is none. Blocks up to `timeout`.
    ///
    /// Errors: the brokers do not answer.
    pub fn partitions(&self, topic: &str, timeout: Duration) -> Result<Option<u32>, KafkaError> {
        let metadata = self.client.client().fetch_metadata(Some(topic), timeout)?;
        let found = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none());
        Ok(found.and_then(|t| u32::try_from(t.partitions().len()).ok()).filter(|n| *n > 0))
    }

    /// First offset behind the newest record of a partition. Blocks up to `timeout`.
    ///
    /// Errors: the brokers do not answer.
    pub fn end(&self, topic: &str, partition: u32, timeout: Duration) -> Result<i64, KafkaError> {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        Ok(self.client.client().fetch_watermarks(topic, partition, timeout)?.1)
    }
}

/// A producer that several share and that is replaced when it has failed. Cheap to clone.
#[derive(Clone)]
pub struct SharedProducer(Arc<Inner>);

struct Inner {
    settings: KafkaSettings,
    options: ProducerOptions,
    current: Mutex<Arc<Producer>>,
}

impl SharedProducer {
    /// Makes the first producer.
    ///
    /// Errors: [`ProducerError`].
    pub fn new(settings: &KafkaSettings, options: ProducerOptions) -> Result<Self, ProducerError> {
        let current = Mutex::new(Arc::new(Producer::new(settings, &options)?));
        Ok(SharedProducer(Arc::new(Inner { settings: settings.clone(), options, current })))
    }

    /// The one to use now.
    #[must_use]
    pub fn current(&self) -> Arc<Producer> {
        Arc::clone(&locked(&self.0.current))
    }

    /// How its producers are made.
    #[must_use]
    pub fn options(&self) -> &ProducerOptions {
        &self.0.options
    }

    /// How it connects.
    #[must_use]
    pub fn settings(&self) -> &KafkaSettings {
        &self.0.settings
    }

    /// Puts a new producer in the place of `failed`, unless somebody has. What `failed` still holds
    /// is thrown away before this returns, whoever enqueued it: what is enqueued again through the
    /// new one is not followed by its older self, unless that was on its way to a broker already.
    ///
    /// Errors: [`ProducerError`]; `failed` stays in its place.
    pub fn replace(&self, failed: &Arc<Producer>) -> Result<(), ProducerError> {
        let mut current = locked(&self.0.current);
        if Arc::ptr_eq(&current, failed) {
            let new = Arc::new(Producer::new(&self.0.settings, &self.0.options)?);
            let old = std::mem::replace(&mut *current, new);
            old.client.purge();
            // Its end joins a thread, for which a pipeline's thread has no time.
            std::thread::spawn(move || drop(old));
        }
        Ok(())
    }
}
