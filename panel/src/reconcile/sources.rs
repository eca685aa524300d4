//! What reconcile asks of log, sinks and dead letters. Traits, so that models can stand in.

use crate::api::types::ArchivePlace;
use futures::future::BoxFuture;
use penstock::ledger::{Books, Ledger};
use penstock::log::{LogId, Offset};
use penstock::time::Micros;
use std::collections::{BTreeMap, BTreeSet};

/// The three sinks that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SinkName {
    /// ClickHouse.
    Statistics,
    /// The ledger.
    Balances,
    /// The files.
    Archive,
}

impl SinkName {
    /// All of them.
    pub const ALL: [SinkName; 3] = [SinkName::Statistics, SinkName::Balances, SinkName::Archive];

    /// As pipelines and dead letters name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SinkName::Statistics => "statistics",
            SinkName::Balances => "balances",
            SinkName::Archive => "archive",
        }
    }

    /// The sink of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<SinkName> {
        SinkName::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// A source did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// ClickHouse.
    #[error(transparent)]
    Statistics(#[from] crate::statistics::StatisticsError),
    /// The ledger.
    #[error("the ledger does not answer: {0}")]
    Ledger(String),
    /// The archive.
    #[error("the archive cannot be read: {0}")]
    Archive(String),
    /// The dead-letter log.
    #[error("the dead letters cannot be read: {0}")]
    Dead(String),
}

/// An answer that comes later.
pub type Later<'a, T> = BoxFuture<'a, Result<T, SourceError>>;

/// Ends of the log and positions of the sinks.
pub trait Progress: Send + Sync {
    /// Every partition with the first offset behind the newest acknowledged record.
    fn acknowledged(&self) -> BTreeMap<LogId, Offset>;

    /// Where the sinks stand: everything before the offset is written. A sink that has not read
    /// its position yet is left out.
    fn positions(&self) -> BTreeMap<(SinkName, LogId), Offset>;

    /// Asks one pipeline to move what is there without waiting for its range to fill.
    fn flush(&self, sink: SinkName, log: &LogId);

    /// Waits, at most until `deadline`, for what was acknowledged before this call to be in the logs
    /// that [`acknowledged`](Self::acknowledged) names: spools of other machines are still being
    /// forwarded. Says what is not there. When the logs are those that intake writes, nothing waits.
    fn settle(&self, _deadline: tokio::time::Instant) -> Later<'_, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// The ledger's books.
pub trait BooksSource: Send + Sync {
    /// Positions and totals from one read transaction.
    fn books(&self) -> Later<'_, Books>;
}

impl<L: Ledger> BooksSource for L {
    fn books(&self) -> Later<'_, Books> {
        Box::pin(async { Ledger::books(self).await.map_err(|e| SourceError::Ledger(e.to_string())) })
    }
}

/// What the archive holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveCounts {
    /// Records by type; a partition without files may be left out.
    pub records: BTreeMap<LogId, BTreeMap<String, u64>>,
    /// Files that are damaged or that no archive writes; they are not counted.
    pub notes: Vec<String>,
}

/// The archive's files.
pub trait ArchiveSource: Send + Sync {
    /// Counts the files whose ranges end at or before `below`, of each of these partitions.
    fn counts<'a>(&'a self, below: &'a BTreeMap<LogId, Offset>) -> Later<'a, ArchiveCounts>;

    /// Where a record of this type, of an event of this time, lies.
    fn locate<'a>(&'a self, kind: &'a str, time: Micros, log: &'a LogId, offset: Offset) -> Later<'a, ArchivePlace>;
}

/// A record that a sink put away, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The sink.
    pub sink: SinkName,
    /// The partition.
    pub log: LogId,
    /// The record's offset.
    pub offset: Offset,
    /// Type of the event, when its frame says so.
    pub event_type: Option<String>,
}

/// The dead letters, as far as counting goes.
pub trait MarkSource: Send + Sync {
    /// Every letter that stands for one record, each once.
    fn marks(&self) -> Later<'_, Vec<Mark>>;
}

/// Rows of one type and campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PivotRow {
    /// Event type.
    pub event_type: String,
    /// Campaign, 0 = not attributed.
    pub campaign_id: u32,
    /// How many.
    pub events: u64,
    /// Their cost.
    pub nanos: i128,
}

/// One row, by its offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PivotAt {
    /// Where it lies in the log.
    pub offset: Offset,
    /// What it is.
    pub row: PivotRow,
}

/// Offsets at fault; the first few of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Neither a row nor a dead letter.
    pub missing: Vec<Offset>,
    /// More than one row.
    pub doubled: Vec<Offset>,
}

/// ClickHouse, which holds every event with its exact offset: the side that can be counted up
/// to wherever another sink stands.
pub trait Pivot: Send + Sync {
    /// Rows below an offset by type and campaign.
    fn counts<'a>(&'a self, log: &'a LogId, below: Offset) -> Later<'a, Vec<PivotRow>>;

    /// How many different offsets these rows have.
    fn distinct<'a>(&'a self, log: &'a LogId, below: Offset) -> Later<'a, u64>;

    /// The rows of these offsets (a doubled one twice).
    fn at<'a>(&'a self, log: &'a LogId, offsets: &'a [Offset]) -> Later<'a, Vec<PivotAt>>;

    /// Names the offsets that explain why rows and log do not agree. `surplus` are those of
    /// `dead` that have a row nevertheless.
    fn faults<'a>(
        &'a self,
        log: &'a LogId,
        below: Offset,
        dead: &'a BTreeSet<Offset>,
        surplus: &'a BTreeSet<Offset>,
    ) -> Later<'a, Faults>;
}
