//! Ids for events that come without one: UUIDv7 from the receive time and own randomness.
//!
//! Every worker has its own source, so no id costs a lock; a seeded one replays the same ids.

use crate::time::Micros;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use uuid::Builder;

/// Makes UUIDv7s (RFC 9562): 48 bits of milliseconds, 74 bits of randomness.
#[derive(Clone, Debug)]
pub struct IdSource {
    rng: Xoshiro256PlusPlus,
}

impl IdSource {
    /// A source seeded by the operating system; one a worker.
    #[must_use]
    pub fn from_os() -> IdSource {
        IdSource { rng: rand::make_rng() }
    }

    /// A source that makes the same ids for the same seed and times.
    #[must_use]
    pub fn seeded(seed: u64) -> IdSource {
        IdSource { rng: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    /// A new id; its time is `now` in whole milliseconds (0 before the epoch).
    pub fn make(&mut self, now: Micros) -> [u8; 16] {
        let millis = u64::try_from(now.0.div_euclid(1_000)).unwrap_or(0);
        let mut random = [0; 10];
        self.rng.fill_bytes(&mut random);
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::{Uuid, Variant};

    #[test]
    fn a_made_id_is_a_uuid_of_version_7_with_the_receive_time() {
        let id = Uuid::from_bytes(IdSource::seeded(1).make(Micros::from_millis(1_509_984_000_123)));
        assert_eq!((id.get_version_num(), id.get_variant()), (7, Variant::RFC4122));
        let (secs, nanos) = id.get_timestamp().map(|t| t.to_unix()).unwrap_or_default();
        assert_eq!((secs, nanos / 1_000_000), (1_509_984_000, 123));
    }

    #[test]
    fn a_seed_replays_its_ids_and_the_operating_systems_differ() {
        let now = Micros::from_secs(1);
        let (mut a, mut b) = (IdSource::seeded(7), IdSource::seeded(7));
        assert_eq!(a.make(now), b.make(now));
        assert_ne!(a.make(now), a.make(now));
        assert_ne!(IdSource::from_os().make(now), IdSource::from_os().make(now));
    }
}
