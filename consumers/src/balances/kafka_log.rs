//! Campaigns' states and figures in a topic of Kafka: one partition, the campaign as the key.
//!
//! **What a second writer may do.** The publisher's lease keeps a second one away, but for one who
//! was stopped past its lease (SIGSTOP, a long pause of its machine): when it goes on, records
//! that it had enqueued may still reach the brokers before it notices. Readers who follow the
//! topic drop an older version behind a newer one. But compaction keeps the *last* record of a
//! key, so a reader who comes later would only find the older one.
//!
//! So the publisher reads what it writes. From before it tells everything at its begin, it follows
//! the topic and holds the newest version of each campaign; where it sees an older one behind it,
//! the newest state is told once more. It is the same version and the same content, so it changes
//! nothing for anybody else. A publisher that dies before it has mended this leaves it to the next
//! one, who begins by telling everything. So the last record of every campaign is, in the end, the
//! newest that the ledger has given.

use super::state_log::{Entry, Overtaken, StateLog, StateLogError};
use penstock::kafka::{Message, ProducerOptions, PublishError, Publisher, SharedProducer, Tail};
use penstock::ledger::StateRecord;
use penstock::log::{Limits, Log as _, LogError, Offset, Records};
use penstock::pricing::CampaignId;
use penstock::settings::KafkaSettings;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// Key of heartbeats.
pub const HEARTBEAT_KEY: &[u8] = b"heartbeat";

/// How long an acknowledgement is waited for before the producer is thrown away with what it holds.
const ACKNOWLEDGED: Duration = Duration::from_secs(10);
const FOLLOW: Limits =
    Limits { rows: 10_000, bytes: 4 << 20, age: Duration::ZERO, idle: Duration::from_secs(60), end: None };

/// Partition 0 of a topic as a [`StateLog`].
pub struct KafkaStateLog {
    publisher: Publisher,
    producer: SharedProducer,
    /// Of campaigns' states; `None` for figures, where the next change mends what a second writer
    /// has done, and none but people looks.
    watch: Option<Watch>,
}

/// Looks after the order of versions.
struct Watch {
    tail: Tail,
    next: Option<Offset>,
    newest: HashMap<CampaignId, u64>,
    records: Records,
}

impl KafkaStateLog {
    /// The log of campaigns' states.
    ///
    /// Errors: [`StateLogError::Fatal`] when the settings make no producer.
    pub fn states(settings: &KafkaSettings) -> Result<KafkaStateLog, StateLogError> {
        let tail = Tail::new(settings, &settings.state_topic, 0);
        let watch = Watch { tail, next: None, newest: HashMap::new(), records: Records::new() };
        Self::new(settings, &settings.state_topic, Some(watch))
    }

    /// The log of campaigns' figures. Errors: as [`KafkaStateLog::states`].
    pub fn kpis(settings: &KafkaSettings) -> Result<KafkaStateLog, StateLogError> {
        Self::new(settings, &settings.kpis_topic, None)
    }

    fn new(settings: &KafkaSettings, topic: &str, watch: Option<Watch>) -> Result<KafkaStateLog, StateLogError> {
        // A stop is a matter of milliseconds, and there are few of them.
        let options = ProducerOptions { linger: Duration::ZERO, buffer_bytes: 8 << 20, ..ProducerOptions::default() };
        let producer =
            SharedProducer::new(settings, options).map_err(|error| StateLogError::Fatal(error.to_string()))?;
        let publisher = Publisher::new(producer.clone(), topic, 0, ACKNOWLEDGED);
        Ok(KafkaStateLog { publisher, producer, watch })
    }
}

fn passing(error: &LogError) -> StateLogError {
    StateLogError::Retry(error.to_string())
}

impl StateLog for KafkaStateLog {
    async fn begin(&mut self) -> Result<(), StateLogError> {
        // What an earlier lead of this process had enqueued and not seen acknowledged stays behind.
        let current = self.producer.current();
        if current.in_flight() > 0 {
            self.producer.replace(&current).map_err(|error| StateLogError::Fatal(error.to_string()))?;
        }
        if let Some(watch) = &mut self.watch {
            let (_, end) = watch.tail.bounds().await.map_err(|error| passing(&error))?;
            watch.newest.clear();
            watch.next = Some(end);
        }
        Ok(())
    }

    async fn append(&mut self, records: &[Entry]) -> Result<(), StateLogError> {
        let keys: Vec<Vec<u8>> = records
            .iter()
            .map(|r| r.campaign.map_or_else(|| HEARTBEAT_KEY.to_vec(), |id| id.to_be_bytes().to_vec()))
            .collect();
        let messages: Vec<Message<'_>> =
            keys.iter().zip(records).map(|(key, record)| Message { key, value: Some(&record.body) }).collect();
        self.publisher.append(&messages).await.map_err(|error| match error {
            // Waited for as well: an operator makes the topic, or gives the right to write.
            PublishError::Unknown { .. } | PublishError::Refused { .. } => StateLogError::Retry(error.to_string()),
        })
    }

    async fn overtaken(&mut self) -> Result<Overtaken, StateLogError> {
        let Some(watch) = &mut self.watch else { return std::future::pending().await };
        watch.overtaken().await
    }
}

impl Watch {
    async fn overtaken(&mut self) -> Result<Overtaken, StateLogError> {
        let Some(mut next) = self.next else { return std::future::pending().await };
        loop {
            match self.tail.read(next, &FOLLOW, &mut self.records).await {
                Ok(_) => {}
                Err(LogError::Gap { start, .. }) => {
                    // The topic was made anew, or somebody deleted records.
                    self.next = Some(start);
                    return Ok(Overtaken::Everything);
                }
                Err(error) => return Err(passing(&error)),
            }
            let mut overtaken = BTreeSet::new();
            for record in self.records.iter() {
                let Some(Ok(StateRecord::Change(change))) = record.body.ok().map(StateRecord::decode) else { continue };
                let newest = self.newest.entry(change.campaign_id).or_default();
                if change.version < *newest {
                    overtaken.insert(change.campaign_id);
                } else {
                    *newest = change.version;
                    // Told again behind the older one, by us or by whoever wrote that.
                    overtaken.remove(&change.campaign_id);
                }
            }
            next = self.records.range().map_or(next, |range| range.to);
            self.next = Some(next);
            if !overtaken.is_empty() {
                return Ok(Overtaken::Campaigns(overtaken.into_iter().collect()));
            }
        }
    }
}
