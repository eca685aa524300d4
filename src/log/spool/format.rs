//! What lies in a segment file, byte for byte. All integers are little-endian; see README.md.
//!
//! The one thing to know: every length is guarded by a checksum that was read before it is
//! trusted, and every checksum of a group header starts from the spool's secret salt, so bytes
//! that a client put into a record never pass for a header when a reader resynchronises.

use super::checksum;
use crate::log::Offset;
use crate::time::Micros;

/// Version of the files this binary writes. Readers take this one and every earlier one.
pub const VERSION: u16 = 1;
/// Bytes before the first group of a segment.
pub(super) const SEGMENT_HEADER: usize = 64;
/// Bytes of a group's header.
pub(super) const GROUP_HEADER: usize = 48;
/// Bytes before a record's body: length and checksum.
pub(super) const RECORD_HEADER: usize = 8;
/// Key hash and body hash at the start of a group's meta.
pub(super) const META_HASHES: usize = 32;

const SEGMENT_MAGIC: &[u8; 8] = b"PNSTKSEG";
/// 0xF6 and 0xFF never occur in UTF-8, so no text can hold it.
pub(super) const GROUP_MAGIC: [u8; 4] = [0xF6, b'P', b'G', 0xFF];
/// The group was torn and never promised to anybody: its offsets are holes.
const VOID: u32 = 1;

/// Who a spool is: random, made once, written into `spool.id` and every segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Part of the log's name.
    pub id: u64,
    /// Start of header checksums; never shown.
    pub salt: u64,
}

pub(super) fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(b, at))
}
pub(super) fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(b, at))
}
pub(super) fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(b, at))
}
pub(super) fn i64_at(b: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(array(b, at))
}
/// `N` bytes at `at`; callers have checked the length, zeros stand in for what is missing.
pub(super) fn array<const N: usize>(b: &[u8], at: usize) -> [u8; N] {
    b.get(at..at + N).and_then(|s| s.try_into().ok()).unwrap_or([0; N])
}

/// The first bytes of a segment. The layout of these 64 bytes stays the same in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub version: u16,
    pub partition: u32,
    pub id: u64,
    pub base: Offset,
    pub created: Micros,
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut b = [0; SEGMENT_HEADER];
        b[0..8].copy_from_slice(SEGMENT_MAGIC);
        b[8..10].copy_from_slice(&self.version.to_le_bytes());
        b[12..16].copy_from_slice(&self.partition.to_le_bytes());
        b[16..24].copy_from_slice(&self.id.to_le_bytes());
        b[24..32].copy_from_slice(&self.base.to_le_bytes());
        b[32..40].copy_from_slice(&self.created.0.to_le_bytes());
        let crc = crc32c::crc32c(&b[..60]);
        b[60..64].copy_from_slice(&crc.to_le_bytes());
        b
    }

    /// `None` when damaged or cut short. The file's name and the groups tell all of it once more.
    pub fn parse(b: &[u8]) -> Option<SegmentHeader> {
        if b.len() < SEGMENT_HEADER || &b[..8] != SEGMENT_MAGIC || crc32c::crc32c(&b[..60]) != u32_at(b, 60) {
            return None;
        }
        Some(SegmentHeader {
            version: u16_at(b, 8),
            partition: u32_at(b, 12),
            id: u64_at(b, 16),
            base: u64_at(b, 24),
            created: Micros(i64_at(b, 32)),
        })
    }
}

/// The header of a group: one request, there whole or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupHeader {
    /// Bytes behind the header: meta and records.
    pub body: u32,
    /// Bytes of meta at the start of the body; 0 without an idempotency key.
    pub meta: u32,
    pub meta_crc: u32,
    /// Number of records; at least 1.
    pub count: u32,
    /// Offset of the first record.
    pub first: Offset,
    pub appended: Micros,
    /// Its offsets are holes.
    pub void: bool,
}

impl GroupHeader {
    /// First offset behind the group.
    pub fn end(&self) -> Offset {
        self.first + u64::from(self.count)
    }

