//! The rate limit per write key: a token bucket counted in events.
//!
//! The number of buckets is bounded, since without configured keys a stranger can make keys up:
//! a configured key has a bucket of its own, any other is hashed onto a fixed number of them.

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use penstock::settings::RateSettings;
use std::num::NonZeroU32;
use std::time::Duration;

/// Which bucket counts; made by [`Keys`](super::keys::Keys).
pub type Bucket = u32;

/// Over its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverRate {
    /// Would pass after so long.
    Wait(Duration),
    /// More events than the bucket ever holds, which is so many; the request must be split.
    TooMany(u32),
}

/// Limits events per write key; shared by all workers.
pub struct Rate {
    limiter: Option<RateLimiter<Bucket, DashMapStateStore<Bucket>, DefaultClock>>,
    clock: DefaultClock,
    burst: u32,
}

impl Rate {
    /// From the settings; `events_per_second` 0 limits nothing.
    #[must_use]
    pub fn new(settings: &RateSettings) -> Self {
        let per_second = NonZeroU32::new(settings.events_per_second);
        let burst = NonZeroU32::new(settings.burst).or(per_second);
        let quota = per_second.zip(burst).map(|(n, burst)| Quota::per_second(n).allow_burst(burst));
        let burst = burst.map_or(0, NonZeroU32::get);
        Self { limiter: quota.map(RateLimiter::dashmap), clock: DefaultClock::default(), burst }
    }

    /// Takes `events` from a bucket. Errors: [`OverRate`]; nothing is taken then.
    pub fn take(&self, bucket: Bucket, events: usize) -> Result<(), OverRate> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let Ok(n) = u32::try_from(events) else { return Err(OverRate::TooMany(self.burst)) };
        let Some(n) = NonZeroU32::new(n) else { return Ok(()) };
        match limiter.check_key_n(&bucket, n) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(OverRate::Wait(until.wait_time_from(self.clock.now()))),
            Err(_) => Err(OverRate::TooMany(self.burst)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(events_per_second: u32, burst: u32) -> Rate {
        Rate::new(&RateSettings { events_per_second, burst, ..RateSettings::default() })
    }

    #[test]
    fn a_bucket_counts_events_and_not_requests() {
        let rate = rate(1, 10);
        assert_eq!(rate.take(1, 7), Ok(()));
        assert!(matches!(rate.take(1, 4), Err(OverRate::Wait(d)) if d <= Duration::from_secs(1)));
        assert_eq!(rate.take(1, 3), Ok(()), "what was refused has taken nothing");
        assert_eq!(rate.take(2, 10), Ok(()), "another key has a bucket of its own");
        assert_eq!(rate.take(3, 11), Err(OverRate::TooMany(10)));
    }

    #[test]
    fn no_rate_limits_nothing() {
        assert_eq!(rate(0, 0).take(0, usize::MAX), Ok(()));
    }
}
