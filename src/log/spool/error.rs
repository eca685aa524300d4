//! What can go wrong with a spool. Readers have [`LogError`](crate::log::LogError).

use crate::log::Offset;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// An operation on a file that the operating system refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub struct FileError {
    /// The verb: `open`, `read`, `sync`.
    pub what: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The operating system's error.
    #[source]
    pub source: io::Error,
}

/// Attaches verb and path to an I/O error.
pub(super) fn at<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FileError + 'a {
    move |source| FileError { what, path: path.to_owned(), source }
}

/// Why a spool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process (or another spool in this one) has it open.
    #[error("{} is in use by another process: stop it first, or choose another data folder", dir.display())]
    Locked {
        /// The spool's folder.
        dir: PathBuf,
    },
    /// Written by a newer Penstock.
    #[error("{} has format version {found}, this binary reads up to {known}: use a newer one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The newest version this binary reads.
        known: u16,
    },
    /// A segment of another spool lies in this one's folder.
    #[error("{} belongs to another spool", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// `spool.id` is gone or unreadable although there are segments; a new id would make every
    /// sink count them again.
    #[error("{}: {why}; restore it from a backup, a new identity would count everything twice", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// More partitions than the 10 000 that folder names allow, or none.
    #[error("{0} partitions: allowed are 1 to 10000")]
    Partitions(u32),
    /// The operating system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Why a group was not appended. Nothing of it is in the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The quota or the reserve of free space is reached; answer 503 with `Retry-After`.
    #[error(
        "the spool is full: its quota or the reserve of the disk is reached; readers have to move on, or the disk to get room"
    )]
    Full {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The group is larger than `spool.max_group_bytes`.
    #[error("the request takes {bytes} bytes, at most {max} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A group needs at least one record.
    #[error("the group has no record")]
    Empty,
    /// A sync failed, so the partition takes nothing until it is opened again.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// A partition that cannot promise anything any more, with the reason. See the module's words on
/// failed syncs.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the partition has failed and must be opened again: {0}")]
pub struct Failed(pub Arc<str>);

/// Why a group will not be written any more.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WaitError {
    /// A flush failed meanwhile; what was waited for may have been part of it and counts as lost.
    #[error("the flush failed, the group is not in the log")]
    NotWritten,
    /// The partition has failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// Why a flush did not write everything.
#[derive(Debug, thiserror::Error)]
#[error("groups from offset {written} on were not written: {source}")]
pub struct FlushError {
    /// Everything below is written; groups that end above it are not in the log.
    pub written: Offset,
    /// Whether the device or the quota of the operating system is full (answer 503).
    pub full: bool,
    /// What happened.
    #[source]
    pub source: FlushCause,
}

/// What stopped a flush.
#[derive(Debug, thiserror::Error)]
pub enum FlushCause {
    /// The operating system refused the write; the next flush may work.
    #[error(transparent)]
    File(#[from] FileError),
    /// The partition has failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// Why a writer or reader cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// No such partition.
    #[error("there is no partition {0}")]
    Partition(u32),
    /// The partition's writer is taken.
    #[error("partition {0} has a writer already")]
    Taken(u32),
    /// A reader's name is `[a-z0-9_-]+`, at most 64 bytes.
    #[error("{0:?} cannot name a reader: use up to 64 of a-z, 0-9, '-' and '_'")]
    Name(String),
    /// The spool was closed.
    #[error("the spool is closed")]
    Closed,
    /// The position file cannot be made.
    #[error(transparent)]
    File(#[from] FileError),
}
