//! Appends groups to one partition.
//!
//! An append copies the group into the write buffer and gives it its offsets; a flush hands
//! everything appended since to the operating system with one write. Between the two, nothing
//! of it is promised. A flush that fails takes its groups back whole: the file is cut to where it
//! was, durably, so that no stale group can follow a later one after a crash.

use super::disk::{Disk, DiskFile};
use super::error::{AppendError, Failed, FileError, FlushCause, FlushError, at};
use super::format::{GROUP_HEADER, GroupHeader, META_HASHES};
use super::group::{Group, GroupKey};
use super::keys::Answer;
use super::partition::Partition;
use super::segment::Segment;
use super::spool::{Inner, Owner};
use super::watermarks::{Ring, Watermarks};
use crate::log::{LogId, Offset, Range};
use crate::time::Micros;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What a refused client is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Free space is asked for again after so many bytes.
const ASK_FREE_EVERY: u64 = 1 << 20;
/// And after so long.
const ASK_FREE_AFTER: Duration = Duration::from_millis(500);
/// A write buffer that grew past this is given back after the flush.
const KEEP_BUFFER: usize = 4 << 20;

/// A group in the write buffer.
struct Pending {
    /// Where it begins in the buffer.
    at: usize,
    header: GroupHeader,
    key: Option<([u8; 16], [u8; 16])>,
    /// It begins a new segment.
    rotate: bool,
}

/// The one writer of a partition; gives it back on drop. What was not flushed is dropped with it.
pub struct Writer<D: Disk = super::RealDisk> {
    /// Keeps the folder's lock while this lives.
    _owner: Arc<Owner<D>>,
    spool: Arc<Inner<D>>,
    part: Arc<Partition<D>>,
    buf: Vec<u8>,
    pending: Vec<Pending>,
    /// Offset of the next record.
    next: Offset,
    /// Length that the last segment will have after the flush.
    tail: u64,
    /// Free bytes when last asked, less what was appended since.
    free: u64,
    asked: Option<Micros>,
    unasked: u64,
}

impl<D: Disk> Writer<D> {
    /// Takes the partition; its `writer_taken` is set by the caller.
    pub(super) fn new(owner: Arc<Owner<D>>, spool: Arc<Inner<D>>, part: Arc<Partition<D>>) -> Self {
        let next = part.marks.written();
        let tail = part.last().map_or(0, |s| s.written());
        let (buf, pending) = (Vec::new(), Vec::new());
        Writer { _owner: owner, spool, part, buf, pending, next, tail, free: 0, asked: None, unasked: 0 }
    }

    /// The partition's name in the log.
    #[must_use]
    pub fn id(&self) -> &LogId {
        &self.part.id
    }

    /// How far the partition is written and synced, and waiting for it.
    #[must_use]
    pub fn watermarks(&self) -> Arc<Watermarks> {
        self.part.marks.clone()
    }

