//! The spool as a whole: opening, handles, retention, closing.

use super::background::Background;
use super::disk::{Disk, RealDisk};
use super::error::{Failed, FileError, HandleError, OpenError};
use super::keys::Keys;
use super::open::{self, Recovery};
use super::partition::{Partition, Space, locked};
use super::reader::SpoolLog;
use super::readers::valid_name;
use super::retention::{Retention, retain};
use super::usage::Usage;
use super::watermarks::{Bell, Watermarks};
use super::writer::Writer;
use crate::log::Offset;
use crate::settings::SpoolSettings;
use crate::telemetry::SpoolCounters;
use crate::time::Clock;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Who does the syncs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syncing {
    /// A thread of the spool's own, every `sync_interval` and whenever somebody waits.
    #[default]
    Background,
    /// Nobody but [`Spool::sync_now`]: for simulations, where a thread would not replay.
    ByHand,
}

/// Everything that a spool is opened with.
#[derive(Clone)]
pub struct SpoolOptions {
    /// At least so many partitions; existing ones beyond stay readable until they are drained.
    pub partitions: u32,
    /// Sizes and intervals.
    pub settings: SpoolSettings,
    /// How long records and keys are kept.
    pub retention: Retention,
    /// The clock of append times and of the keys' window.
    pub clock: Arc<dyn Clock>,
    /// What it counts into.
    pub counters: SpoolCounters,
    /// Who syncs.
    pub syncing: Syncing,
}

impl SpoolOptions {
    /// Defaults for everything but these.
    pub fn new(partitions: u32, clock: Arc<dyn Clock>) -> Self {
        SpoolOptions {
            partitions,
            settings: SpoolSettings::default(),
            retention: Retention::default(),
            clock,
            counters: SpoolCounters::default(),
            syncing: Syncing::Background,
        }
    }
}

/// What all handles share. The folder's lock lives as long as any of them, or until `close`.
pub(super) struct Inner<D: Disk> {
    pub disk: D,
    pub dir: PathBuf,
    pub log_name: Arc<str>,
    pub partitions: Vec<Arc<Partition<D>>>,
    pub keys: Keys,
    pub settings: SpoolSettings,
    /// Segment size, at most an eighth of the quota over all partitions, so that a full spool
    /// always has segments that can go.
    pub segment_bytes: u64,
    pub retention: Retention,
    pub clock: Arc<dyn Clock>,
    pub counters: SpoolCounters,
    pub space: Arc<Space>,
    pub bell: Arc<Bell>,
    pub closed: AtomicBool,
}

impl<D: Disk> Inner<D> {
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Syncs all partitions; goes on past a failed one and returns the first failure.
    pub fn sync_all(&self) -> Result<(), Failed> {
        self.partitions.iter().map(|p| p.sync()).fold(Ok(()), Result::and)
    }

    pub fn housekeep(&self) -> Result<usize, FileError> {
        let now = self.clock.now();
        let mut removed = 0;
        for part in &self.partitions {
            removed += retain(part, &self.keys, &self.retention, now)?;
        }
        self.keys.expire();
        let clip = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.counters.bytes.set(clip(self.space.used.load(Ordering::Acquire)));
        self.counters.quota.set(clip(self.space.max));
        self.counters.reserve.set(clip(self.space.reserve));
        if let Ok(free) = self.disk.free(&self.dir) {
            self.counters.free.set(clip(free));
        }
        self.counters.keys.set(clip(self.keys.len() as u64));
        let depth = |p: &Arc<Partition<D>>| p.readers.slowest().map_or(0, |s| p.marks.synced().saturating_sub(s));
        self.counters.depth.set(clip(self.partitions.iter().map(depth).sum()));
        Ok(removed)
    }
}

/// What ends with the last handle: the thread first, then the last sync, then the lock.
pub(super) struct Owner<D: Disk> {
    inner: Arc<Inner<D>>,
    background: Mutex<Option<Background>>,
    lock: Mutex<Option<D::Lock>>,
}

impl<D: Disk> Owner<D> {
    fn close(&self) -> Result<(), Failed> {
        let mut lock = locked(&self.lock);
        if lock.is_none() {
            return Ok(());
        }
        self.inner.closed.store(true, Ordering::Release);
        drop(locked(&self.background).take());
        let result = self.inner.sync_all();
        for part in &self.inner.partitions {
            if let Err(error) = part.seal_proof() {
                tracing::warn!(partition = %part.id, %error, "the clean end of the spool could not be noted");
            }
        }
        lock.take();
        result
    }
}

impl<D: Disk> Drop for Owner<D> {
    fn drop(&mut self) {
        // Whoever wanted to know has called close(); a failure is logged where it happened.
        let _ = self.close();
    }
}

/// A log on disk with one or more partitions. Clones share it.
pub struct Spool<D: Disk = RealDisk> {
    pub(super) inner: Arc<Inner<D>>,
    pub(super) owner: Arc<Owner<D>>,
}

impl<D: Disk> Clone for Spool<D> {
    fn clone(&self) -> Self {
        Spool { inner: self.inner.clone(), owner: self.owner.clone() }
    }
}

impl<D: Disk> Spool<D> {
    /// Opens the spool in `dir`, making it when it is not there, with a background sync thread.
    ///
    /// Errors: [`OpenError`].
    pub fn open(
        disk: D,
        dir: &Path,
        partitions: u32,
        settings: &SpoolSettings,
        retention: Retention,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Recovery), OpenError> {
        let settings = settings.clone();
        Self::open_with(disk, dir, SpoolOptions { settings, retention, ..SpoolOptions::new(partitions, clock) })
    }

