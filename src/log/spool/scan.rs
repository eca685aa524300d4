//! Finds the groups of a segment one after the other, also behind damage.
//!
//! Recovery and readers use the same function, so they agree on what is there.

use super::disk::DiskFile;
use super::format::{GROUP_HEADER, GROUP_MAGIC, GroupHeader, RECORD_HEADER, Stamp, array, is_whole};
use crate::log::Offset;
use std::io;

/// How much is read ahead at least.
const CHUNK: usize = 256 << 10;
/// A buffer that one large group made larger than this is given back.
const KEEP: usize = 4 << 20;

/// A reused buffer over a stretch of a file.
#[derive(Debug, Default)]
pub(super) struct Window {
    buf: Vec<u8>,
    start: u64,
}

impl Window {
    /// Forgets what is buffered (another file comes).
    pub fn reset(&mut self) {
        self.buf.clear();
        self.start = 0;
    }

    /// `len` bytes at `at`, fewer when `limit` (or the file) ends before.
    pub fn get<F: DiskFile>(&mut self, file: &F, at: u64, len: usize, limit: u64) -> io::Result<&[u8]> {
        let len = len.min(usize::try_from(limit.saturating_sub(at)).unwrap_or(usize::MAX));
        let inside = at >= self.start && at + len as u64 <= self.start + self.buf.len() as u64;
        if !inside {
            let left = usize::try_from(limit.saturating_sub(at)).unwrap_or(usize::MAX);
            let want = len.max(CHUNK).min(left);
            if self.buf.capacity() > KEEP && want <= KEEP {
                self.buf = Vec::new();
            }
            self.buf.clear();
            self.buf.resize(want, 0);
            self.start = at;
            match file.read_at(&mut self.buf, at) {
                Ok(n) => self.buf.truncate(n),
                Err(e) => {
                    self.buf.clear();
                    return Err(e);
                }
            }
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX).min(self.buf.len());
        let to = (from + len).min(self.buf.len());
        Ok(&self.buf[from..to])
    }
}

/// What lies at a place of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A group whose header lies at `at`.
    Group {
        at: u64,
        header: GroupHeader,
        /// The header had a damaged byte that was put right.
        repaired: bool,
    },
    /// From here to the limit there is no group.
    End,
}

/// Finds the first group at or behind `at`; a group at `at` begins with offset `expected`.
///
/// A group that the limit cuts is found too when it begins exactly at `at`. Behind damage, the
/// next valid header counts whose offset can lie that far on.
pub(super) fn find<F: DiskFile>(
    window: &mut Window,
    file: &F,
    stamp: Stamp,
    at: u64,
    expected: Offset,
    limit: u64,
) -> io::Result<Found> {
    let bytes = window.get(file, at, GROUP_HEADER, limit)?;
    if bytes.len() == GROUP_HEADER {
        let bytes: [u8; GROUP_HEADER] = array(bytes, 0);
        if let Some(header) = stamp.parse(&bytes).filter(|g| g.first == expected) {
            return Ok(Found::Group { at, header, repaired: false });
        }
        if let Some(header) = stamp.repair(&bytes, expected).filter(|g| at + g.len() <= limit) {
            let body = window.get(file, at + GROUP_HEADER as u64, header.body as usize, limit)?;
            if is_whole(&header, body) {
                return Ok(Found::Group { at, header, repaired: true });
            }
        }
    }
    resync(window, file, stamp, at, expected, limit)
}

fn resync<F: DiskFile>(
    window: &mut Window,
    file: &F,
    stamp: Stamp,
    at: u64,
    expected: Offset,
    limit: u64,
) -> io::Result<Found> {
    let finder = memchr::memmem::Finder::new(&GROUP_MAGIC);
    let mut from = at + 1;
    while from + GROUP_HEADER as u64 <= limit {
        let bytes = window.get(file, from, CHUNK, limit)?;
        if bytes.len() < GROUP_HEADER {
            break;
        }
        let Some(hit) = finder.find(bytes) else {
            from += (bytes.len() - (GROUP_MAGIC.len() - 1)) as u64;
            continue;
        };
        let candidate = from + hit as u64;
        let head = window.get(file, candidate, GROUP_HEADER, limit)?;
        if head.len() == GROUP_HEADER
            && let Some(header) = stamp.parse(&array(head, 0))
        {
            // Every record takes at least its frame, so damage of n bytes hides at most n / 8.
            let most = expected.saturating_add((candidate - at) / RECORD_HEADER as u64);
            if (expected..=most).contains(&header.first) && candidate + header.len() <= limit {
                return Ok(Found::Group { at: candidate, header, repaired: false });
            }
        }
        from = candidate + 1;
    }
    Ok(Found::End)
}
