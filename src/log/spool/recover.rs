//! Opens a partition and decides what a crash has left.
//!
//! Below the *proof* everything was durable once: the noted sync watermark, and every offset that
//! a stored position or pin names (only synced records are read). Damage there is damage; it
//! stays, and readers get holes. From the proof on, a group is whole or was never promised to
//! `disk`:
//!
//! - damaged groups at the very end are a torn tail and are cut;
//! - a damaged group with a whole one behind it (the device wrote out of order) is made void: its
//!   offsets are holes for everybody, so no request is ever seen by half;
//! - whole groups are always kept, and synced before anybody may read them.
//!
//! Nothing here needs space: a spool opens on a full disk.

use super::disk::{Disk, DiskFile, Open};
use super::error::{FileError, OpenError, at};
use super::format::{
    GROUP_HEADER, GroupHeader, Identity, SEGMENT_HEADER, SegmentHeader, Stamp, VERSION, is_whole, meta,
};
use super::keys::{Answer, Keys};
use super::scan::{Found, Window, find};
use super::segment::{Segment, base_of};
use crate::log::{Offset, Range};
use crate::time::Micros;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What opening one partition found; for the log and the metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionRecovery {
    /// The partition.
    pub partition: u32,
    /// First offset that is still there.
    pub start: Offset,
    /// First offset behind the newest record.
    pub end: Offset,
    /// Offset up to which everything was durable before.
    pub proof: Offset,
    /// Bytes of torn tail that were cut: nothing of it was acknowledged with `disk`.
    pub cut_bytes: u64,
    /// Groups made void: torn, with whole groups behind them.
    pub void_groups: u64,
    /// Group headers with one damaged byte, put right from their checksum.
    pub repaired_headers: u64,
    /// Offsets that are lost between groups, as far as was scanned.
    pub missing_offsets: u64,
    /// Groups below the proof with damaged records, as far as was scanned.
    pub damaged_groups: u64,
    /// Position files with a damaged copy.
    pub damaged_positions: u64,
    /// Idempotency keys whose meta was damaged: a repeat of theirs would be taken as new.
    pub lost_keys: u64,
}

/// What the scan needs besides the files.
pub(super) struct Context<'a, D: Disk> {
    pub disk: &'a D,
    pub dir: &'a Path,
    pub identity: Identity,
    pub partition: u32,
    pub proof: Offset,
    pub keys: &'a Keys,
    pub now: Micros,
}

type Segments<F> = VecDeque<Arc<Segment<F>>>;

/// Something found from the proof on that is not whole.
struct Doubt<F> {
    segment: Arc<Segment<F>>,
    at: u64,
    header: GroupHeader,
}

/// State of the scan over all segments of a partition.
struct Scan<'a, D: Disk> {
    ctx: &'a Context<'a, D>,
    stamp: Stamp,
    window: Window,
    report: &'a mut PartitionRecovery,
    doubts: Vec<Doubt<D::File>>,
    /// The last kept group: base of its segment, place and offset behind it.
    kept: Option<(Offset, u64, Offset)>,
    /// The kept group is cut short: nothing may be appended behind it.
    short: bool,
}

/// Opens the segments among `names`, cuts and voids, and syncs what is kept. Returns them with
/// the offset at which the partition goes on.
pub(super) fn recover<D: Disk>(
    ctx: &Context<'_, D>,
    names: &[String],
    report: &mut PartitionRecovery,
) -> Result<(Segments<D::File>, Offset), OpenError> {
    let mut segments = open_segments(ctx, names)?;
    let first_scanned = first_to_scan(ctx, &segments);
    let stamp = Stamp::new(ctx.identity, ctx.partition);
    let mut scan = Scan { ctx, stamp, window: Window::default(), report, doubts: Vec::new(), kept: None, short: false };
    for i in first_scanned..segments.len() {
        let next_base = segments.get(i + 1).map(|s| s.base);
        scan.segment(&segments[i], next_base)?;
    }
    let (kept, short) = (scan.kept, scan.short);
    drop_empty_tail(ctx, &mut segments, kept, report)?;
    let end = cut_tail(ctx, &segments, kept, report)?.max(ctx.proof);
    let fits = segments.back().is_some_and(|last| {
        let there = kept.filter(|k| k.0 == last.base).map_or(last.base, |k| k.2);
        there == end && !short
    });
    if !fits {
        // A lost stretch is never closed by writing behind it: the next segment begins at `end`.
        let segment = Segment::create(ctx.disk, ctx.dir, ctx.identity.id, ctx.partition, end, ctx.now)?;
        segments.push_back(Arc::new(segment));
    }
    for segment in segments.iter().skip(first_scanned.min(segments.len() - 1)) {
        make_durable(ctx, segment)?;
    }
    for segment in segments.iter().rev().skip(1) {
        segment.let_go();
    }
    ctx.disk.sync_dir(ctx.dir).map_err(at("sync", ctx.dir))?;
    report.start = segments.front().map_or(end, |s| s.base);
    report.end = end;
    Ok((segments, end))
}

