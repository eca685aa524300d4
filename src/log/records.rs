//! A batch of records read from a log: one allocation for all bodies, reused from range to range.

use super::{Offset, Range};
use crate::time::Micros;

/// A record whose checksum failed. Its offset stays taken; its content is lost and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record's checksum does not match")]
pub struct Corrupt;

/// One record, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: Offset,
    /// When it was appended, by the sidecar's clock.
    pub appended: Micros,
    /// The framed Avro bytes (see [`crate::codec::frame`]).
    pub body: Result<&'a [u8], Corrupt>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: Offset,
    appended: Micros,
    start: usize,
    len: u32,
    corrupt: bool,
}

/// Records of one partition in offset order, without gaps: a lost record is a hole.
#[derive(Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Records {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Appends one record (copies `body`).
    pub fn push(&mut self, offset: Offset, appended: Micros, body: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(body);
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        self.entries.push(Entry { offset, appended, start, len, corrupt: false });
    }

    /// Appends one record that comes in two parts (copies both).
    pub fn push_parts(&mut self, offset: Offset, appended: Micros, head: &[u8], rest: &[u8]) {
        self.push(offset, appended, head);
        self.bytes.extend_from_slice(rest);
        if let Some(entry) = self.entries.last_mut() {
            entry.len = u32::try_from(head.len() + rest.len()).unwrap_or(u32::MAX);
        }
    }

    /// Appends the hole that a corrupt record leaves.
    pub fn push_corrupt(&mut self, offset: Offset, appended: Micros) {
        self.entries.push(Entry { offset, appended, start: self.bytes.len(), len: 0, corrupt: true });
    }

    /// Number of records, holes included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sum of the bodies' lengths in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The offsets covered, `None` when empty.
    #[must_use]
    pub fn range(&self) -> Option<Range> {
        let (first, last) = (self.entries.first()?, self.entries.last()?);
        Some(Range { from: first.offset, to: last.offset + 1 })
    }

    /// The record at `index` (not its offset).
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Record<'_>> {
        self.entries.get(index).map(|e| self.record(e))
    }

    /// All records in offset order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.entries.iter().map(|e| self.record(e))
    }

    fn record(&self, e: &Entry) -> Record<'_> {
        let body = if e.corrupt { Err(Corrupt) } else { Ok(&self.bytes[e.start..e.start + e.len as usize]) };
        Record { offset: e.offset, appended: e.appended, body }
    }
}
