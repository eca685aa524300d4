//! Replays into the event topics.
//!
//! The key of a replayed record is a spool of its own (the call's random number) and the record's
//! number in the call, so the monitor of repeats counts it among no sidecar's records, and would
//! see it if it came twice. A record that stood in a topic goes back to its partition; one that
//! the forwarder put aside goes to the topic of its type. What consumers found no schema for in the
//! registry has its framing still; it goes again in single-object encoding, once the registry knows
//! the id.

use super::marks::Place;
use super::replay::{Landed, Landing, OnItsWay, Target as ReplayTarget, TargetError};
use penstock::codec::registry::by_fingerprint;
use penstock::codec::{confluent, frame};
use penstock::kafka::barrier::{Tails, Target};
use penstock::kafka::{Message, Publisher, SharedProducer, Ticket, is_final, key};
use penstock::log::{LogId, Range};
use penstock::registry::Lookup;
use penstock::time::Micros;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for one answer of the brokers.
const ANSWER: Duration = Duration::from_secs(10);
/// Longest wait for the acknowledgement of appended records.
const ACKNOWLEDGED: Duration = Duration::from_secs(30);
/// Longest silence while a tail is read.
const PATIENCE: Duration = Duration::from_secs(30);
/// A replay this old is not appended by its own call any more: that gives up after a minute.
const ABANDONED: Duration = Duration::from_secs(300);
/// Clocks are set back by less than this.
const SLACK: Duration = Duration::from_secs(600);
/// A full buffer is left alone so long.
const FULL: Duration = Duration::from_millis(5);

/// The event topics, as replays write to them.
pub struct TopicReplay {
    producer: SharedProducer,
    /// Who reads the event topics.
    sinks: Vec<&'static str>,
    /// Who reads the spools.
    forwarder: &'static str,
    registry: Option<Lookup>,
}

impl TopicReplay {
    /// Through a producer of its own, since it is replaced when it does not get through; `sinks`
    /// are those that read the event topics, `forwarder` the one that reads the spools.
    #[must_use]
    pub fn new(producer: SharedProducer, sinks: Vec<&'static str>, forwarder: &'static str) -> Self {
        TopicReplay { producer, sinks, forwarder, registry: None }
    }

    /// And with the schema registry whose ids may stand in the topics.
    #[must_use]
    pub fn with_registry(self, registry: Option<Lookup>) -> Self {
        TopicReplay { registry, ..self }
    }

    fn is_event_topic(&self, log: &LogId) -> bool {
        self.producer.settings().event_topics().iter().any(|topic| **topic == *log.name)
    }

    /// Looks for the records of one call.
    async fn find_batch(&self, batch: u64, sought: &[OnItsWay<'_>]) -> Result<BTreeSet<u64>, TargetError> {
        let away = |why: String| TargetError::Unknown(format!("whether it arrived cannot be told now: {why}"));
        let mut targets: Vec<Target> = Vec::new();
        for (log, partition, floor) in sought.iter().filter_map(place) {
            let bound = i64::try_from(floor).ok();
            match targets.iter_mut().find(|t| t.topic == log && t.partition == partition) {
                Some(target) => target.bound = target.bound.min(bound),
                None => targets.push(Target { topic: log.to_owned(), partition, bound }),
            }
        }
        let oldest = sought.iter().map(|s| s.at).min().unwrap_or(Micros(0)).minus(SLACK);
        let (settings, wanted) = (self.producer.settings().clone(), targets.clone());
        let find = move || Tails::find(&settings, &wanted, oldest, false, ANSWER);
        let tails = blocking(find).await.map_err(away)?.map_err(|e| away(e.to_string()))?;
        // As the forwarder's `held`: what a dead call had sent is in front of the second barrier.
        let nonce = rand::random::<u64>();
        for nonce in [nonce, nonce.wrapping_add(1)] {
            let barrier = key::barrier(batch, nonce);
            for target in &targets {
                let publisher = Publisher::new(self.producer.clone(), &target.topic, target.partition, ANSWER);
                let message = Message { key: &barrier, value: None };
                publisher.append(&[message]).await.map_err(|e| away(e.to_string()))?;
            }
        }
        let numbers = sought.iter().map(|s| s.begun.number);
        let range = Range { from: 0, to: numbers.max().unwrap_or(0) + 1 };
        let read = move || tails.read(batch, range, nonce.wrapping_add(1), PATIENCE, || false);
        let found = blocking(read).await.map_err(away)?.map_err(|e| away(e.to_string()))?;
        Ok(found.sequences.into_iter().collect())
    }
}

/// Topic, partition and floor of a record that goes to one partition.
fn place<'a>(record: &OnItsWay<'a>) -> Option<(&'a str, u32, u64)> {
    let (partition, floor) = record.begun.floors.first()?;
    Some((&record.begun.log, *partition, *floor))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|e| format!("a reader died: {e}"))
}

