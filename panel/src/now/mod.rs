//! The last five minutes of intake, second by second.
//!
//! One task a process takes a sample a second of what the sidecars have counted and of how full the
//! spools are; everything live (`/api/v1/now`, the subscription `throughput`) is told from its ring,
//! so that a thousand viewers cost what one does.

pub mod exposition;

use crate::live::Standing;
use exposition::{Buckets, Counters};
use penstock::telemetry::SharedRegistry;
use penstock::time::{Clock, Micros};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Seconds that are kept.
pub const KEPT: usize = 300;
/// Seconds that latencies and rates are taken over.
const RECENT: usize = 10;
/// Seconds that the spool's growth is taken over.
const GROWTH: usize = 60;

/// One second.
#[derive(Clone, Debug)]
struct Sample {
    at: Micros,
    /// Microseconds since the sample before.
    took: u64,
    /// What was counted in it.
    counted: Counters,
    spool_bytes: u64,
}

/// What the ring tells.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Accepted events by type and the time they took in microseconds, newest second last.
    pub history: Vec<Second>,
    /// Refused events a second, in tenths, of the last second.
    pub rejected_tenths: u64,
    /// Median and 99th percentile in microseconds of the last ten seconds.
    pub ack: Option<(u64, u64)>,
    /// The same of all stops that the sidecars know of.
    pub stop_latency: Option<(u64, u64)>,
    /// Bytes a second that the spools have grown by over the last minute; negative when they drain.
    pub growth: Option<i64>,
}

/// Events a second by type, in tenths.
#[derive(Clone, Debug)]
pub struct Second {
    /// Its end.
    pub at: Micros,
    /// Tenths of an event a second, by type.
    pub tenths: BTreeMap<String, u64>,
}

/// The ring and its sampler's state.
#[derive(Debug, Default)]
struct Ring {
    /// What each source had counted at the last sample.
    last: BTreeMap<String, Counters>,
    at: Option<Micros>,
    samples: VecDeque<Sample>,
    stop_latency: Buckets,
}

/// The sampler's side that is asked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sampler {
    ring: Arc<Mutex<Ring>>,
    ticks: watch::Sender<u64>,
}

impl Default for Sampler {
    fn default() -> Self {
        Sampler { ring: Arc::default(), ticks: watch::Sender::new(0) }
    }
}

impl Sampler {
    /// Takes a sample a second until `stop`.
    pub async fn run(
        self,
        registry: SharedRegistry,
        live: Arc<dyn Standing>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = seconds.tick() => {}
            }
            let mut sources = live.counters();
            // The sidecar of this process, when it has one.
            sources.push((String::new(), Counters::parse(&registry.encode())));
            let bytes = live.spool().into_iter().chain(live.spools()).map(|s| s.bytes).sum();
            self.take(clock.now(), sources, bytes);
        }
    }

    /// Adds a sample. A source that is seen for the first time tells nothing of the second before.
    pub fn take(&self, now: Micros, sources: Vec<(String, Counters)>, spool_bytes: u64) {
        let mut guard = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = &mut *guard;
        let mut counted = Counters::default();
        let mut stop_latency = Counters::default();
        for (name, counters) in &sources {
            if let Some(before) = ring.last.get(name) {
                counted.add(&counters.since(before));
            }
            stop_latency.add(&Counters { stop_latency: counters.stop_latency.clone(), ..Counters::default() });
        }
        ring.stop_latency = stop_latency.stop_latency;
        ring.last = sources.into_iter().collect();
        if let Some(before) = ring.at.replace(now) {
            let took = u64::try_from(now.since(before).as_micros()).unwrap_or(u64::MAX).max(1);
            ring.samples.push_back(Sample { at: now, took, counted, spool_bytes });
            while ring.samples.len() > KEPT {
                ring.samples.pop_front();
            }
        }
        drop(guard);
        self.ticks.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Changes with every sample.
    #[must_use]
    pub fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    /// What is known now.
    #[must_use]
    pub fn tell(&self) -> Told {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ack = Counters::default();
        for sample in ring.samples.iter().rev().take(RECENT) {
            ack.add(&Counters { ack: sample.counted.ack.clone(), ..Counters::default() });
        }
        let pair = |buckets: &Buckets| Some((buckets.quantile(50)?, buckets.quantile(99)?));
        let last = ring.samples.back();
        Told {
            history: ring.samples.iter().map(second).collect(),
            rejected_tenths: last.map_or(0, |s| tenths(s.counted.rejected, s.took)),
            ack: pair(&ack.ack),
            stop_latency: pair(&ring.stop_latency),
            growth: growth(&ring.samples),
        }
    }
}

fn second(sample: &Sample) -> Second {
    let rate = |(kind, n): (&String, &u64)| (kind.clone(), tenths(*n, sample.took));
    Second { at: sample.at, tenths: sample.counted.accepted.iter().map(rate).collect() }
}

/// Events in `micros` as tenths of an event a second, rounded.
fn tenths(events: u64, micros: u64) -> u64 {
    let tenths = (u128::from(events) * 10_000_000 + u128::from(micros / 2)) / u128::from(micros.max(1));
    u64::try_from(tenths).unwrap_or(u64::MAX)
}

fn growth(samples: &VecDeque<Sample>) -> Option<i64> {
    let (last, first) = (samples.back()?, samples.iter().rev().nth(GROWTH.min(samples.len() - 1))?);
    let millis = i64::try_from(last.at.since(first.at).as_millis()).ok().filter(|ms| *ms > 0)?;
    let bytes = i64::try_from(last.spool_bytes).ok()? - i64::try_from(first.spool_bytes).ok()?;
    Some(bytes.saturating_mul(1_000) / millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(clicks: u64, rejected: u64) -> Counters {
        Counters { accepted: [("click".to_owned(), clicks)].into(), rejected, ..Counters::default() }
    }

    fn at(second: i64) -> Micros {
        Micros::from_secs(second)
    }

    #[test]
    fn rates_are_what_was_counted_between_two_samples_over_all_sidecars() {
        let sampler = Sampler::default();
        let of = |a: u64, b: u64| vec![("a".to_owned(), counters(a, 0)), ("b".to_owned(), counters(b, 1))];
        sampler.take(at(0), of(100, 50), 1_000);
        assert!(sampler.tell().history.is_empty());
        sampler.take(at(2), of(130, 55), 3_000);
        let told = sampler.tell();
        assert_eq!(told.history[0].tenths["click"], 175, "35 events in two seconds");
        assert_eq!((told.rejected_tenths, told.growth), (0, None), "one sample has not grown yet");
        // `b` begins anew: all it has counted is new.
        sampler.take(at(3), of(130, 5), 4_000);
        let told = sampler.tell();
        assert_eq!((told.history[1].tenths["click"], told.growth), (50, Some(1_000)));
    }

    #[test]
    fn a_source_that_appears_is_no_burst_and_the_ring_is_bounded() {
        let sampler = Sampler::default();
        for second in 0..=2 * i64::try_from(KEPT).unwrap() {
            sampler.take(at(second), vec![("a".to_owned(), counters(1_000_000, 0))], 0);
        }
        let told = sampler.tell();
        assert_eq!(told.history.len(), KEPT);
        assert!(told.history.iter().all(|s| s.tenths["click"] == 0));
    }
}