    /// Bytes from the header to the next group.
    pub fn len(&self) -> u64 {
        GROUP_HEADER as u64 + u64::from(self.body)
    }

    fn plausible(&self) -> bool {
        let records = u64::from(self.body).checked_sub(u64::from(self.meta));
        self.count > 0
            && (self.meta == 0 || self.meta as usize >= META_HASHES)
            && records.is_some_and(|r| r >= u64::from(self.count) * RECORD_HEADER as u64)
            && self.first.checked_add(u64::from(self.count)).is_some()
    }
}

/// Seals and checks the group headers of one partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp(u32);

impl Stamp {
    pub fn new(identity: Identity, partition: u32) -> Self {
        let crc = crc32c::crc32c(&identity.id.to_le_bytes());
        let crc = crc32c::crc32c_append(crc, &identity.salt.to_le_bytes());
        Stamp(crc32c::crc32c_append(crc, &partition.to_le_bytes()))
    }

    fn crc(self, b: &[u8; GROUP_HEADER]) -> u32 {
        crc32c::crc32c_append(self.0, &b[8..])
    }

    pub fn encode(self, g: &GroupHeader) -> [u8; GROUP_HEADER] {
        let mut b = [0; GROUP_HEADER];
        b[0..4].copy_from_slice(&GROUP_MAGIC);
        b[8..12].copy_from_slice(&g.body.to_le_bytes());
        b[12..16].copy_from_slice(&g.meta.to_le_bytes());
        b[16..20].copy_from_slice(&g.meta_crc.to_le_bytes());
        b[20..24].copy_from_slice(&g.count.to_le_bytes());
        b[24..32].copy_from_slice(&g.first.to_le_bytes());
        b[32..40].copy_from_slice(&g.appended.0.to_le_bytes());
        b[40..44].copy_from_slice(&if g.void { VOID } else { 0 }.to_le_bytes());
        let crc = self.crc(&b);
        b[4..8].copy_from_slice(&crc.to_le_bytes());
        b
    }

    pub fn parse(self, b: &[u8; GROUP_HEADER]) -> Option<GroupHeader> {
        if b[..4] != GROUP_MAGIC || self.crc(b) != u32_at(b, 4) {
            return None;
        }
        let g = GroupHeader {
            body: u32_at(b, 8),
            meta: u32_at(b, 12),
            meta_crc: u32_at(b, 16),
            count: u32_at(b, 20),
            first: u64_at(b, 24),
            appended: Micros(i64_at(b, 32)),
            void: u32_at(b, 40) & VOID != 0,
        };
        g.plausible().then_some(g)
    }

    /// Finds the header that `b` was before one byte of it was damaged, if it begins at `first`.
    ///
    /// 12 240 tries against a 32-bit checksum, a known 64-bit offset and (by the caller) the
    /// checksums of the whole body: nothing wrong gets through all three.
    pub fn repair(self, b: &[u8; GROUP_HEADER], first: Offset) -> Option<GroupHeader> {
        let mut tried = *b;
        for at in 0..GROUP_HEADER {
            for x in 1..=u8::MAX {
                tried[at] = b[at] ^ x;
                if let Some(g) = self.parse(&tried).filter(|g| g.first == first) {
                    return Some(g);
                }
            }
            tried[at] = b[at];
        }
        None
    }
}

/// Seals a record's frame in place: `frame` is 8 free bytes and the body.
pub(super) fn seal_record(frame: &mut [u8], len: u32) {
    let len = len.to_le_bytes();
    let crc = checksum::record(len, &frame[RECORD_HEADER..]);
    frame[..4].copy_from_slice(&len);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// Walks the records of one group. `Copy`, so that a reader can stop before a record and go on
/// from there later.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    at: usize,
    left: u32,
    /// The chain of lengths is broken for good: what is left are holes.
    lost: bool,
}

impl Walk {
    /// Over a group whose records start at `meta` in its body.
    pub fn new(g: &GroupHeader) -> Self {
        Walk { at: g.meta as usize, left: g.count, lost: g.void }
    }

    /// Index of the next record.
    pub fn index(&self, g: &GroupHeader) -> u32 {
        g.count - self.left
    }

