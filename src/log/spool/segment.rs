//! One segment file: which offsets it begins with, how far it is written and synced.

use super::disk::{Disk, DiskFile, Open};
use super::error::{FileError, at};
use super::format::{SEGMENT_HEADER, SegmentHeader, VERSION};
use super::partition::locked;
use crate::log::Offset;
use crate::time::Micros;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Distance between entries of the offset index in bytes of file.
const INDEX_EVERY: u64 = 16 << 10;

/// A segment. The last one of a partition is the writer's; all others never change.
#[derive(Debug)]
pub(super) struct Segment<F> {
    pub base: Offset,
    pub path: PathBuf,
    pub created: Micros,
    /// Open while it is written or unsynced. Sealed segments are opened by who reads them: a
    /// spool may hold more of them than a process may hold open files.
    file: Mutex<Option<Arc<F>>>,
    pub written_len: AtomicU64,
    pub synced_len: AtomicU64,
    /// Append time of the newest group, in micros.
    newest: AtomicI64,
    /// Places of groups, ascending, about every 16 KiB; empty for segments not scanned since open.
    index: Mutex<Vec<(Offset, u64)>>,
    /// Idempotency keys of its groups, to be carried over when the segment goes.
    keys: Mutex<Vec<[u8; 16]>>,
}

/// Name of the segment that begins with `base`.
pub(super) fn name(base: Offset) -> String {
    format!("{base:020}.seg")
}

/// The base offset in a segment's name.
pub(super) fn base_of(name: &str) -> Option<Offset> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

impl<F: DiskFile> Segment<F> {
    /// A segment that was found on disk with `len` bytes.
    pub fn found(dir: &Path, base: Offset, created: Micros, len: u64) -> Self {
        Segment {
            base,
            path: dir.join(name(base)),
            created,
            file: Mutex::new(None),
            written_len: AtomicU64::new(len),
            synced_len: AtomicU64::new(len),
            newest: AtomicI64::new(created.0),
            index: Mutex::new(Vec::new()),
            keys: Mutex::new(Vec::new()),
        }
    }

    /// Makes a new segment and writes its header; not yet synced.
    ///
    /// A file of that name can only be the leftover of an attempt that failed: no group of it was
    /// ever acknowledged, so it is emptied. After an error the file may be there, see
    /// [`super::partition::Partition::half_made`].
    pub fn create<D: Disk<File = F>>(
        disk: &D,
        dir: &Path,
        id: u64,
        partition: u32,
        base: Offset,
        now: Micros,
    ) -> Result<Self, FileError> {
        let segment = Segment::found(dir, base, now, 0);
        let header = SegmentHeader { version: VERSION, partition, id, base, created: now };
        let file = disk.open(&segment.path, Open::Create).map_err(at("create", &segment.path))?;
        file.write_at(&header.encode(), 0).map_err(at("write", &segment.path))?;
        segment.written_len.store(SEGMENT_HEADER as u64, Ordering::Release);
        segment.synced_len.store(0, Ordering::Release);
        *locked(&segment.file) = Some(Arc::new(file));
        Ok(segment)
    }

    /// The file for reading and, while the segment is written, for writing.
    pub fn file<D: Disk<File = F>>(&self, disk: &D) -> Result<Arc<F>, FileError> {
        if let Some(file) = &*locked(&self.file) {
            return Ok(file.clone());
        }
        disk.open(&self.path, Open::Read).map(Arc::new).map_err(at("open", &self.path))
    }

    /// Keeps the file open for writing.
    pub fn hold<D: Disk<File = F>>(&self, disk: &D) -> Result<Arc<F>, FileError> {
        let mut held = locked(&self.file);
        if let Some(file) = &*held {
            return Ok(file.clone());
        }
        let file = Arc::new(disk.open(&self.path, Open::Write).map_err(at("open", &self.path))?);
        *held = Some(file.clone());
        Ok(file)
    }

    /// Lets the file go; readers open their own.
    pub fn let_go(&self) {
        *locked(&self.file) = None;
    }

    /// Records a group at `at`.
    pub fn note(&self, first: Offset, at: u64, appended: Micros, key: Option<[u8; 16]>) {
        self.set_newest(appended);
        let mut index = locked(&self.index);
        if index.last().is_none_or(|&(_, last)| at >= last + INDEX_EVERY) {
            index.push((first, at));
        }
        drop(index);
        if let Some(key) = key {
            locked(&self.keys).push(key);
        }
    }

    /// The last known group that begins at or before `offset`: its first offset and its place.
    pub fn seek(&self, offset: Offset) -> (Offset, u64) {
        let index = locked(&self.index);
        let after = index.partition_point(|&(first, _)| first <= offset);
        after.checked_sub(1).and_then(|i| index.get(i)).copied().unwrap_or((self.base, SEGMENT_HEADER as u64))
    }

    pub fn written(&self) -> u64 {
        self.written_len.load(Ordering::Acquire)
    }

    pub fn synced(&self) -> u64 {
        self.synced_len.load(Ordering::Acquire)
    }

    pub fn set_newest(&self, at: Micros) {
        self.newest.fetch_max(at.0, Ordering::AcqRel);
    }

    pub fn newest(&self) -> Micros {
        Micros(self.newest.load(Ordering::Acquire))
    }

    pub fn keys(&self) -> Vec<[u8; 16]> {
        locked(&self.keys).clone()
    }
}
