//! Reads one partition of a spool as a [`Log`].
//!
//! Only what is below `synced` is looked at, so a reader is never ahead of what a power cut
//! leaves. What cannot be read is handed out as holes, offset by offset: a damaged record alone,
//! a damaged group header with all its group, a lost stretch up to the next group or segment.

use super::disk::Disk;
use super::format::{GROUP_HEADER, GroupHeader, Walk};
use super::partition::Partition;
use super::readers::{Reader, StoreError};
use super::scan::{Found, Window, find};
use super::segment::Segment;
use super::spool::{Inner, Owner};
use crate::log::{FlushReason, Limits, Log, LogError, LogId, Offset, Position, Range, Records};
use crate::time::Micros;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Where the next group is looked for. Only a hint: every read says from where it wants to read.
struct Cursor<F> {
    segment: Arc<Segment<F>>,
    file: Arc<F>,
    /// Place of the next group, which begins with `expected` unless there is damage.
    at: u64,
    expected: Offset,
    /// The group being read.
    group: Option<(GroupHeader, Walk)>,
    /// First offset that this cursor has not given out.
    next: Offset,
    /// Append time for holes: that of the group before.
    appended: Micros,
}

/// A reader of one partition. See [`super::Spool::reader`].
pub struct SpoolLog<D: Disk = super::RealDisk> {
    /// Keeps the folder's lock while this lives.
    _owner: Arc<Owner<D>>,
    spool: Arc<Inner<D>>,
    part: Arc<Partition<D>>,
    /// The registered reader and this owner's number; a viewer has none.
    reader: Option<(Arc<Reader<D>>, u64)>,
    cursor: Option<Cursor<D::File>>,
    window: Window,
}

impl<D: Disk> SpoolLog<D> {
    pub(super) fn new(
        owner: Arc<Owner<D>>,
        spool: Arc<Inner<D>>,
        part: Arc<Partition<D>>,
        reader: Option<(Arc<Reader<D>>, u64)>,
    ) -> Self {
        SpoolLog { _owner: owner, spool, part, reader, cursor: None, window: Window::default() }
    }

    /// First offset that the partition still has.
    #[must_use]
    pub fn start(&self) -> Offset {
        self.part.start()
    }

    fn gap(&self, wanted: Offset) -> LogError {
        LogError::Gap { log: self.part.id.clone(), wanted, start: self.part.start() }
    }

    fn io(&self, e: super::error::FileError) -> LogError {
        LogError::Io { what: format!("{}: cannot {} {}", self.part.id, e.what, e.path.display()), source: e.source }
    }

    fn position_error(&self, why: impl Into<String>) -> LogError {
        LogError::Position { log: self.part.id.clone(), why: why.into() }
    }

    /// Puts the cursor at the last known group at or before `next`.
    fn seek(&mut self, next: Offset) -> Result<(), LogError> {
        let Some(segment) = self.part.segment_of(next) else { return Err(self.gap(next)) };
        let file = match segment.file(&self.part.disk) {
            Ok(file) => file,
            // Retention was faster (only a viewer can meet it).
            Err(e) if e.source.kind() == io::ErrorKind::NotFound && self.part.start() > next => {
                return Err(self.gap(next));
            }
            Err(e) => return Err(self.io(e)),
        };
        let (expected, at) = segment.seek(next);
        let appended = segment.created;
        self.window.reset();
        self.cursor = Some(Cursor { segment, file, at, expected, group: None, next, appended });
        Ok(())
    }

    /// Takes what there is from `next` to `end`; `Some` when a limit is met.
    fn collect(
        &mut self,
        next: &mut Offset,
        end: Offset,
        limits: &Limits,
        out: &mut Records,
    ) -> Result<Option<FlushReason>, LogError> {
        while *next < end {
            if let Some(reason) = full(limits, out) {
                return Ok(Some(reason));
            }
            if self.cursor.as_ref().is_none_or(|c| c.next != *next) {
                self.seek(*next)?;
            }
            let Some(cursor) = &mut self.cursor else { continue };
            let what = |e: io::Error| LogError::Io {
                what: format!("{}: cannot read {}", self.part.id, cursor.segment.path.display()),
                source: e,
            };
            let limit = cursor.segment.synced();
            if let Some((group, walk)) = cursor.group {
                let place = cursor.at + GROUP_HEADER as u64;
                let body = self.window.get(&*cursor.file, place, group.body as usize, limit).map_err(what)?;
                let before = cursor.next;
                let reason = take(cursor, group, walk, body, end, limits, out);
                self.spool.counters.corrupt.inc_by(out_holes(out, before));
                *next = cursor.next;
                if reason.is_some() {
                    return Ok(reason);
                }
                continue;
            }
            let found = find(&mut self.window, &*cursor.file, self.part.stamp, cursor.at, cursor.expected, limit);
            let until = match found.map_err(what)? {
                Found::Group { at, header, .. } => {
                    (cursor.at, cursor.expected) = (at, header.first);
                    if header.end() <= *next {
                        (cursor.at, cursor.expected) = (at + header.len(), header.end());
                        cursor.appended = header.appended;
                        continue;
                    }
                    if header.first <= *next {
                        cursor.appended = header.appended;
                        cursor.group = Some((header, Walk::new(&header)));
                        continue;
                    }
                    header.first.min(end)
                }
                // What the next segment does not hold either is lost.
                Found::End => match self.part.next_base(cursor.segment.base) {
                    Some(base) if base <= *next => {
                        self.cursor = None;
                        continue;
                    }
                    Some(base) => base.min(end),
                    None => end,
                },
            };
            while *next < until && full(limits, out).is_none() {
                out.push_corrupt(*next, cursor.appended);
                self.spool.counters.corrupt.inc();
                *next += 1;
            }
            cursor.next = *next;
        }
        Ok(None)
    }
}