    /// The next record's body, `Some(None)` for a damaged one, `None` at the end. `body` is
    /// what there is of the group's body; `g` says how long it should be.
    pub fn next<'a>(&mut self, g: &GroupHeader, body: &'a [u8]) -> Option<Option<&'a [u8]>> {
        self.left = self.left.checked_sub(1)?;
        if self.lost {
            return Some(None);
        }
        let whole = frame(body, self.at);
        if let Some(record) = whole {
            self.at += RECORD_HEADER + record.len();
            return Some(Some(record));
        }
        // Damaged in its body or its length. Most likely its body: then the lengths behind it
        // still lead exactly to the group's end. Else one byte of its length is wrong: the only
        // right one leads there too, and to a next record whose checksum holds.
        match body.get(self.at..self.at + 4).map(|b| array::<4>(b, 0)).and_then(|len| self.find(g, body, len)) {
            Some(at) => self.at = at,
            None => self.lost = true,
        }
        Some(None)
    }

    /// Whether all records are there and the last one ends where the group does.
    pub fn whole(mut self, g: &GroupHeader, body: &[u8]) -> bool {
        while let Some(record) = self.next(g, body) {
            if record.is_none() {
                return false;
            }
        }
        self.at == g.body as usize
    }

    fn find(&self, g: &GroupHeader, body: &[u8], len: [u8; 4]) -> Option<usize> {
        let reaches_end = |at: usize| {
            let mut at = at;
            for _ in 0..self.left {
                let len = body.get(at..at + 4).map(|b| u32_at(b, 0) as usize)?;
                at = at.checked_add(RECORD_HEADER + len).filter(|&at| at <= g.body as usize)?;
            }
            Some(at == g.body as usize)
        };
        let try_len = |len: [u8; 4]| {
            let at = self.at.checked_add(RECORD_HEADER + u32::from_le_bytes(len) as usize)?;
            let next_holds = self.left == 0 || frame(body, at).is_some();
            (reaches_end(at) == Some(true)).then_some((at, next_holds))
        };
        // Two damaged records side by side: the lengths alone must do.
        let as_is = try_len(len);
        if let Some((at, true)) = as_is {
            return Some(at);
        }
        for i in 0..4 {
            for x in 1..=u8::MAX {
                let mut tried = len;
                tried[i] ^= x;
                if let Some((at, true)) = try_len(tried) {
                    return Some(at);
                }
            }
        }
        as_is.map(|(at, _)| at)
    }
}

/// The record framed at `at`, when its checksum holds.
fn frame(body: &[u8], at: usize) -> Option<&[u8]> {
    let head = body.get(at..at.checked_add(RECORD_HEADER)?)?;
    let from = at + RECORD_HEADER;
    let record = body.get(from..from.checked_add(u32_at(head, 0) as usize)?)?;
    (checksum::record(array(head, 0), record) == u32_at(head, 4)).then_some(record)
}

/// What a group keeps of its request: hashes and the answer, borrowed from the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta<'a> {
    pub key: [u8; 16],
    pub body_hash: [u8; 16],
    pub answer: &'a [u8],
}

/// The meta of a group: `Ok(None)` when it has none, `Err` when it is damaged.
pub(super) fn meta<'a>(g: &GroupHeader, body: &'a [u8]) -> Result<Option<Meta<'a>>, crate::log::Corrupt> {
    if g.meta == 0 || g.void {
        return Ok(None);
    }
    let bytes = body.get(..g.meta as usize).filter(|b| crc32c::crc32c(b) == g.meta_crc);
    let bytes = bytes.ok_or(crate::log::Corrupt)?;
    Ok(Some(Meta { key: array(bytes, 0), body_hash: array(bytes, 16), answer: &bytes[META_HASHES..] }))
}

/// Whether a group is there to the last bit.
pub(super) fn is_whole(g: &GroupHeader, body: &[u8]) -> bool {
    body.len() == g.body as usize && (g.void || (meta(g, body).is_ok() && Walk::new(g).whole(g, body)))
}