    /// Opens the spool in `dir` with all options.
    ///
    /// Errors: [`OpenError`].
    pub fn open_with(disk: D, dir: &Path, options: SpoolOptions) -> Result<(Self, Recovery), OpenError> {
        let (syncing, interval) = (options.syncing, options.settings.sync_interval);
        let (inner, lock, recovery) = open::open(disk, dir, options)?;
        let inner = Arc::new(inner);
        let background = match syncing {
            Syncing::ByHand => None,
            Syncing::Background => Some(Background::start(&inner, interval)?),
        };
        let owner = Owner { inner: inner.clone(), background: Mutex::new(background), lock: Mutex::new(Some(lock)) };
        Ok((Spool { inner, owner: Arc::new(owner) }, recovery))
    }

    /// The log's name in positions, tables and file names: `spool-` and 16 hex digits.
    #[must_use]
    pub fn log_name(&self) -> &Arc<str> {
        &self.inner.log_name
    }

    /// The numbers of all partitions, ascending.
    #[must_use]
    pub fn partitions(&self) -> Vec<u32> {
        self.inner.partitions.iter().map(|p| p.number()).collect()
    }

    /// The one writer of a partition, given back on drop.
    ///
    /// Errors: [`HandleError::Taken`], [`HandleError::Partition`], [`HandleError::Closed`].
    pub fn writer(&self, partition: u32) -> Result<Writer<D>, HandleError> {
        let part = self.partition(partition)?;
        if part.writer_taken.swap(true, Ordering::AcqRel) {
            return Err(HandleError::Taken(partition));
        }
        Ok(Writer::new(self.owner.clone(), self.inner.clone(), part))
    }

    /// The reader `name` of a partition, registered for retention when it is new: from then on
    /// nothing that it has not passed is removed. Whoever had this reader is fenced. A new reader
    /// begins where the log begins, so register all of them before the first `housekeep`.
    ///
    /// Errors: [`HandleError`].
    pub fn reader(&self, name: &str, partition: u32) -> Result<SpoolLog<D>, HandleError> {
        let part = self.partition(partition)?;
        if !valid_name(name) {
            return Err(HandleError::Name(name.to_owned()));
        }
        // Under retention's lock, or the start could move between the look and the file.
        let _hold = locked(&part.retaining);
        let reader = part.readers.take(name, part.start())?;
        drop(_hold);
        Ok(SpoolLog::new(self.owner.clone(), self.inner.clone(), part, Some(reader)))
    }

    /// Reads a partition without a position and without holding retention back (a slow viewer
    /// meets a gap); `store` is refused.
    ///
    /// Errors: [`HandleError`].
    pub fn viewer(&self, partition: u32) -> Result<SpoolLog<D>, HandleError> {
        let part = self.partition(partition)?;
        Ok(SpoolLog::new(self.owner.clone(), self.inner.clone(), part, None))
    }

    /// Removes the reader `name` from all partitions for good; false when nobody knew it.
    ///
    /// Errors: [`HandleError::File`].
    pub fn retire_reader(&self, name: &str) -> Result<bool, HandleError> {
        let mut known = false;
        for part in &self.inner.partitions {
            known |= part.readers.retire(name)?;
        }
        Ok(known)
    }

    /// How far a partition is written and synced.
    ///
    /// Errors: [`HandleError::Partition`].
    pub fn watermarks(&self, partition: u32) -> Result<Arc<Watermarks>, HandleError> {
        Ok(self.find(partition)?.marks.clone())
    }

    /// First offset that a partition still has.
    ///
    /// Errors: [`HandleError::Partition`].
    pub fn start(&self, partition: u32) -> Result<Offset, HandleError> {
        Ok(self.find(partition)?.start())
    }

    /// The idempotency keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    /// Makes everything written durable, here and now. The background thread does this by itself.
    ///
    /// Errors: [`Failed`]: the partition is failed for good; the others are synced all the same.
    pub fn sync_now(&self) -> Result<(), Failed> {
        self.inner.sync_all()
    }

    /// Removes what every reader has passed, forgets expired keys, sets the gauges; returns how
    /// many segments went. Call it every few seconds. When an append is refused as full the
    /// background thread does it too.
    ///
    /// Errors: [`FileError`]; what went before it is gone.
    pub fn housekeep(&self) -> Result<usize, FileError> {
        self.inner.housekeep()
    }

    /// Sizes, ends, readers: for status pages.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::of(&self.inner)
    }

    /// Syncs everything, notes the clean end and gives the folder back. Handles stay, but writers
    /// append nothing more and readers store nothing more. The last handle's drop does the same.
    ///
    /// Errors: [`Failed`] when the last sync fails.
    pub fn close(&self) -> Result<(), Failed> {
        self.owner.close()
    }

    fn find(&self, partition: u32) -> Result<&Arc<Partition<D>>, HandleError> {
        let found = self.inner.partitions.iter().find(|p| p.number() == partition);
        found.ok_or(HandleError::Partition(partition))
    }

    fn partition(&self, partition: u32) -> Result<Arc<Partition<D>>, HandleError> {
        if self.inner.is_closed() {
            return Err(HandleError::Closed);
        }
        self.find(partition).cloned()
    }
}
