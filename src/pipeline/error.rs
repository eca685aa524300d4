//! Why a pipeline ended by itself.

use super::Step;
use crate::log::{LogError, LogId, Offset, Range};

/// Why a pipeline ended by itself. A stop that was asked for is no error.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// Somebody else owns the partition or the range now.
    #[error("{log}: fenced: {why}")]
    Fenced {
        /// The partition.
        log: LogId,
        /// Who said so, and what it found.
        why: String,
    },
    /// The sink says that no retry can help.
    #[error("{log}: {why}")]
    Fatal {
        /// The partition.
        log: LogId,
        /// What the sink said.
        why: String,
    },
    /// Retention has passed records that this sink never took. They are recorded as lost.
    #[error("{log}: offsets [{wanted}, {start}) are gone, and this sink never took them")]
    Gap {
        /// The partition.
        log: LogId,
        /// First offset that is gone.
        wanted: Offset,
        /// First offset the log still has.
        start: Offset,
    },
    /// A person had a gap passed; the next generation begins behind it.
    #[error("{log}: passed the gap {gap} because {who} said so; beginning behind it")]
    Passed {
        /// The partition.
        log: LogId,
        /// What is gone.
        gap: Range,
        /// Who said so.
        who: String,
    },
    /// The stored position cannot be read.
    #[error("{log}: the stored position is unreadable: {why}")]
    Position {
        /// The partition.
        log: LogId,
        /// What is wrong with it.
        why: String,
    },
    /// The log has no position for this sink, but the sink holds records of the log. The position
    /// was lost (it expired, or somebody deleted it); only an operator can say what to do.
    #[error("{log}: the position of {sink} is lost: none is stored, but {sink} already holds records of this log")]
    PositionLost {
        /// The partition.
        log: LogId,
        /// The sink.
        sink: &'static str,
    },
    /// The log does not give back the range that was pinned: it lost records it had called durable.
    #[error("{log}: {range} was pinned, but the log gives back {found} records of it")]
    PinLost {
        /// The partition.
        log: LogId,
        /// The pinned range.
        range: Range,
        /// How many records came back.
        found: usize,
    },
    /// Nobody feeds the catalogue any more.
    #[error("{0}: the catalogue feed has ended")]
    Catalogue(LogId),
    /// A test's observer ended it.
    #[error("crashed at {0:?}")]
    Crashed(Step),
}

impl PipelineError {
    /// Whether a new generation may do better without an operator: a gap stays a gap, a lost
    /// position stays lost, and a fenced reader must not fight the new owner.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        use PipelineError as E;
        !matches!(self, E::Gap { .. } | E::Fenced { .. } | E::PositionLost { .. })
    }

    /// A log error that no retry of the same call can help; `Err` gives back one that may pass.
    pub(super) fn from_log(log: &LogId, error: LogError) -> Result<PipelineError, LogError> {
        Ok(match error {
            LogError::Gap { log, wanted, start } => PipelineError::Gap { log, wanted, start },
            LogError::Fenced(id) => {
                PipelineError::Fenced { log: id, why: "the log has another reader in this place".to_owned() }
            }
            LogError::Position { log, why } => PipelineError::Position { log, why },
            LogError::Io { .. } => return Err(error),
            #[allow(unreachable_patterns, reason = "a log may grow errors that need its reader rebuilt")]
            other => PipelineError::Fatal { log: log.clone(), why: other.to_string() },
        })
    }
}
