//! Back-off between attempts: exponential, with jitter from the pipeline's own random source, so
//! that a seed replays the same waits.

use crate::settings::RetrySettings;
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use std::time::Duration;

/// Makes the waits of one retry after another.
#[derive(Debug)]
pub struct Backoff {
    settings: RetrySettings,
    random: SmallRng,
    waits: Option<ExponentialBackoff>,
}

impl Backoff {
    /// A back-off whose jitter comes from `seed`.
    #[must_use]
    pub fn new(settings: RetrySettings, seed: u64) -> Self {
        Backoff { settings, random: SmallRng::seed_from_u64(seed), waits: None }
    }

    /// The wait before the next attempt: doubles from `first`, never above `longest`. Jitter adds
    /// up to as much again, so that sinks which failed together do not come back together.
    pub fn next_wait(&mut self) -> Duration {
        let (settings, random) = (&self.settings, &mut self.random);
        let waits = self.waits.get_or_insert_with(|| {
            ExponentialBuilder::new()
                .with_min_delay(settings.first)
                .with_max_delay(settings.longest / 2)
                .without_max_times()
                .with_jitter()
                .with_jitter_seed(random.next_u64())
                .build()
        });
        waits.next().unwrap_or(settings.longest).min(settings.longest)
    }

    /// An attempt succeeded: the next failure begins with the first wait again.
    pub fn reset(&mut self) {
        self.waits = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(seed: u64) -> Vec<Duration> {
        let settings = RetrySettings { first: Duration::from_millis(100), longest: Duration::from_secs(10) };
        let mut backoff = Backoff::new(settings, seed);
        (0..20).map(|_| backoff.next_wait()).collect()
    }

    #[test]
    fn waits_grow_to_the_longest_and_never_past_it() {
        let waits = waits(7);
        assert!(waits[0] >= Duration::from_millis(100) && waits[0] < Duration::from_millis(200));
        assert!(waits.iter().all(|w| *w <= Duration::from_secs(10)));
        assert!(waits[19] >= Duration::from_secs(5));
    }

    #[test]
    fn the_seed_decides_the_jitter() {
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
