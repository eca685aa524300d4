//! Dead letters of a cluster: a topic of one partition that every consumer appends to and the
//! panel reads from its start.
//!
//! A record's key is the letter's (`sink:log:partition:offset`), its value the same Avro record
//! that the spool of letters holds. A letter may come twice (a crash between it and the commit of
//! its range, or an acknowledgement that was lost); whoever reads takes a key once.

use super::index::{Index, Key, Marked, Summary};
use super::letters::{Filter, LettersError};
use super::marks::{Mark, Place, Replay, Skipped, Written};
use super::record::{self, DeadLetter};
use super::replay::{Book, Standing};
use penstock::kafka::{Message, Publisher};
use penstock::log::kafka::{Fetcher, KafkaLog, KafkaLogParts};
use penstock::log::{Limits, Log as _, LogError, LogId, Offset, Records};
use penstock::pipeline::{DeadError, DeadTarget, GapAnswer, Letter};
use penstock::registry::FixedIds;
use penstock::telemetry::KafkaLogMetrics;
use penstock::time::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Longest body that is kept: with the rest of its letter it fits a message of a megabyte, which
/// is what brokers take unless they are told otherwise.
const BODY_MAX: usize = 900_000;
/// Letters are handed to the producer in groups of so many bytes.
const GROUP_BYTES: usize = 4 << 20;
/// Records read from the topic in one go.
const BATCH: usize = 1_000;

/// Puts letters into the topic. Each pipeline has one.
#[derive(Clone)]
pub struct TopicTarget {
    publisher: Publisher,
    clock: Arc<dyn Clock>,
    /// Opened by the first pipeline that stands before a gap.
    reader: Option<Arc<LazyLetters>>,
}

/// Opens the letters of the topic when somebody wants to read them; the error is one sentence.
pub type OpenLetters = Box<dyn Fn() -> Result<TopicLetters, String> + Send + Sync>;

struct LazyLetters {
    open: OpenLetters,
    letters: Mutex<Option<Arc<TopicLetters>>>,
}

