//! Reads the tails of partitions up to a barrier, to see which records of a range are there.
//!
//! All calls block and belong on a blocking thread. Where reading begins is a lower bound: what the
//! caller noted of earlier acknowledgements, or the first record that is not older than the range;
//! of two bounds that hold the higher one is taken. When retention has passed the bound, nobody
//! can tell any more what was there, and that is an error.

use super::client;
use super::key::Key;
use crate::log::{Offset, Range};
use crate::settings::KafkaSettings;
use crate::time::Micros;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset as At, TopicPartitionList};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// A partition whose tail is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// No record of the range lies before this offset, as far as was noted.
    pub bound: Option<i64>,
}

/// Why the tails tell nothing.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// May pass.
    #[error("the tails of the topics cannot be read: {0}")]
    Away(String),
    /// Retention has removed what would have to be read.
    #[error("{topic}/{partition} starts at offset {start}, behind {bound}: what stood there is gone")]
    Gone {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// Where reading would have to begin.
        bound: i64,
        /// Where the partition begins.
        start: i64,
    },
}

impl From<KafkaError> for TailError {
    fn from(error: KafkaError) -> Self {
        TailError::Away(error.to_string())
    }
}

/// Partitions, each with the offset from which on its tail will be read.
pub struct Tails {
    consumer: BaseConsumer,
    assignment: TopicPartitionList,
    partitions: HashSet<(String, i32)>,
}

/// What was found in the tails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Sequences of the range, ascending, each once.
    pub sequences: Vec<Offset>,
    /// Records that were read.
    pub read: u64,
}

impl Tails {
    /// Finds out where to begin. Each leader has answered when it returns. `since` is not behind the
    /// time of the range's oldest record. With `accept_gone` what is gone counts as never sent.
    ///
    /// Errors: [`TailError`].
    pub fn find(
        settings: &KafkaSettings,
        targets: &[Target],
        since: Micros,
        accept_gone: bool,
        timeout: Duration,
    ) -> Result<Tails, TailError> {
        let mut config = client::config(settings).map_err(|e| TailError::Away(e.to_string()))?;
        config
            // Never joined, nothing is committed; librdkafka assigns nothing without one.
            .set("group.id", "penstock-forward-tail")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("queued.max.messages.kbytes", "16384");
        let consumer: BaseConsumer = config.create()?;
        let mut times = TopicPartitionList::new();
        for target in targets {
            let at = At::Offset(since.0.div_euclid(1000));
            times.add_partition_offset(&target.topic, number(target.partition), at)?;
        }
        let times = consumer.offsets_for_times(times, timeout)?;
        let (mut assignment, mut partitions) = (TopicPartitionList::new(), HashSet::new());
        for target in targets {
            let (low, high) = consumer.fetch_watermarks(&target.topic, number(target.partition), timeout)?;
            let found = times.find_partition(&target.topic, number(target.partition));
            let by_time = match found.map(|f| (f.error(), f.offset())) {
                Some((Ok(()), At::Offset(offset))) => offset,
                Some((Ok(()), _)) => high,
                Some((Err(error), _)) => return Err(error.into()),
                None => low,
            };
            let start = match begin(target.bound, by_time, low, high) {
                Ok(start) => start,
                Err(_) if accept_gone => by_time,
                Err(bound) => {
                    let (topic, partition) = (target.topic.clone(), target.partition);
                    return Err(TailError::Gone { topic, partition, bound, start: low });
                }
            };
            assignment.add_partition_offset(&target.topic, number(target.partition), At::Offset(start))?;
            partitions.insert((target.topic.clone(), number(target.partition)));
        }
        Ok(Tails { consumer, assignment, partitions })
    }

    /// Reads every tail up to the barrier `nonce` of `spool` and gathers what is there of `range`.
    ///
    /// Errors: [`TailError::Away`] when nothing came for `patience`, or `cancelled` says so.
    pub fn read(
        mut self,
        spool: u64,
        range: Range,
        nonce: u64,
        patience: Duration,
        cancelled: impl Fn() -> bool,
    ) -> Result<Found, TailError> {
        self.consumer.assign(&self.assignment)?;
        let mut found = Found::default();
        let mut last = Instant::now();
        while !self.partitions.is_empty() {
            if cancelled() {
                return Err(TailError::Away("stopping".to_owned()));
            }
            let Some(message) = self.consumer.poll(Duration::from_millis(100)) else {
                if last.elapsed() > patience {
                    let left = self.partitions.len();
                    return Err(TailError::Away(format!("nothing came for {patience:?}, {left} partitions are left")));
                }
                continue;
            };
            // A broker that is away is reported as an error too; librdkafka comes back by itself.
            let Ok(message) = message else { continue };
            last = Instant::now();
            found.read += 1;
            match message.key().and_then(Key::parse) {
                Some(Key::Record { spool: of, sequence })
                    if of == spool && (range.from..range.to).contains(&sequence) =>
                {
                    found.sequences.push(sequence);
                }
                Some(Key::Barrier { spool: of, nonce: n }) if of == spool && n == nonce => {
                    self.partitions.remove(&(message.topic().to_owned(), message.partition()));
                }
                _ => {}
            }
        }
        found.sequences.sort_unstable();
        found.sequences.dedup();
        Ok(found)
    }
}

fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// Where to begin to read a partition that holds `[low, high)`; the bound that is gone as an error.
///
/// A noted bound behind the end is of a topic that was made anew since: it says nothing. The bound
/// by time proves something when an older record is still there, or nothing was ever removed.
fn begin(bound: Option<i64>, by_time: i64, low: i64, high: i64) -> Result<i64, i64> {
    match bound.filter(|b| *b <= high) {
        Some(bound) if bound >= low => Ok(bound.max(by_time)),
        _ if low == 0 || by_time > low => Ok(by_time),
        bound => Err(bound.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_begins_at_the_higher_of_the_bounds_that_hold() {
        assert_eq!(begin(Some(70), 60, 0, 100), Ok(70));
        assert_eq!(begin(Some(50), 60, 0, 100), Ok(60));
        assert_eq!(begin(None, 60, 0, 100), Ok(60));
        assert_eq!(begin(Some(500), 0, 0, 100), Ok(0), "a topic made anew");
        assert_eq!(begin(Some(40), 60, 50, 100), Ok(60), "an older record is still there");
        assert_eq!(begin(Some(100), 100, 100, 100), Ok(100), "all of it was acknowledged and is gone");
    }

    #[test]
    fn what_retention_has_passed_is_an_error() {
        assert_eq!(begin(Some(40), 50, 50, 100), Err(40));
        assert_eq!(begin(None, 50, 50, 100), Err(0));
        assert_eq!(begin(Some(40), 50, 50, 50), Err(40));
    }
}
