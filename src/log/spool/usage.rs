//! What a spool holds and who reads it, for status pages and tests.

use super::disk::Disk;
use super::spool::Inner;
use crate::log::{Offset, Position};
use crate::time::Micros;
use std::sync::atomic::Ordering;

/// State of a spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all segments.
    pub bytes: u64,
    /// The quota.
    pub max_bytes: u64,
    /// Free bytes of the device; `None` when it cannot say.
    pub free_bytes: Option<u64>,
    /// Free bytes that appends leave.
    pub reserve_bytes: u64,
    /// The last append was refused for lack of space.
    pub full: bool,
    /// Idempotency keys remembered or under way.
    pub keys: usize,
    /// Each partition.
    pub partitions: Vec<PartitionUsage>,
}

/// State of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionUsage {
    /// Its number.
    pub partition: u32,
    /// First offset that is still there.
    pub start: Offset,
    /// First offset behind what is written.
    pub written: Offset,
    /// First offset behind what is durable; readers see up to here.
    pub synced: Offset,
    /// Bytes of its segments.
    pub bytes: u64,
    /// Number of segments.
    pub segments: usize,
    /// When the oldest segment was begun.
    pub oldest: Option<Micros>,
    /// Why it takes no appends any more.
    pub failed: Option<String>,
    /// Its registered readers.
    pub readers: Vec<ReaderUsage>,
}

/// Where a registered reader stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderUsage {
    /// Its name.
    pub name: String,
    /// Its stored position; `Err` says why it is unreadable.
    pub position: Result<Position, String>,
    /// Durable records that it has not passed.
    pub lag: u64,
}

impl Usage {
    pub(super) fn of<D: Disk>(inner: &Inner<D>) -> Self {
        let partitions = inner.partitions.iter().map(|p| {
            let (start, synced) = (p.start(), p.marks.synced());
            let readers = p.readers.positions().into_iter().map(|(name, position)| {
                let lag = synced.saturating_sub(position.as_ref().map_or(start, |p| p.next));
                ReaderUsage { name, position, lag }
            });
            PartitionUsage {
                partition: p.number(),
                start,
                written: p.marks.written(),
                synced,
                bytes: p.bytes(),
                segments: p.segments().len(),
                oldest: p.oldest(),
                failed: p.marks.failure().map(|f| f.0.to_string()),
                readers: readers.collect(),
            }
        });
        Usage {
            bytes: inner.space.used.load(Ordering::Acquire),
            max_bytes: inner.space.max,
            free_bytes: inner.disk.free(&inner.dir).ok(),
            reserve_bytes: inner.space.reserve,
            full: inner.space.full.load(Ordering::Relaxed),
            keys: inner.keys.len(),
            partitions: partitions.collect(),
        }
    }
}