fn open_segments<D: Disk>(ctx: &Context<'_, D>, names: &[String]) -> Result<Segments<D::File>, OpenError> {
    let mut bases: Vec<Offset> = names.iter().filter_map(|n| base_of(n)).collect();
    bases.sort_unstable();
    let mut segments = Segments::new();
    for base in bases {
        let path = ctx.dir.join(super::segment::name(base));
        let file = ctx.disk.open(&path, Open::Read).map_err(at("open", &path))?;
        let mut bytes = [0; SEGMENT_HEADER];
        let n = file.read_at(&mut bytes, 0).map_err(at("read", &path))?;
        let header = SegmentHeader::parse(&bytes[..n]);
        if let Some(h) = &header {
            if h.version > VERSION {
                return Err(OpenError::Newer { path, found: h.version, known: VERSION });
            }
            if h.id != ctx.identity.id || h.partition != ctx.partition || h.base != base {
                return Err(OpenError::Foreign { path });
            }
        }
        // A damaged header loses nothing: name and groups say the same once more.
        let created = header.map_or(ctx.now, |h| h.created);
        let len = file.len().map_err(at("read", &path))?;
        if let Some(before) = segments.back() {
            // Until it is scanned: its newest group is no newer than this segment.
            let before: &Arc<Segment<D::File>> = before;
            before.set_newest(created);
        }
        segments.push_back(Arc::new(Segment::found(ctx.dir, base, created, len)));
    }
    Ok(segments)
}

/// Index of the first segment that must be looked into: the one that holds the proof, and those
/// whose idempotency keys may still be valid. A segment's groups are older than the next segment.
fn first_to_scan<D: Disk>(ctx: &Context<'_, D>, segments: &Segments<D::File>) -> usize {
    let holds_proof = segments.partition_point(|s| s.base <= ctx.proof).saturating_sub(1);
    let horizon = ctx.now.minus(ctx.keys.window());
    let recent = (1..segments.len()).find(|&i| segments[i].created >= horizon).map_or(segments.len(), |i| i - 1);
    holds_proof.min(recent)
}

impl<D: Disk> Scan<'_, D> {
    fn segment(&mut self, segment: &Arc<Segment<D::File>>, next_base: Option<Offset>) -> Result<(), OpenError> {
        let path = &segment.path;
        let file = segment.file(self.ctx.disk)?;
        let limit = segment.written();
        self.window.reset();
        let (mut place, mut expected) = (SEGMENT_HEADER as u64, segment.base);
        loop {
            let found = find(&mut self.window, &*file, self.stamp, place, expected, limit).map_err(at("read", path))?;
            let Found::Group { at: begin, header, repaired } = found else { break };
            // Offsets that the next segment has taken cannot lie here too.
            if next_base.is_some_and(|n| header.first >= n) {
                break;
            }
            self.report.missing_offsets += header.first - expected;
            self.report.repaired_headers += u64::from(repaired);
            let body = begin + GROUP_HEADER as u64;
            let body = self.window.get(&*file, body, header.body as usize, limit).map_err(at("read", path))?;
            let whole = is_whole(&header, body);
            let proven = header.first < self.ctx.proof;
            if whole || proven {
                let end_place = (begin + header.len()).min(limit);
                self.short = body.len() < header.body as usize;
                self.kept = Some((segment.base, end_place, header.end()));
                let key = self.key(&header, begin, &file, limit).map_err(at("read", path))?;
                segment.note(header.first, begin, header.appended, key);
                self.report.damaged_groups += u64::from(!whole);
                self.void_doubts()?;
            } else {
                self.doubts.push(Doubt { segment: segment.clone(), at: begin, header });
            }
            (place, expected) = (begin + header.len(), header.end());
        }
        if let Some(next) = next_base {
            self.report.missing_offsets += next.saturating_sub(expected);
        }
        Ok(())
    }

    /// Remembers the group's idempotency key; returns it while it is valid.
    fn key(
        &mut self,
        header: &GroupHeader,
        begin: u64,
        file: &D::File,
        limit: u64,
    ) -> std::io::Result<Option<[u8; 16]>> {
        if header.meta == 0 || header.void || self.ctx.keys.expired(header.appended, self.ctx.now) {
            return Ok(None);
        }
        let body = self.window.get(file, begin + GROUP_HEADER as u64, header.body as usize, limit)?;
        let Ok(Some(m)) = meta(header, body) else {
            self.report.lost_keys += 1;
            return Ok(None);
        };
        let range = Range { from: header.first, to: header.end() };
        let answer = Answer { bytes: Arc::from(m.answer), partition: self.ctx.partition, range };
        self.ctx.keys.done(&m.key, &m.body_hash, answer, header.appended);
        Ok(Some(m.key))
    }

    /// Something whole lies behind the doubtful groups: they stay, as holes.
    fn void_doubts(&mut self) -> Result<(), FileError> {
        for doubt in self.doubts.drain(..) {
            let header = GroupHeader { void: true, ..doubt.header };
            let file = doubt.segment.hold(self.ctx.disk)?;
            file.write_at(&self.stamp.encode(&header), doubt.at).map_err(at("write", &doubt.segment.path))?;
            self.report.void_groups += 1;
        }
        Ok(())
    }
}

