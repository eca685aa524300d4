//! The offsets of a file's records, as it keeps them in its metadata.
//!
//! A file has those records of a range that are of one type, hour and schema, so its offsets have
//! gaps. They are kept as pairs of Avro longs: how many offsets are skipped, how many follow each
//! other. Where a topic has one type, that is a few bytes; in a mixed log it packs well. The file has
//! them packed as its blocks are, and in base64: there are readers that take metadata for text.

use penstock::codec::wire::{Cursor, put_long};
use penstock::log::{Offset, Range};

/// Offsets that are being noted.
pub(super) struct Offsets {
    encoded: Vec<u8>,
    /// First offset behind the last finished run.
    behind: Offset,
    /// The run in hand.
    run: Range,
}

impl Offsets {
    /// None yet, of a range that begins at `from`.
    pub(super) fn from(from: Offset) -> Offsets {
        Offsets { encoded: Vec::new(), behind: from, run: Range { from, to: from } }
    }

    /// Notes an offset above those before it.
    pub(super) fn push(&mut self, offset: Offset) {
        if offset == self.run.to {
            self.run.to += 1;
        } else {
            self.close();
            self.run = Range { from: offset, to: offset + 1 };
        }
    }

    fn close(&mut self) {
        if !self.run.is_empty() {
            for n in [self.run.from - self.behind, self.run.len()] {
                put_long(&mut self.encoded, i64::try_from(n).unwrap_or(i64::MAX));
            }
            self.behind = self.run.to;
        }
    }

    /// The pairs.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.close();
        self.encoded
    }
}

/// Reads the pairs of a file of `range` back as runs; `None` when they are none, leave the range or
/// are not `records` together.
#[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "what compacts and verifies is of the cluster"))]
pub(super) fn runs(encoded: &[u8], range: Range, records: u64) -> Option<Vec<Range>> {
    let mut cursor = Cursor::new(encoded);
    let (mut at, mut total, mut runs) = (range.from, 0u64, Vec::new());
    while !cursor.rest().is_empty() {
        let skipped = u64::try_from(cursor.long().ok()?).ok()?;
        let length = u64::try_from(cursor.long().ok()?).ok().filter(|n| *n > 0)?;
        let from = at.checked_add(skipped)?;
        let run = Range { from, to: from.checked_add(length).filter(|to| *to <= range.to)? };
        (at, total) = (run.to, total + length);
        runs.push(run);
    }
    (total == records).then_some(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn offsets_come_back_as_they_went_in(from in 0..1000u64, taken in proptest::collection::vec(any::<bool>(), 1..200)) {
            let range = Range { from, to: from + taken.len() as u64 };
            let given: Vec<u64> = (from..).zip(&taken).filter(|(_, t)| **t).map(|(o, _)| o).collect();
            let mut offsets = Offsets::from(from);
            given.iter().for_each(|o| offsets.push(*o));
            let encoded = offsets.finish();
            let back = runs(&encoded, range, given.len() as u64).unwrap();
            prop_assert_eq!(back.iter().flat_map(|r| r.from..r.to).collect::<Vec<_>>(), given.clone());
            prop_assert!(runs(&encoded, range, given.len() as u64 + 1).is_none());
        }

        #[test]
        fn garbage_is_none_or_within_the_range(bytes in proptest::collection::vec(any::<u8>(), 0..40), records in 0..50u64) {
            let range = Range { from: 5, to: 50 };
            if let Some(runs) = runs(&bytes, range, records) {
                prop_assert!(runs.iter().all(|r| r.from >= 5 && r.to <= 50));
                prop_assert_eq!(runs.iter().map(|r| r.len()).sum::<u64>(), records);
            }
        }
    }
}
