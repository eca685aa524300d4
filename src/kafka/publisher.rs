//! Appends a few records to one partition of a topic and waits until they are on all in-sync
//! replicas: dead letters, campaigns' states and figures.

use super::batch::{Message, Ticket};
use super::producer::{ProducerError, SharedProducer};
use rdkafka::error::RDKafkaErrorCode;
use std::sync::Arc;
use std::time::Duration;

/// Why records are not in the topic for sure. Any of them may be there all the same, and may still
/// come for a moment; readers know a record that comes twice by its key.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// May pass: brokers away, too few in-sync replicas.
    #[error("{topic}: not acknowledged: {why}")]
    Unknown {
        /// The topic.
        topic: Arc<str>,
        /// The last error, or how long was waited.
        why: String,
    },
    /// The brokers refuse it (no such topic, no right to write, too large): an operator's matter.
    #[error("{topic}: refused: {why}")]
    Refused {
        /// The topic.
        topic: Arc<str>,
        /// What they said.
        why: String,
    },
}

/// Appends to one partition of a topic. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    producer: SharedProducer,
    topic: Arc<str>,
    partition: u32,
    timeout: Duration,
}

impl Publisher {
    /// A publisher to `partition` of `topic` that waits up to `timeout` for an acknowledgement.
    /// Several may share a producer, but none may share the forwarder's: after a time-out the
    /// producer is replaced, so that what it still holds does not come later.
    #[must_use]
    pub fn new(producer: SharedProducer, topic: &str, partition: u32, timeout: Duration) -> Self {
        Publisher { producer, topic: topic.into(), partition, timeout }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Appends the records in their order; they are on all in-sync replicas when it returns.
    ///
    /// Errors: [`PublishError`].
    pub async fn append(&self, records: &[Message<'_>]) -> Result<(), PublishError> {
        let producer = self.producer.current();
        let mut ticket = Ticket::new();
        let sending = async {
            let mut rest = records;
            while !rest.is_empty() {
                let done = producer.enqueue(&self.topic, self.partition, rest.iter().copied(), &mut ticket)?;
                rest = rest.get(done.messages..).unwrap_or_default();
                if done.full {
                    // Others fill the buffer too, and nobody tells when they have gone.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            ticket.settled().await;
            Ok::<(), ProducerError>(())
        };
        let why = match tokio::time::timeout(self.timeout, sending).await {
            Ok(Err(error)) => return Err(PublishError::Refused { topic: self.topic.clone(), why: error.to_string() }),
            Ok(Ok(())) => match ticket.failed() {
                (0, _) => return Ok(()),
                (_, Some(code)) if is_final(code) => {
                    return Err(PublishError::Refused { topic: self.topic.clone(), why: code.to_string() });
                }
                (_, code) => code.map_or_else(|| "unknown error".to_owned(), |c| c.to_string()),
            },
            Err(_) => {
                let last = producer.last_error().map(|e| format!(" ({e})")).unwrap_or_default();
                format!("nothing heard for {:?}{last}", self.timeout)
            }
        };
        if let Err(error) = self.producer.replace(&producer) {
            tracing::error!(%error, topic = %self.topic, "the producer cannot be made anew");
        }
        Err(PublishError::Unknown { topic: self.topic.clone(), why })
    }
}

/// Whether only an operator can put the error right.
#[must_use]
pub const fn is_final(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as E;
    matches!(
        code,
        E::UnknownTopic
            | E::UnknownPartition
            | E::UnknownTopicOrPartition
            | E::TopicAuthorizationFailed
            | E::ClusterAuthorizationFailed
            | E::MessageSizeTooLarge
            | E::InvalidTopic
            | E::PolicyViolation
    )
}
