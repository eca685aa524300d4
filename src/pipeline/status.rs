//! How a pipeline stands, for `status`, the panel and reconcile.

use crate::log::{LogId, Offset};
use crate::time::Micros;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a pipeline is doing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Reads its position and agrees on it with the sink.
    Starting,
    /// Reads and writes, or waits for records.
    Running,
    /// A call failed, or a newer catalogue is awaited; nothing is lost, the log keeps the records.
    Retrying {
        /// The last error.
        reason: String,
    },
    /// An operator paused it.
    Paused,
    /// It was asked to stop and did.
    Stopped,
    /// It ended by itself.
    Failed {
        /// Why.
        reason: String,
    },
}

/// How a pipeline stands. Offsets are `None` until it has read its position once.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// The sink's name.
    pub sink: &'static str,
    /// The log's name.
    pub log: String,
    /// The partition.
    pub partition: u32,
    /// What it is doing.
    #[serde(flatten)]
    pub state: State,
    /// How often it was built anew.
    pub generation: u64,
    /// First offset that is not committed.
    pub next: Option<Offset>,
    /// End of the range that is being written.
    pub pinned: Option<Offset>,
    /// First offset behind the newest durable record, when last looked at.
    pub end: Option<Offset>,
    /// When the position last moved.
    pub last_commit: Option<Micros>,
    /// Append time of the newest record that is committed.
    pub newest_committed: Option<Micros>,
    /// When it last had nothing left to read.
    pub caught_up: Option<Micros>,
    /// Records the sink took, since the process started.
    pub written: u64,
    /// Records that became dead letters since the process started, by code.
    pub dead: BTreeMap<&'static str, u64>,
}

impl Status {
    pub(super) fn new(sink: &'static str, log: LogId) -> Self {
        Status {
            sink,
            log: log.name.to_string(),
            partition: log.partition,
            state: State::Starting,
            generation: 0,
            next: None,
            pinned: None,
            end: None,
            last_commit: None,
            newest_committed: None,
            caught_up: None,
            written: 0,
            dead: BTreeMap::new(),
        }
    }

    /// Records that are durable in the log and not committed.
    #[must_use]
    pub fn lag_events(&self) -> u64 {
        self.end.unwrap_or(0).saturating_sub(self.next.unwrap_or(0))
    }

    /// How far behind it is in time at `now`, at most: zero when nothing is left to read, else the
    /// time since it was last caught up or since the newest committed record was appended.
    /// `None` while there is a lag and neither has happened since the process started.
    #[must_use]
    pub fn lag(&self, now: Micros) -> Option<Duration> {
        if self.end.is_some() && self.lag_events() == 0 {
            return Some(Duration::ZERO);
        }
        self.fresh().map(|since| now.since(since))
    }

    /// The moment before which everything that was appended is in the sink; `None` while there is
    /// a lag and nothing has been committed since the process started.
    #[must_use]
    pub fn fresh(&self) -> Option<Micros> {
        self.newest_committed.max(self.caught_up)
    }
}