    /// Bytes appended and not flushed.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buf.len()
    }

    /// Puts a group into the write buffer and returns its offsets. Never waits, writes nothing.
    ///
    /// With a key, the key now goes the way of the next flush: done when it succeeds, free again
    /// when it fails. Errors: [`AppendError`]; nothing is appended then.
    pub fn append(&mut self, group: &Group<'_>) -> Result<Range, AppendError> {
        let now = self.spool.clock.now();
        self.append_at(group, now)
    }

    /// The same for a caller that has just asked the spool's clock: `now` is the group's time of writing.
    pub fn append_at(&mut self, group: &Group<'_>, now: Micros) -> Result<Range, AppendError> {
        self.part.marks.check()?;
        if self.spool.is_closed() {
            return Err(AppendError::Failed(Failed(Arc::from("the spool is closed"))));
        }
        let (records, count) = (group.records.framed(), group.records.count());
        if count == 0 {
            return Err(AppendError::Empty);
        }
        let meta = group.key.map_or(0, |_| META_HASHES + group.answer.len());
        let bytes = GROUP_HEADER + meta + records.len();
        let max = self.spool.settings.max_group_bytes;
        if bytes > max {
            return Err(AppendError::TooLarge { bytes, max });
        }
        let too_large = |_| AppendError::TooLarge { bytes, max };
        let body = u32::try_from(meta + records.len()).map_err(too_large)?;
        let meta = u32::try_from(meta).map_err(too_large)?;
        self.take_space(bytes as u64, now)?;

        let rotate = self.must_rotate(bytes as u64);
        self.tail = bytes as u64 + if rotate { super::format::SEGMENT_HEADER as u64 } else { self.tail };
        let at = self.buf.len();
        self.buf.resize(at + GROUP_HEADER, 0);
        let mut meta_crc = 0;
        if let Some(GroupKey { key, body }) = group.key {
            self.buf.extend_from_slice(key);
            self.buf.extend_from_slice(body);
            self.buf.extend_from_slice(group.answer);
            meta_crc = crc32c::crc32c(&self.buf[at + GROUP_HEADER..]);
            self.spool.keys.appended(key, body);
        }
        self.buf.extend_from_slice(records);
        let header = GroupHeader { body, meta, meta_crc, count, first: self.next, appended: now, void: false };
        self.buf[at..at + GROUP_HEADER].copy_from_slice(&self.part.stamp.encode(&header));
        let key = group.key.map(|k| (*k.key, *k.body));
        self.pending.push(Pending { at, header, key, rotate });
        self.next = header.end();
        Ok(Range { from: header.first, to: header.end() })
    }

    /// Writes everything appended since the last flush; groups of one segment with one write.
    ///
    /// Errors: [`FlushError`] says how far the log is written; groups behind that are not in it
    /// and their keys are free again.
    pub fn flush(&mut self) -> Result<(), FlushError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut from = 0;
        let mut result = self.part.marks.check().map_err(FlushCause::from);
        while result.is_ok() && from < self.pending.len() {
            let to = (from + 1..self.pending.len()).find(|&i| self.pending[i].rotate).unwrap_or(self.pending.len());
            result = self.write(from, to).map_err(FlushCause::from);
            if result.is_ok() {
                self.settle(from, to);
                from = to;
            }
        }
        let lost = self.pending.get(from).map(|p| p.at);
        for p in self.pending.drain(..).skip(from) {
            if let Some((key, _)) = &p.key {
                self.spool.keys.released(key);
            }
        }
        if let Some(at) = lost {
            self.part.space.give((self.buf.len() - at) as u64);
        }
        self.buf.clear();
        self.buf.shrink_to(KEEP_BUFFER);
        let written = self.part.marks.written();
        self.next = written;
        self.tail = self.part.last().map_or(0, |s| s.written());
        result.map_err(|source| {
            self.part.counters.write_failures.inc();
            self.part.marks.flush_failed();
            let full = matches!(&source, FlushCause::File(e) if is_full(&e.source));
            FlushError { written, full, source }
        })
    }

    fn must_rotate(&self, bytes: u64) -> bool {
        let empty = self.tail <= super::format::SEGMENT_HEADER as u64;
        let asked = self.part.seal_wanted.load(Ordering::Acquire) || self.part.half_made.load(Ordering::Acquire);
        let sealed = self.pending.is_empty() && asked;
        !empty && (sealed || self.tail + bytes > self.spool.segment_bytes)
    }

    /// Writes the groups `from..to`, which lie in one segment.
    fn write(&mut self, from: usize, to: usize) -> Result<(), FileError> {
        let Pending { at: begin, rotate, header, .. } = self.pending[from];
        let end = self.pending.get(to).map_or(self.buf.len(), |p| p.at);
        let segment = if rotate { self.rotate(header.first)? } else { self.last()? };
        let file = segment.hold(&self.part.disk)?;
        let place = segment.written();
        if let Err(e) = file.write_at(&self.buf[begin..end], place) {
            self.take_back(&segment, &*file, place);
            return Err(at("write", &segment.path)(e));
        }
        for p in &self.pending[from..to] {
            let key = p.key.as_ref().map(|(key, _)| *key);
            segment.note(p.header.first, place + (p.at - begin) as u64, p.header.appended, key);
        }
        segment.written_len.store(place + (end - begin) as u64, Ordering::Release);
        self.part.mark_dirty(&segment);
        let counters = &self.part.counters;
        counters.writes.inc();
        counters.written.inc_by((end - begin) as u64);
        counters.groups.inc_by((to - from) as u64);
        Ok(())
    }

    /// The groups `from..to` are written: tell everybody.
    fn settle(&mut self, from: usize, to: usize) {
        let Some(last) = self.pending[..to].last() else { return };
        let written = last.header.end();
        self.part.counters.records.inc_by(written - self.part.marks.written());
        for p in &self.pending[from..to] {
            if let Some((key, body)) = &p.key {
                let meta = p.at + GROUP_HEADER + META_HASHES..p.at + GROUP_HEADER + p.header.meta as usize;
                let range = Range { from: p.header.first, to: p.header.end() };
                let answer = Answer { bytes: Arc::from(&self.buf[meta]), partition: self.part.number(), range };
                self.spool.keys.done(key, body, answer, p.header.appended);
            }
        }
        self.part.marks.set_written(written);
    }

    /// Full, and all that can go is this writer's own segment: begins a new one, so that retention
    /// may take it. Costs a header out of the reserve.
    fn make_way(&mut self) {
        if !self.pending.is_empty() || !self.part.seal_wanted.load(Ordering::Acquire) {
            return;
        }
        match self.rotate(self.next) {
            Ok(segment) => {
                self.tail = segment.written();
                self.spool.bell.ring(Ring::Dirty);
            }
            // The append is refused as full anyway, and the next one tries again.
            Err(error) => tracing::warn!(%error, "cannot begin a segment to make room"),
        }
    }

    fn last(&self) -> Result<Arc<Segment<D::File>>, FileError> {
        let none = || io::Error::other("the partition has no segment");
        self.part.last().ok_or_else(|| at("find", &self.part.dir)(none()))
    }

    fn rotate(&mut self, base: Offset) -> Result<Arc<Segment<D::File>>, FileError> {
        let (part, now) = (&self.part, self.spool.clock.now());
        part.half_made.store(true, Ordering::Release);
        let segment = Segment::create(&part.disk, &part.dir, part.identity.id, part.number(), base, now)?;
        let segment = Arc::new(segment);
        part.half_made.store(false, Ordering::Release);
        part.space.add(segment.written());
        self.free = self.free.saturating_sub(segment.written());
        part.push_segment(segment.clone());
        part.seal_wanted.store(false, Ordering::Release);
        Ok(segment)
    }

    /// Cuts what a failed write may have left. Where that fails too, the partition ends: bytes of
    /// a refused request could otherwise come back behind a later group.
    fn take_back(&self, segment: &Segment<D::File>, file: &D::File, len: u64) {
        if let Err(e) = file.set_len(len).and_then(|()| file.sync_data()) {
            let e = at("cut a failed write from", &segment.path)(e);
            self.part.marks.fail(&e.to_string());
        }
    }

    fn take_space(&mut self, bytes: u64, now: Micros) -> Result<(), AppendError> {
        let space = &self.part.space;
        let was_full = space.full.load(Ordering::Relaxed);
        let stale = self.asked.is_none_or(|then| now.since(then) >= ASK_FREE_AFTER || now < then);
        if was_full || stale || self.unasked >= ASK_FREE_EVERY || self.free < bytes.saturating_add(space.reserve) {
            // Asking fails only with the device; then the write itself will say so.
            self.free = self.part.disk.free(&self.part.dir).unwrap_or(u64::MAX);
            self.free = self.free.saturating_sub(self.buf.len() as u64);
            self.asked = Some(now);
            self.unasked = 0;
        }
        let room = self.free >= bytes.saturating_add(space.reserve);
        if !room || !space.take(bytes) {
            space.full.store(true, Ordering::Relaxed);
            self.part.counters.full.inc();
            self.make_way();
            self.spool.bell.ring(Ring::Full);
            return Err(AppendError::Full { retry_after: RETRY_AFTER });
        }
        if was_full {
            space.full.store(false, Ordering::Relaxed);
        }
        self.free -= bytes;
        self.unasked += bytes;
        Ok(())
    }
}

/// Whether a write failed for lack of space.
pub(super) fn is_full(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

impl<D: Disk> Drop for Writer<D> {
    fn drop(&mut self) {
        for p in &self.pending {
            if let Some((key, _)) = &p.key {
                self.spool.keys.released(key);
            }
        }
        self.part.space.give(self.buf.len() as u64);
        self.part.writer_taken.store(false, Ordering::Release);
    }
}
