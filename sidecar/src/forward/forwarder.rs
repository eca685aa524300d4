//! What the forwarders of all spool partitions share: the producer, the ids of schemas, and how
//! many partitions the topics have now.

use super::plan::{Plan, PlanError};
use super::sink::KafkaSink;
use penstock::kafka::{ProducerError, ProducerOptions, SharedProducer, key};
use penstock::log::spool::Watermarks;
use penstock::log::{Limits, LogId};
use penstock::settings::{ForwardSettings, KafkaSettings};
use penstock::telemetry::ForwardMetrics;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Longest time for one question about a topic.
const ASK: Duration = Duration::from_secs(5);
/// Wait between questions while there is no good answer.
const AGAIN: Duration = Duration::from_millis(500);

/// Why there is no forwarder.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// No producer.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The log is no spool.
    #[error("{0} is no spool, and only spools are forwarded")]
    NoSpool(LogId),
    /// The plan cannot be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// What the brokers said of the topics.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownTopics {
    pub counts: BTreeMap<String, u32>,
    /// Why some are missing.
    pub problem: Option<String>,
}

/// Shared by the forwarders of all partitions of a spool.
pub struct Forwarder<R> {
    pub(super) settings: ForwardSettings,
    pub(super) producer: SharedProducer,
    pub(super) topics: Vec<String>,
    pub(super) ids: Option<R>,
    pub(super) metrics: ForwardMetrics,
    pub(super) known: watch::Receiver<KnownTopics>,
    folder: PathBuf,
}

impl<R> Forwarder<R> {
    /// Makes the producer and follows the topics until `stop`. Must be called inside a runtime of
    /// tokio. `folder` keeps the plans; `ids` is the schema registry, without one records keep
    /// their single-object header.
    ///
    /// Errors: [`ForwardError::Producer`]. Brokers that are away are no error.
    pub fn start(
        kafka: &KafkaSettings,
        settings: &ForwardSettings,
        folder: PathBuf,
        ids: Option<R>,
        metrics: ForwardMetrics,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, ForwardError> {
        let options = ProducerOptions {
            buffer_bytes: settings.buffer_bytes,
            buffer_messages: 1_000_000,
            linger: settings.linger,
            compression: settings.compression.name(),
            max_message_bytes: settings.max_message_bytes,
        };
        let producer = SharedProducer::new(kafka, options)?;
        let topics = kafka.event_topics();
        let (tell, known) = watch::channel(KnownTopics::default());
        tokio::spawn(follow(producer.clone(), topics.clone(), settings.refresh, tell, stop));
        Ok(Arc::new(Forwarder { settings: settings.clone(), producer, topics, ids, metrics, known, folder }))
    }

    /// The sink for one partition of the spool; `marks` are that partition's.
    ///
    /// Errors: [`ForwardError::NoSpool`], [`ForwardError::Plan`].
    pub fn sink(
        self: &Arc<Self>,
        log: &LogId,
        marks: Arc<Watermarks>,
        stop: CancellationToken,
    ) -> Result<KafkaSink<R>, ForwardError> {
        let spool = key::spool_id(log).ok_or_else(|| ForwardError::NoSpool(log.clone()))?;
        let path = self.folder.join(format!("{}.json", log.partition));
        let plan = Plan::load(&path, spool)?;
        let forwarder = Arc::clone(self);
        Ok(KafkaSink { forwarder, spool, plan, path, marks, stop, sending: None, saved: None, in_flight: 0 })
    }

    /// When a range is closed.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let ForwardSettings { max_rows: rows, max_bytes: bytes, max_age: age, .. } = self.settings;
        Limits { rows, bytes, age, idle: Duration::from_secs(1), end: None }
    }

    /// The topics, once all of them are known; the reason after `ack_wait` without.
    pub(super) async fn known(&self) -> Result<KnownTopics, String> {
        let mut known = self.known.clone();
        let all = known.wait_for(|k| self.topics.iter().all(|t| k.counts.contains_key(t)));
        match tokio::time::timeout(self.settings.ack_wait, all).await {
            Ok(Ok(known)) => Ok(known.clone()),
            Ok(Err(_)) => Err("stopping".to_owned()),
            Err(_) => {
                let problem = self.known.borrow().problem.clone();
                Err(problem.unwrap_or_else(|| "Kafka does not answer".to_owned()))
            }
        }
    }
}

/// Asks for the number of partitions, often until all are known, then every `refresh`.
async fn follow(
    producer: SharedProducer,
    topics: Vec<String>,
    refresh: Duration,
    tell: watch::Sender<KnownTopics>,
    stop: CancellationToken,
) {
    loop {
        let (asked, of) = (producer.current(), topics.clone());
        let look = move || {
            let mut known = KnownTopics::default();
            for topic in of {
                match asked.partitions(&topic, ASK) {
                    Ok(Some(count)) => drop(known.counts.insert(topic, count)),
                    Ok(None) => {
                        let make = "`penstock topics apply --yes` makes it";
                        known.problem = Some(format!("there is no topic {topic}; {make}"));
                    }
                    Err(error) => {
                        known.problem = Some(format!("Kafka does not answer: {error}"));
                        break; // nor will it for the others
                    }
                }
            }
            known
        };
        let found = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            found = tokio::task::spawn_blocking(look) => found.unwrap_or_default(),
        };
        let whole = topics.iter().all(|t| found.counts.contains_key(t));
        tell.send_if_modified(|known| {
            // A topic that was known stays so: whoever produces to it hears what is wrong.
            let grown = found.counts.iter().any(|(t, n)| known.counts.get(t) != Some(n));
            known.counts.extend(found.counts);
            known.problem = found.problem;
            grown
        });
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(if whole { refresh } else { AGAIN }) => {}
        }
    }
}
