//! Logs: partitioned, append-only, addressed by offset.
//!
//! A pipeline sees one partition of a log through [`Log`] and knows nothing of where it lies:
//! on disk ([`spool`]) or in Kafka (`kafka`, the cluster profile). Readers only ever see what is durable, so a sink is never ahead
//! of what a power cut leaves, and an offset is never used twice.

#[cfg(test)]
mod conformance;
#[cfg(feature = "cluster")]
pub mod kafka;
pub mod records;
pub mod spool;

pub use records::{Corrupt, Record, Records};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Position of a record in its partition; the first is 0, the next one plus 1.
pub type Offset = u64;

/// Offsets `from` (inclusive) to `to` (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Range {
    /// First offset of the range.
    pub from: Offset,
    /// First offset behind the range.
    pub to: Offset,
}

impl Range {
    /// How many offsets the range spans.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    /// Whether the range holds no offset.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.to <= self.from
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.from, self.to)
    }
}

/// Names one partition of one log for ever: the sinks keep their positions under it.
///
/// For the spool the name carries the spool's id, so a data folder made anew never meets the
/// positions of its predecessor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId {
    /// Log or topic name: `[a-z0-9.-]+`, at most 64 bytes; a part of archive file names.
    pub name: Arc<str>,
    /// Partition number from 0.
    pub partition: u32,
}

impl LogId {
    /// A number that differs from partition to partition, of one log and of several: the seed of
    /// what each does by chance (pipelines that failed together do not return together).
    #[must_use]
    pub fn seed(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(self.name.as_bytes(), u64::from(self.partition))
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.partition)
    }
}

/// Where a partition's reader stands: everything before `next` is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// First offset that the sink has not committed.
    pub next: Offset,
    /// End (exclusive) of the range that was about to be written when this was stored.
    pub pinned: Option<Offset>,
    /// What the sink wants to know again of the pinned range (the shard it goes to); its meaning
    /// is the sink's. 0 without a pin.
    pub hint: u32,
}

impl Position {
    /// Nothing is begun behind `next`.
    #[must_use]
    pub const fn at(next: Offset) -> Self {
        Position { next, pinned: None, hint: 0 }
    }
}

/// When [`Log::read`] stops collecting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most records a range may hold. Above 0.
    pub rows: usize,
    /// Most bytes of record bodies; one record may exceed it alone.
    pub bytes: usize,
    /// Longest time from the first record read to the return; [`Duration::ZERO`] takes only what
    /// is there.
    pub age: Duration,
    /// Longest wait for a first record; [`Duration::ZERO`] takes only what is there.
    pub idle: Duration,
    /// Never read at or past this offset; reaching it returns [`FlushReason::End`].
    pub end: Option<Offset>,
}

/// Why a range was closed; counted per sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlushReason {
    /// [`Limits::rows`] was reached.
    Rows,
    /// [`Limits::bytes`] was reached.
    Bytes,
    /// [`Limits::age`] passed since the first record.
    Age,
    /// [`Limits::end`] was reached.
    End,
    /// No record came within [`Limits::idle`]; nothing was read.
    Idle,
    /// Somebody asked for the range to be closed early: an operator through the pipeline, or who waits
    /// for the records of a spool to be in Kafka.
    Asked,
}

impl FlushReason {
    /// The stable name, a label of metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FlushReason::Rows => "rows",
            FlushReason::Bytes => "bytes",
            FlushReason::Age => "age",
            FlushReason::End => "end",
            FlushReason::Idle => "idle",
            FlushReason::Asked => "asked",
        }
    }
}

/// What can go wrong between a pipeline and its log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Retention has passed what was asked for. Recorded and alerted, never skipped silently.
    #[error("{log}: offset {wanted} is gone, the log starts at {start}")]
    Gap {
        /// The partition.
        log: LogId,
        /// The offset that was asked for.
        wanted: Offset,
        /// The first offset the log still has.
        start: Offset,
    },
    /// The position belongs to another owner now (rebalance, retired reader).
    #[error("{0}: this reader does not own the partition any more")]
    Fenced(LogId),
    /// The operating system refused; may pass (a full disk, a slow device).
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the file's name.
        what: String,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// The stored position cannot be read; starting over would count twice, so this is final.
    #[error("{log}: the stored position is unreadable: {why}")]
    Position {
        /// The partition.
        log: LogId,
        /// What is wrong with it.
        why: String,
    },
}

/// One partition of a log with one owner. Generic, no `dyn` on the event's way.
#[expect(async_fn_in_trait, reason = "pipelines run on one thread each, no Send bound is wanted")]
pub trait Log {
    /// The partition this reads.
    fn id(&self) -> &LogId;

    /// The stored position; `None` when nobody ever stored one, or when it is lost: a log cannot
    /// tell these apart, so the pipeline asks the sink. A spool registers its readers when they
    /// are opened and always has one.
    ///
    /// Errors: [`LogError::Position`], [`LogError::Fenced`], [`LogError::Io`].
    async fn position(&mut self) -> Result<Option<Position>, LogError>;

    /// Clears `out`, then collects durable records from `from` on until a limit is met.
    ///
    /// Records that fail their checksum come as holes ([`Corrupt`]), never silently left out.
    /// Cancel safe: a dropped call has read nothing that a later call will not read again.
    /// Errors: [`LogError::Gap`] when retention has passed `from`, [`LogError::Io`].
    async fn read(&mut self, from: Offset, limits: &Limits, out: &mut Records) -> Result<FlushReason, LogError>;

    /// Stores the position durably before it returns.
    ///
    /// Errors: [`LogError::Fenced`] when the partition is not ours any more, [`LogError::Io`].
    async fn store(&mut self, position: Position) -> Result<(), LogError>;

    /// First offset behind the newest durable record, for lag.
    fn end(&self) -> Offset;
}

#[cfg(test)]
mod tests {
    use super::LogId;

    #[test]
    fn partitions_of_one_log_and_of_logs_with_equally_long_names_have_seeds_of_their_own() {
        let logs = ["ads.click", "ads.visit"].into_iter().flat_map(|name| (0..50).map(move |p| (name, p)));
        let seeds = logs.map(|(name, partition)| LogId { name: name.into(), partition }.seed());
        assert_eq!(seeds.collect::<std::collections::BTreeSet<u64>>().len(), 100);
    }
}
