//! A cap on the rate of inserts into one table, whatever the number of log partitions.
//!
//! Every insert makes a part per month it touches, and ClickHouse must merge them all. While an
//! insert waits for its turn the log keeps the events, so the next range is larger: the cap turns
//! many small inserts into fewer large ones.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Hands out turns; clones share them.
#[derive(Clone, Debug)]
pub struct Pace {
    every: Duration,
    next: Arc<Mutex<Option<Instant>>>,
}

impl Pace {
    /// At most `per_second` turns a second (at least 1).
    #[must_use]
    pub fn new(per_second: u32) -> Pace {
        Pace { every: Duration::from_secs(1) / per_second.max(1), next: Arc::default() }
    }

    /// Waits for a turn; gives how long it took. A caller that stops waiting has used its turn.
    pub async fn turn(&self) -> Duration {
        let now = Instant::now();
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let at = next.map_or(now, |at| at.max(now));
            *next = Some(at + self.every);
            at
        };
        if at > now {
            sleep_until(at).await;
        }
        at - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_of_all_clones_together_keep_the_rate() {
        let pace = Pace::new(10);
        let began = Instant::now();
        let turns = (0..21).map(|_| {
            let pace = pace.clone();
            async move { pace.turn().await }
        });
        futures::future::join_all(turns).await;
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }
}