/// Which limit of size a batch has reached.
fn full(limits: &Limits, out: &Records) -> Option<FlushReason> {
    if out.len() >= limits.rows {
        Some(FlushReason::Rows)
    } else if !out.is_empty() && out.bytes() >= limits.bytes {
        Some(FlushReason::Bytes)
    } else {
        None
    }
}

/// How many of the records from `before` on are holes.
fn out_holes(out: &Records, before: Offset) -> u64 {
    let new = out.range().map_or(0, |r| r.to.saturating_sub(before.max(r.from)));
    let from = out.len().saturating_sub(usize::try_from(new).unwrap_or(usize::MAX));
    (from..out.len()).filter_map(|i| out.get(i)).filter(|r| r.body.is_err()).count() as u64
}

/// Takes records of `group` from the cursor's next offset on.
fn take<F>(
    cursor: &mut Cursor<F>,
    group: GroupHeader,
    mut walk: Walk,
    body: &[u8],
    end: Offset,
    limits: &Limits,
    out: &mut Records,
) -> Option<FlushReason> {
    loop {
        let before = walk;
        let offset = group.first + u64::from(walk.index(&group));
        let Some(record) = walk.next(&group, body) else {
            (cursor.at, cursor.expected, cursor.group) = (cursor.at + group.len(), group.end(), None);
            return None;
        };
        if offset < cursor.next {
            continue;
        }
        let reason = if offset >= end {
            // Not ours to say: the caller knows why it ends here.
            cursor.group = Some((group, before));
            return None;
        } else if let Some(reason) = full(limits, out) {
            Some(reason)
        } else if record.is_some_and(|r| !out.is_empty() && out.bytes() + r.len() > limits.bytes) {
            Some(FlushReason::Bytes)
        } else {
            None
        };
        if reason.is_some() {
            cursor.group = Some((group, before));
            return reason;
        }
        match record {
            Some(body) => out.push(offset, group.appended, body),
            None => out.push_corrupt(offset, group.appended),
        }
        cursor.next = offset + 1;
    }
}

impl<D: Disk> Log for SpoolLog<D> {
    fn id(&self) -> &LogId {
        &self.part.id
    }

    async fn position(&mut self) -> Result<Option<Position>, LogError> {
        match &self.reader {
            None => Ok(Some(Position::at(self.part.start()))),
            Some((reader, generation)) => {
                if !reader.owns(*generation) {
                    return Err(LogError::Fenced(self.part.id.clone()));
                }
                let position = reader.position();
                position.map(Some).map_err(|why| self.position_error(format!("reader {:?}: {why}", reader.name)))
            }
        }
    }

    async fn read(&mut self, from: Offset, limits: &Limits, out: &mut Records) -> Result<FlushReason, LogError> {
        out.clear();
        if from < self.part.start() {
            return Err(self.gap(from));
        }
        if from > self.part.marks.synced() {
            let end = self.part.marks.synced();
            return Err(self.position_error(format!("offset {from} lies behind the end of the log, {end}")));
        }
        let began = Instant::now();
        let mut age_ends: Option<Instant> = None;
        let mut next = from;
        loop {
            let synced = self.part.marks.synced();
            let end = limits.end.map_or(synced, |e| e.min(synced));
            if let Some(reason) = self.collect(&mut next, end, limits, out)? {
                return Ok(reason);
            }
            if limits.end.is_some_and(|e| next >= e) {
                return Ok(FlushReason::End);
            }
            if let Some(reason) = full(limits, out) {
                return Ok(reason);
            }
            let (ends, reason) = if out.is_empty() {
                (deadline(began, limits.idle), FlushReason::Idle)
            } else {
                let ends = *age_ends.get_or_insert_with(|| deadline(Instant::now(), limits.age));
                (ends, FlushReason::Age)
            };
            if ends <= Instant::now() {
                return Ok(reason);
            }
            // Of a range whose end is given, no part is of use early.
            let gathered = Range { from: if limits.end.is_none() { from } else { next }, to: next };
            if self.part.marks.is_urgent(gathered) {
                return Ok(FlushReason::Asked);
            }
            match tokio::time::timeout_at(ends, self.part.marks.wait_readable(gathered)).await {
                Ok(Ok(())) => {}
                // A failed partition has nothing more to come, but what is there stays readable.
                Ok(Err(_)) => tokio::time::sleep_until(ends).await,
                Err(_) => return Ok(reason),
            }
        }
    }

    async fn store(&mut self, position: Position) -> Result<(), LogError> {
        let Some((reader, generation)) = &self.reader else {
            return Err(self.position_error("a viewer keeps no position"));
        };
        if self.spool.is_closed() {
            return Err(LogError::Fenced(self.part.id.clone()));
        }
        reader.store(*generation, position).map_err(|e| match e {
            StoreError::Fenced => LogError::Fenced(self.part.id.clone()),
            StoreError::Unreadable(why) => self.position_error(format!("reader {:?}: {why}", reader.name)),
            StoreError::File(e) => {
                self.spool.counters.position_failures.inc();
                self.io(e)
            }
        })
    }

    fn end(&self) -> Offset {
        self.part.marks.synced()
    }
}

/// `from + by`, or a day from now where that overflows: nobody waits longer in one call.
fn deadline(from: Instant, by: Duration) -> Instant {
    from.checked_add(by).unwrap_or_else(|| from + Duration::from_secs(86_400))
}