impl ReplayTarget for TopicReplay {
    fn readers(&self, log: &LogId) -> Vec<&'static str> {
        if self.is_event_topic(log) { self.sinks.clone() } else { vec![self.forwarder] }
    }

    fn patience(&self) -> Duration {
        ABANDONED
    }

    async fn framed(&self, place: &Place, body: Vec<u8>) -> Result<Vec<u8>, TargetError> {
        let (Some(registry), Some((id, datum))) = (&self.registry, confluent::split(&body)) else { return Ok(body) };
        let fingerprint = match registry.fingerprint(id).await {
            Ok(Some(fingerprint)) => fingerprint,
            Ok(None) => return Ok(body),
            Err(error) => return Err(TargetError::Unknown(error.to_string())),
        };
        // A registry that was emptied gives ids anew, and types have much in common.
        if let Some(schema) = by_fingerprint(fingerprint)
            && *self.producer.settings().topic_of(schema.kind.name) != *place.log.name
        {
            let kind = schema.kind.name;
            let why = format!("the registry says that id {id} is a {kind}, and those are not in {}", place.log.name);
            return Err(TargetError::Refused(why));
        }
        Ok([&confluent::single_header(fingerprint)[..], datum].concat())
    }

    async fn landing(&self, place: &Place, body: &[u8]) -> Result<Landing, TargetError> {
        let refused = |why: String| TargetError::Refused(why);
        let producer = self.producer.current();
        let (topic, fixed) = if self.is_event_topic(&place.log) {
            (place.log.name.to_string(), Some(place.log.partition))
        } else {
            let frame = frame::split(body).map_err(|e| refused(e.to_string()))?;
            (self.producer.settings().topic_of(frame.schema.kind.name), None)
        };
        let (asked, offset) = (topic.clone(), place.offset);
        let ask = move || {
            let partition = match fixed {
                Some(partition) => partition,
                None => {
                    let count = producer.partitions(&asked, ANSWER).map_err(|e| e.to_string())?;
                    let count = count.ok_or_else(|| format!("there is no topic {asked}"))?;
                    u32::try_from(offset % u64::from(count)).unwrap_or(0)
                }
            };
            let end = producer.end(&asked, partition, ANSWER).map_err(|e| e.to_string())?;
            Ok((partition, u64::try_from(end).unwrap_or(0)))
        };
        let floor = blocking(ask).await.and_then(|asked| asked).map_err(refused)?;
        Ok(Landing { log: topic, floors: vec![floor] })
    }

    async fn find(&self, sought: &[OnItsWay<'_>]) -> Vec<Result<Option<Landed>, TargetError>> {
        let mut batches: BTreeMap<u64, Vec<OnItsWay<'_>>> = BTreeMap::new();
        for record in sought {
            batches.entry(record.begun.batch).or_default().push(*record);
        }
        let mut found = BTreeMap::new();
        for (batch, records) in batches {
            found.insert(batch, self.find_batch(batch, &records).await);
        }
        let answer = |record: &OnItsWay<'_>| match found.get(&record.begun.batch) {
            Some(Ok(numbers)) if numbers.contains(&record.begun.number) => {
                let (log, partition, _) = place(record).unwrap_or_default();
                Ok(Some(Landed { log: log.to_owned(), partition, offset: None }))
            }
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(error.clone()),
            None => Err(TargetError::Unknown("it was not looked for".to_owned())),
        };
        sought.iter().map(answer).collect()
    }

    async fn append(&self, records: &[OnItsWay<'_>]) -> Vec<Result<Landed, TargetError>> {
        let producer = self.producer.current();
        let deadline = Instant::now() + ACKNOWLEDGED;
        // A ticket each: it tells the record's own offset and fate.
        let mut tickets: Vec<Result<Ticket, TargetError>> = Vec::with_capacity(records.len());
        for record in records {
            let Some((topic, partition, _)) = place(record) else {
                tickets.push(Err(TargetError::Refused("it has no place to go to".to_owned())));
                continue;
            };
            let key = key::record(record.begun.batch, record.begun.number);
            let mut ticket = Ticket::new();
            let enqueued = loop {
                let message = Message { key: &key, value: Some(record.body) };
                match producer.enqueue(topic, partition, std::iter::once(message), &mut ticket) {
                    Err(error) => break Err(TargetError::Refused(error.to_string())),
                    Ok(done) if !done.full => break Ok(()),
                    Ok(_) if Instant::now() >= deadline => {
                        break Err(TargetError::Refused("the producer's buffer is full".to_owned()));
                    }
                    Ok(_) => tokio::time::sleep(FULL).await,
                }
            };
            tickets.push(enqueued.map(|()| ticket));
        }
        let mut landed = Vec::with_capacity(records.len());
        for (record, ticket) in records.iter().zip(tickets) {
            landed.push(match ticket {
                Err(error) => Err(error),
                Ok(ticket) => {
                    let _late = tokio::time::timeout_at(deadline, ticket.settled()).await;
                    outcome(record, &ticket)
                }
            });
        }
        if landed.iter().any(|l| matches!(l, Err(TargetError::Unknown(_))))
            && let Err(error) = self.producer.replace(&producer)
        {
            tracing::error!(%error, "the producer of replays cannot be made anew");
        }
        landed
    }
}

fn outcome(record: &OnItsWay<'_>, ticket: &Ticket) -> Result<Landed, TargetError> {
    if !ticket.is_settled() {
        return Err(TargetError::Unknown(format!("Kafka has not acknowledged it within {ACKNOWLEDGED:?}")));
    }
    match ticket.failed() {
        (0, _) => {
            let (log, partition, _) = place(record).unwrap_or_default();
            let behind = ticket.offsets().last().flatten();
            let offset = behind.and_then(|o| u64::try_from(o - 1).ok());
            Ok(Landed { log: log.to_owned(), partition, offset })
        }
        (_, Some(code)) if is_final(code) => Err(TargetError::Refused(format!("Kafka refuses it: {code}"))),
        (_, code) => {
            let why = code.map_or_else(|| "unknown error".to_owned(), |c| c.to_string());
            Err(TargetError::Unknown(format!("Kafka did not acknowledge it: {why}")))
        }
    }
}
