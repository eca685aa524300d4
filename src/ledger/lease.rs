//! Who publishes: one process at a time, for as long as it gives signs of life.
//!
//! A lease says who should publish, not that nobody else can: one who slept past its lease goes on
//! for a moment before it notices. What that may do to a compacted topic, and how it is mended,
//! stands with the publisher.

use tokio_util::sync::{CancellationToken, DropGuard};

/// The right to publish. Dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    lost: CancellationToken,
    _given_back: Option<DropGuard>,
}

/// The other end of a lease: whoever keeps it alive.
#[derive(Debug)]
pub struct Keeper {
    /// Cancelled by the keeper when the lease is lost.
    pub lost: CancellationToken,
    /// Cancelled when the holder has given the lease back.
    pub given_back: CancellationToken,
}

impl Lease {
    /// A lease that nobody else can ask for.
    #[must_use]
    pub fn forever() -> Lease {
        Lease { lost: CancellationToken::new(), _given_back: None }
    }

    /// A lease and its keeper's end.
    #[must_use]
    pub fn kept() -> (Lease, Keeper) {
        let keeper = Keeper { lost: CancellationToken::new(), given_back: CancellationToken::new() };
        let guard = keeper.given_back.clone().drop_guard();
        (Lease { lost: keeper.lost.clone(), _given_back: Some(guard) }, keeper)
    }

    /// Returns when the lease is lost.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }
}