impl LazyLetters {
    async fn get(&self) -> Result<Arc<TopicLetters>, DeadError> {
        let mut letters = self.letters.lock().await;
        if let Some(letters) = &*letters {
            return Ok(Arc::clone(letters));
        }
        let opened = Arc::new((self.open)().map_err(DeadError)?);
        *letters = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

impl TopicTarget {
    /// Into the topic of `publisher`.
    #[must_use]
    pub fn new(publisher: Publisher, clock: Arc<dyn Clock>) -> Self {
        TopicTarget { publisher, clock, reader: None }
    }

    /// The same, for pipelines that wait before a gap until a person has answered.
    #[must_use]
    pub fn answered_by(mut self, open: OpenLetters) -> Self {
        self.reader = Some(Arc::new(LazyLetters { open, letters: Mutex::new(None) }));
        self
    }
}

fn text(letter: &Letter<'_>) -> String {
    format!("{}:{}:{}:{}", letter.sink, letter.log.name, letter.log.partition, letter.offset)
}

impl DeadTarget for TopicTarget {
    async fn answer(&mut self, sink: &str, log: &LogId, offset: Offset) -> Result<GapAnswer, DeadError> {
        let Some(reader) = &self.reader else { return Ok(GapAnswer::Never) };
        let key = Key { sink: sink.into(), log: log.clone(), offset };
        let skips = reader.get().await?.skips(std::slice::from_ref(&key)).await;
        let skip = skips.map_err(|e| DeadError(e.to_string()))?.pop().flatten();
        Ok(skip.map_or(GapAnswer::NotYet, Skipped::answer))
    }

    async fn bury(&mut self, letters: &[Letter<'_>]) -> Result<(), DeadError> {
        let now = self.clock.now();
        let mut rest = letters;
        while !rest.is_empty() {
            let mut group: Vec<(String, Vec<u8>)> = Vec::new();
            let mut bytes = 0;
            while let Some((letter, others)) = rest.split_first() {
                if bytes >= GROUP_BYTES {
                    break;
                }
                let mut value = Vec::new();
                record::encode(letter, now, BODY_MAX, &mut value);
                bytes += value.len();
                group.push((text(letter), value));
                rest = others;
            }
            let messages: Vec<Message<'_>> =
                group.iter().map(|(key, value)| Message { key: key.as_bytes(), value: Some(value) }).collect();
            self.publisher.append(&messages).await.map_err(|e| DeadError(e.to_string()))?;
        }
        Ok(())
    }
}

/// The letters of the topic, read when somebody asks.
pub struct TopicLetters {
    fetcher: Fetcher,
    id: LogId,
    read: Mutex<Reading>,
}

struct Reading {
    log: KafkaLog<FixedIds>,
    index: Index,
    /// Everything before it is in the index.
    next: Offset,
    records: Records,
}

fn batch(end: Offset) -> Limits {
    let long = Duration::from_secs(10);
    Limits { rows: BATCH, bytes: 8 << 20, age: long, idle: long, end: Some(end) }
}

impl TopicLetters {
    /// Reads nothing yet.
    #[must_use]
    pub fn new(fetcher: Fetcher, topic: &str, metrics: &KafkaLogMetrics, clock: Arc<dyn Clock>) -> Self {
        let id = LogId { name: topic.into(), partition: 0 };
        let parts = KafkaLogParts {
            id: id.clone(),
            fetcher: fetcher.clone(),
            owner: None,
            registry: None,
            metrics: metrics.of(&id),
            clock,
        };
        let log = KafkaLog::new(parts);
        let read = Mutex::new(Reading { log, index: Index::default(), next: 0, records: Records::new() });
        TopicLetters { fetcher, id, read }
    }

    /// The index, with every letter that was in the topic when this was called.
    async fn caught_up(&self) -> Result<tokio::sync::MutexGuard<'_, Reading>, LettersError> {
        let mut reading = self.read.lock().await;
        let (start, end) = self.fetcher.watermarks(&self.id).await?;
        reading.index.prune(start);
        reading.next = reading.next.max(start);
        while reading.next < end {
            let Reading { log, index, next, records } = &mut *reading;
            match log.read(*next, &batch(end), records).await {
                Ok(_) => {}
                Err(LogError::Gap { start, .. }) => {
                    *next = start;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            let Some(range) = records.range() else { break };
            index.take(records);
            *next = range.to;
        }
        Ok(reading)
    }

    /// How many there are. Errors: [`LettersError`].
    pub async fn summary(&self) -> Result<Summary, LettersError> {
        Ok(self.caught_up().await?.index.summary())
    }

    /// Every letter that stands for one record, each once. Errors: [`LettersError`].
    pub async fn marks(&self) -> Result<Vec<Marked>, LettersError> {
        Ok(self.caught_up().await?.index.marks())
    }

    /// Letters in the order of their keys, with their bodies. Errors: [`LettersError`].
    pub async fn list(&self, filter: &Filter) -> Result<Vec<DeadLetter>, LettersError> {
        let mut reading = self.caught_up().await?;
        let index = &reading.index;
        let all = index.after(filter.after.as_ref()).filter(|(key, e)| filter.wants(index, key, &e.code));
        let places: Vec<Offset> = all.take(filter.limit).map(|(_, entry)| entry.at).collect();
        let mut letters = reading.letters(places).await?;
        letters.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(letters)
    }

    /// How the replays of the letters' records to their sinks stand, in their order. Errors: [`LettersError`].
    pub async fn replays(&self, keys: &[Key]) -> Result<Vec<Option<Replay>>, LettersError> {
        let reading = self.caught_up().await?;
        Ok(keys.iter().map(|key| reading.index.marks.replay(key).cloned()).collect())
    }

    /// What was said about the gaps of these letters, in their order. Errors: [`LettersError`].
    pub async fn skips(&self, keys: &[Key]) -> Result<Vec<Option<Skipped>>, LettersError> {
        let reading = self.caught_up().await?;
        Ok(keys.iter().map(|key| reading.index.marks.skip(key).cloned()).collect())
    }

    /// One letter; `None` when there is none of this key. Errors: [`LettersError`].
    pub async fn show(&self, key: &Key) -> Result<Option<DeadLetter>, LettersError> {
        let mut reading = self.caught_up().await?;
        let Some(at) = reading.index.get(key).map(|entry| entry.at) else { return Ok(None) };
        Ok(reading.letters(vec![at]).await?.pop())
    }
}

/// The topic's letters with somebody who may add marks to them.
pub struct TopicBook {
    letters: Arc<TopicLetters>,
    target: TopicTarget,
}

impl TopicBook {
    /// Reads `letters`, and writes with `target` into the same topic.
    #[must_use]
    pub fn new(letters: Arc<TopicLetters>, target: TopicTarget) -> Self {
        TopicBook { letters, target }
    }

    /// Writes decisions durably.
    ///
    /// Errors: [`DeadError`], after which any of them may or may not be there.
    pub async fn mark(&self, marks: Vec<(Place, Mark)>) -> Result<(), DeadError> {
        let written: Vec<Written> = marks.into_iter().map(|(place, mark)| Written::new(place, &mark)).collect();
        let letters: Vec<Letter<'_>> = written.iter().map(Written::letter).collect();
        self.target.clone().bury(&letters).await
    }
}

impl Book for TopicBook {
    async fn standing(&self, places: &[Place]) -> Result<Vec<Standing>, LettersError> {
        let mut reading = self.letters.caught_up().await?;
        let mut all = Vec::with_capacity(places.len());
        for place in places {
            let (mut standing, at) = reading.index.standing(place);
            if let Some(at) = at {
                standing.letter = reading.letters(vec![at]).await?.pop();
            }
            all.push(standing);
        }
        Ok(all)
    }

    async fn write(&self, marks: Vec<(Place, Mark)>) -> Result<(), DeadError> {
        self.mark(marks).await
    }
}

impl Reading {
    /// The letters at these places, in the order of the topic. What was removed meanwhile is left out.
    async fn letters(&mut self, mut places: Vec<Offset>) -> Result<Vec<DeadLetter>, LettersError> {
        places.sort_unstable();
        let mut letters = Vec::with_capacity(places.len());
        let mut rest = places.as_slice();
        while let (Some(first), Some(last)) = (rest.first(), rest.last()) {
            match self.log.read(*first, &batch(last + 1), &mut self.records).await {
                Ok(_) => {}
                Err(LogError::Gap { start, .. }) => {
                    rest = &rest[rest.partition_point(|at| *at < start)..];
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            let Some(range) = self.records.range() else { break };
            let (here, behind) = rest.split_at(rest.partition_point(|at| *at < range.to));
            let bodies = self.records.iter().filter(|r| here.binary_search(&r.offset).is_ok());
            letters.extend(bodies.filter_map(|r| DeadLetter::decode(r.body.ok()?).ok()));
            rest = behind;
        }
        Ok(letters)
    }
}
