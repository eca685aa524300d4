//! Keys of records in the event topics: which spool wrote the record, and as its how-manieth.
//!
//! A partition of a spool is a spool of its own to Kafka: its id is the spool's, plus its number.
//! So within one key space sequences are the partition's offsets, they come in ascending order
//! into each Kafka partition, and whoever sees a (spool, sequence) again has met a repeat.

use crate::log::Offset;

/// Length of a record's key in bytes.
pub const RECORD_LEN: usize = 16;
/// Length of a barrier's key in bytes; the length is what tells one from the other.
pub const BARRIER_LEN: usize = 24;

/// A key taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// An event.
    Record {
        /// The spool's partition, see [`spool_id`].
        spool: u64,
        /// Its offset there.
        sequence: Offset,
    },
    /// A barrier: everything that its spool had sent to the partition before stands before it.
    Barrier {
        /// The spool's partition.
        spool: u64,
        /// Which barrier.
        nonce: u64,
    },
}

/// The id under which a partition of a spool writes to Kafka; `None` when the log is no spool
/// (its name is not `spool-` and 16 hex digits).
#[must_use]
pub fn spool_id(log: &crate::log::LogId) -> Option<u64> {
    let hex = log.name.strip_prefix("spool-")?;
    let id = if hex.len() == 16 { u64::from_str_radix(hex, 16).ok()? } else { return None };
    Some(id.wrapping_add(u64::from(log.partition)))
}

/// The key of a record.
#[must_use]
pub fn record(spool: u64, sequence: Offset) -> [u8; RECORD_LEN] {
    let mut key = [0; RECORD_LEN];
    key[..8].copy_from_slice(&spool.to_be_bytes());
    key[8..].copy_from_slice(&sequence.to_be_bytes());
    key
}

/// The key of a barrier.
#[must_use]
pub fn barrier(spool: u64, nonce: u64) -> [u8; BARRIER_LEN] {
    let mut key = [0xFF; BARRIER_LEN];
    key[..8].copy_from_slice(&spool.to_be_bytes());
    key[16..].copy_from_slice(&nonce.to_be_bytes());
    key
}

impl Key {
    /// Takes a key apart; `None` when it is none of ours.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Key> {
        let (spool, rest) = bytes.split_first_chunk::<8>()?;
        let spool = u64::from_be_bytes(*spool);
        let (second, rest) = rest.split_first_chunk::<8>()?;
        if rest.is_empty() {
            return Some(Key::Record { spool, sequence: u64::from_be_bytes(*second) });
        }
        let nonce = <[u8; 8]>::try_from(rest).ok().filter(|_| *second == [0xFF; 8])?;
        Some(Key::Barrier { spool, nonce: u64::from_be_bytes(nonce) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogId;

    #[test]
    fn keys_are_told_apart_and_come_back() {
        assert_eq!(Key::parse(&record(7, 9)), Some(Key::Record { spool: 7, sequence: 9 }));
        assert_eq!(Key::parse(&barrier(7, 9)), Some(Key::Barrier { spool: 7, nonce: 9 }));
        assert_eq!(record(1, 2), [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        for foreign in [&b""[..], b"1234567", b"123456789", &[0; 24], &[0xFF; 25]] {
            assert_eq!(Key::parse(foreign), None, "{foreign:?}");
        }
    }

    #[test]
    fn partitions_of_a_spool_are_spools_of_their_own() {
        let id = |name: &str, partition| spool_id(&LogId { name: name.into(), partition });
        assert_eq!(id("spool-00000000000000ff", 0), Some(0xFF));
        assert_eq!(id("spool-00000000000000ff", 3), Some(0x102));
        assert_eq!(id("spool-ffffffffffffffff", 1), Some(0));
        assert_eq!(id("ads.click", 0), None);
    }
}
