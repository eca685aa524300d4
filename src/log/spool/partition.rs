//! One partition: its segments, how far it is durable, and who reads it.
//!
//! Three parties share it. The writer appends to the last segment and moves `written`; the syncer
//! makes that durable and moves `synced`; readers look at what is below `synced` and nothing else.
//!
//! **A failed fdatasync ends the partition until it is opened again.** Linux drops the dirty pages
//! of a failed sync and marks them clean, so a second fdatasync says "fine" about data that is
//! nowhere ("fsyncgate", PostgreSQL 2018). Trying again would acknowledge what is lost. So the
//! partition is failed, its waiters are told, and opening it again finds out what the disk holds.

use super::disk::{Disk, DiskFile};
use super::error::{Failed, FileError, at};
use super::format::{Identity, Stamp};
use super::readers::Readers;
use super::segment::Segment;
use super::slots::Slots;
use super::watermarks::Watermarks;
use crate::log::{LogId, Offset};
use crate::telemetry::SpoolCounters;
use crate::time::Micros;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Locks, also after a panic elsewhere: every critical section here leaves its data consistent.
pub(super) fn locked<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Name of a partition's folder.
pub(super) fn folder(partition: u32) -> String {
    format!("p-{partition:04}")
}

/// The partition number in a folder's name.
pub(super) fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("p-")?;
    (digits.len() == 4).then(|| digits.parse().ok()).flatten()
}

/// Bytes on disk over all partitions, against the quota.
#[derive(Debug)]
pub(super) struct Space {
    pub used: AtomicU64,
    pub max: u64,
    pub reserve: u64,
    /// The last append was refused.
    pub full: AtomicBool,
}

impl Space {
    /// Takes `bytes` of the quota; false when there is no room.
    pub fn take(&self, bytes: u64) -> bool {
        let used = self.used.fetch_add(bytes, Ordering::AcqRel) + bytes;
        if used > self.max {
            self.give(bytes);
            return false;
        }
        true
    }

    pub fn add(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::AcqRel);
    }

    pub fn give(&self, bytes: u64) {
        let _ = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |u| Some(u.saturating_sub(bytes)));
    }
}

#[derive(Debug)]
struct Dirty<F> {
    segments: Vec<Arc<Segment<F>>>,
    /// A segment was made since the folder was synced.
    folder: bool,
}

pub(super) struct Partition<D: Disk> {
    pub id: LogId,
    pub identity: Identity,
    pub stamp: Stamp,
    pub dir: PathBuf,
    pub disk: D,
    pub marks: Arc<Watermarks>,
    pub space: Arc<Space>,
    pub counters: SpoolCounters,
    pub readers: Readers<D>,
    pub writer_taken: AtomicBool,
    /// Retention asks the writer to begin a new segment, so that this one can go.
    pub seal_wanted: AtomicBool,
    /// Making a segment failed, and its file may be there: after a restart it would claim all
    /// offsets from its base on, so the next group must go into it and nowhere else.
    pub half_made: AtomicBool,
    /// Ascending, never empty; the last one is written.
    segments: Mutex<VecDeque<Arc<Segment<D::File>>>>,
    dirty: Mutex<Dirty<D::File>>,
    /// How far it is durable, noted after every sync: after a crash it proves that what lies
    /// below was promised, so damage there is damage and no torn tail. Also serialises syncs.
    proof: Mutex<Slots<D::File>>,
    /// Serialises retention.
    pub retaining: Mutex<()>,
    /// Files of keys whose segments are gone, with the time of the newest key.
    pub keys_files: Mutex<Vec<(String, Micros)>>,
}

impl<D: Disk> Partition<D> {
    #[expect(clippy::too_many_arguments, reason = "called once, from recovery, with all it has found")]
    pub fn new(
        id: LogId,
        identity: Identity,
        dir: PathBuf,
        disk: D,
        marks: Arc<Watermarks>,
        space: Arc<Space>,
        counters: SpoolCounters,
        readers: Readers<D>,
        segments: VecDeque<Arc<Segment<D::File>>>,
        proof: Slots<D::File>,
        keys_files: Vec<(String, Micros)>,
    ) -> Self {
        let stamp = Stamp::new(identity, id.partition);
        Partition {
            id,
            identity,
            stamp,
            dir,
            disk,
            marks,
            space,
            counters,
            readers,
            writer_taken: AtomicBool::new(false),
            seal_wanted: AtomicBool::new(false),
            half_made: AtomicBool::new(false),
            segments: Mutex::new(segments),
            dirty: Mutex::new(Dirty { segments: Vec::new(), folder: false }),
            proof: Mutex::new(proof),
            retaining: Mutex::new(()),
            keys_files: Mutex::new(keys_files),
        }
    }