/// Syncs what the page cache holds of a segment and the device may not.
///
/// What is not proven is written once more before: after a failed sync the kernel has marked its
/// pages clean, and a sync of clean pages promises nothing. Unproven is what was written within
/// the last sync interval, so this is little, and it needs no new blocks.
fn make_durable<D: Disk>(ctx: &Context<'_, D>, segment: &Segment<D::File>) -> Result<(), FileError> {
    let file = segment.hold(ctx.disk)?;
    let len = segment.written();
    // The index may point up to 16 KiB before the proof; more is rewritten than must be.
    let mut place = if segment.base >= ctx.proof { 0 } else { segment.seek(ctx.proof).1 };
    let mut chunk = vec![0; 64 << 10];
    while place < len {
        let want = chunk.len().min(usize::try_from(len - place).unwrap_or(usize::MAX));
        let n = file.read_at(&mut chunk[..want], place).map_err(at("read", &segment.path))?;
        if n == 0 {
            break;
        }
        file.write_at(&chunk[..n], place).map_err(at("write", &segment.path))?;
        place += n as u64;
    }
    file.sync_data().map_err(at("sync", &segment.path))?;
    segment.synced_len.store(len, Ordering::Release);
    Ok(())
}

/// Removes segments at the end that hold nothing kept and begin behind the proof: they were made
/// right before a power cut. The last segment left may be empty.
fn drop_empty_tail<D: Disk>(
    ctx: &Context<'_, D>,
    segments: &mut Segments<D::File>,
    kept: Option<(Offset, u64, Offset)>,
    report: &mut PartitionRecovery,
) -> Result<(), FileError> {
    while segments.len() > 1 {
        let Some(last) = segments.back() else { break };
        let holds = kept.is_some_and(|(base, ..)| base >= last.base);
        if holds || last.base <= ctx.proof {
            break;
        }
        report.cut_bytes += last.written().saturating_sub(SEGMENT_HEADER as u64);
        ctx.disk.remove(&last.path).map_err(at("remove", &last.path))?;
        ctx.disk.sync_dir(ctx.dir).map_err(at("sync", ctx.dir))?;
        segments.pop_back();
    }
    Ok(())
}

/// Cuts the last segment behind what is kept; returns the offset it ends with.
fn cut_tail<D: Disk>(
    ctx: &Context<'_, D>,
    segments: &Segments<D::File>,
    kept: Option<(Offset, u64, Offset)>,
    report: &mut PartitionRecovery,
) -> Result<Offset, FileError> {
    let Some(last) = segments.back() else { return Ok(0) };
    let (place, end) = match kept.filter(|k| k.0 == last.base) {
        Some((_, place, end)) => (place, end),
        None => (SEGMENT_HEADER as u64, last.base),
    };
    let len = last.written();
    if len > place && end >= ctx.proof {
        report.cut_bytes += len - place;
        last.hold(ctx.disk)?.set_len(place).map_err(at("cut", &last.path))?;
        last.written_len.store(place, Ordering::Release);
    }
    if place == SEGMENT_HEADER as u64 && len < place {
        // The segment was made right before a power cut: its header is written again.
        let (id, partition) = (ctx.identity.id, ctx.partition);
        let header = SegmentHeader { version: VERSION, partition, id, base: last.base, created: ctx.now };
        if let Err(e) = last.hold(ctx.disk)?.write_at(&header.encode(), 0) {
            // Opening needs no space, and a segment does without its header (see open_segments).
            if !super::writer::is_full(&e) {
                return Err(at("write", &last.path)(e));
            }
        }
        last.written_len.store(place, Ordering::Release);
    }
    Ok(end)
}