    pub fn number(&self) -> u32 {
        self.id.partition
    }

    /// First offset that the partition still has.
    pub fn start(&self) -> Offset {
        locked(&self.segments).front().map_or(0, |s| s.base)
    }

    /// The segment that is written.
    pub fn last(&self) -> Option<Arc<Segment<D::File>>> {
        locked(&self.segments).back().cloned()
    }

    pub fn segments(&self) -> Vec<Arc<Segment<D::File>>> {
        locked(&self.segments).iter().cloned().collect()
    }

    /// The segment that holds `offset`; `None` before the start.
    pub fn segment_of(&self, offset: Offset) -> Option<Arc<Segment<D::File>>> {
        let segments = locked(&self.segments);
        let after = segments.partition_point(|s| s.base <= offset);
        segments.get(after.checked_sub(1)?).cloned()
    }

    /// Where the segment after the one at `base` begins; `None` for the last one.
    pub fn next_base(&self, base: Offset) -> Option<Offset> {
        let segments = locked(&self.segments);
        segments.get(segments.partition_point(|s| s.base <= base)).map(|s| s.base)
    }

    pub fn push_segment(&self, segment: Arc<Segment<D::File>>) {
        locked(&self.segments).push_back(segment.clone());
        locked(&self.dirty).folder = true;
        self.mark_dirty(&segment);
    }

    /// Takes the first segment out of the list if it is `segment` and not the only one.
    pub fn pop_segment(&self, segment: &Arc<Segment<D::File>>) -> bool {
        let mut segments = locked(&self.segments);
        let first = segments.len() > 1 && segments.front().is_some_and(|s| Arc::ptr_eq(s, segment));
        if first {
            segments.pop_front();
        }
        first
    }

    /// Puts back what [`Partition::pop_segment`] took: the file could not be removed.
    pub fn unpop_segment(&self, segment: Arc<Segment<D::File>>) {
        locked(&self.segments).push_front(segment);
    }

    /// Must be called before `written` moves past what was written to `segment`.
    pub fn mark_dirty(&self, segment: &Arc<Segment<D::File>>) {
        let mut dirty = locked(&self.dirty);
        if !dirty.segments.last().is_some_and(|s| Arc::ptr_eq(s, segment)) {
            dirty.segments.push(segment.clone());
        }
    }

    /// Makes everything written durable and moves `synced`. Called by the background thread, or
    /// by hand in a simulation.
    ///
    /// Errors: [`Failed`], for good (see the module).
    pub fn sync(&self) -> Result<(), Failed> {
        let mut proof = locked(&self.proof);
        self.marks.check()?;
        // In this order: whatever is below `written` is in the list by now.
        let written = self.marks.written();
        let (segments, folder) = {
            let mut dirty = locked(&self.dirty);
            (std::mem::take(&mut dirty.segments), std::mem::take(&mut dirty.folder))
        };
        if segments.is_empty() && !folder {
            return Ok(());
        }
        if let Err(e) = self.sync_files(&segments, folder) {
            self.counters.sync_failures.inc();
            self.marks.fail(&e.to_string());
            return self.marks.check();
        }
        self.marks.set_synced(written);
        if let Err(e) = proof.note([written, 0, 0]) {
            // Only recovery's certainty about damage suffers, not what is durable.
            tracing::warn!(partition = %self.id, error = %e, "cannot note how far the partition is durable");
        }
        Ok(())
    }

    fn sync_files(&self, segments: &[Arc<Segment<D::File>>], folder: bool) -> Result<(), FileError> {
        let last = self.last();
        for segment in segments {
            let len = segment.written();
            let began = Instant::now();
            segment.hold(&self.disk)?.sync_data().map_err(at("sync", &segment.path))?;
            self.counters.synced_in(began.elapsed());
            segment.synced_len.fetch_max(len, Ordering::AcqRel);
            if !last.as_ref().is_some_and(|l| Arc::ptr_eq(l, segment)) {
                segment.let_go();
            }
        }
        if folder {
            self.disk.sync_dir(&self.dir).map_err(at("sync", &self.dir))?;
        }
        Ok(())
    }

    /// Notes durably how far the partition is durable: a clean end.
    pub fn seal_proof(&self) -> Result<(), FileError> {
        locked(&self.proof).store([self.marks.synced(), 0, 0])
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        locked(&self.segments).iter().map(|s| s.written()).sum()
    }

    /// When the oldest segment was begun.
    pub fn oldest(&self) -> Option<Micros> {
        locked(&self.segments).front().map(|s| s.created)
    }

    pub fn path_of(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
