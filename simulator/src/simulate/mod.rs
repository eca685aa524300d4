//! The publisher simulator: events at a steady rate, each accounted for at the end.
//!
//! The stream of events is made by one seeded [`Publisher`]; batches of it are posted over several
//! connections. The rate is open loop: a slow answer does not slow the making down until every
//! connection is busy, then the shortfall shows in the report instead of being hidden.

mod people;
mod publisher;

pub use publisher::{Kind, Mix, Publisher, TYPES};

use crate::post::{Answer, PostError, PostOptions, Poster};
use bytes::Bytes;
use futures::StreamExt;
use hdrhistogram::Histogram;
use penstock::time::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What is simulated, and where it goes.
#[derive(Clone, Debug)]
pub struct SimulateOptions {
    /// The sidecar, and how long one tries.
    pub post: PostOptions,
    /// Events per second, above 0.
    pub rate: u64,
    /// How long events are made; answers may come later.
    pub duration: Duration,
    /// Most events of one request. A request never holds more than 50 ms' worth, so that low
    /// rates stay smooth.
    pub batch: usize,
    /// Requests under way at once, at least 1.
    pub connections: usize,
    /// The same seed makes the same events, but for their times.
    pub seed: u64,
    /// How many events of one type come on one of another.
    pub mix: Mix,
    /// The `server` that the events name.
    pub server: String,
    /// First part of each `Idempotency-Key`; must be new for each run, the times differ.
    pub key_prefix: String,
}

impl SimulateOptions {
    /// 1 000 events/s for 30 s in batches of 100 over 8 connections.
    #[must_use]
    pub fn new(post: PostOptions) -> Self {
        SimulateOptions {
            post,
            rate: 1_000,
            duration: Duration::from_secs(30),
            batch: 100,
            connections: 8,
            seed: 1,
            mix: Mix::default(),
            server: "simulator-1".to_owned(),
            key_prefix: format!("simulate-{}", uuid::Uuid::from_bytes(rand::random())),
        }
    }
}

/// Events of each type, in the order of [`TYPES`], while the simulation is under way.
#[derive(Debug, Default)]
pub struct Progress {
    /// In requests that were sent at least once.
    pub sent: [AtomicU64; 4],
    /// Accepted by an answer.
    pub acknowledged: [AtomicU64; 4],
    /// Refused by an answer.
    pub rejected: [AtomicU64; 4],
    /// Requests repeated.
    pub retries: Arc<AtomicU64>,
}

/// Counts of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// In requests that were sent at least once.
    pub sent: u64,
    /// Accepted by an answer: kept, to the durability asked for.
    pub acknowledged: u64,
    /// Refused by an answer.
    pub rejected: u64,
    /// Sent, and never answered: kept or not, nobody knows.
    pub unanswered: u64,
}

/// What came of the simulation.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct SimulateReport {
    /// By type, in the order of [`TYPES`].
    pub by_type: [Counts; 4],
    /// Requests that were repeated because nobody had answered them.
    pub retries: u64,
    /// From the first event to the last answer.
    pub elapsed: Duration,
    /// Median, 99th percentile and longest time of a request from its sending to its answer,
    /// repeats included, in microseconds.
    pub answer_us: [u64; 3],
    /// The first few refusals, as examples.
    pub examples: Vec<String>,
}

impl SimulateReport {
    /// All types together.
    #[must_use]
    pub fn total(&self) -> Counts {
        self.by_type.iter().fold(Counts::default(), |sum, c| Counts {
            sent: sum.sent + c.sent,
            acknowledged: sum.acknowledged + c.acknowledged,
            rejected: sum.rejected + c.rejected,
            unanswered: sum.unanswered + c.unanswered,
        })
    }
}

/// Why a simulation ended early.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// There is no ad slot that an event could name.
    #[error("the catalogue holds no tags; import one, or make one with `penstock seed`")]
    NoTags,
    /// A value out of its bounds.
    #[error("{0} must be above 0")]
    Zero(&'static str),
    /// An event does not become JSON.
    #[error("cannot write an event: {0}")]
    Write(#[from] serde_json::Error),
    /// A batch was not taken in.
    #[error(transparent)]
    Post(#[from] PostError),
}

const EXAMPLES: usize = 5;
/// A request holds at most a twentieth of a second's events.
const REQUESTS_PER_SECOND: u64 = 20;

/// Simulates until the duration has passed or `stop` is cancelled, then waits for the answers.
///
/// The report stands whether or not an error ended the simulation.
pub async fn simulate(
    tags: Vec<String>,
    options: &SimulateOptions,
    clock: Arc<dyn Clock>,
    progress: &Arc<Progress>,
    stop: CancellationToken,
) -> (SimulateReport, Result<(), SimulateError>) {
    let mut report = SimulateReport::default();
    let started = Instant::now();
    let outcome = run(tags, options, clock, progress, stop, &mut report).await;
    report.elapsed = started.elapsed();
    report.retries = progress.retries.load(Ordering::Relaxed);
    for (n, counts) in report.by_type.iter_mut().enumerate() {
        counts.sent = progress.sent[n].load(Ordering::Relaxed);
        counts.acknowledged = progress.acknowledged[n].load(Ordering::Relaxed);
        counts.rejected = progress.rejected[n].load(Ordering::Relaxed);
        counts.unanswered = counts.sent - counts.acknowledged - counts.rejected;
    }
    (report, outcome)
}

struct Batch {
    sequence: u64,
    body: Bytes,
    kinds: Vec<Kind>,
}

async fn run(
    tags: Vec<String>,
    options: &SimulateOptions,
    clock: Arc<dyn Clock>,
    progress: &Arc<Progress>,
    stop: CancellationToken,
    report: &mut SimulateReport,
) -> Result<(), SimulateError> {
    if tags.is_empty() {
        return Err(SimulateError::NoTags);
    }
    for (what, value) in [("the rate", options.rate), ("the batch size", options.batch as u64)] {
        if value == 0 {
            return Err(SimulateError::Zero(what));
        }
    }
    let connections = options.connections.max(1);
    let poster = Arc::new(Poster::new(options.post.clone(), progress.retries.clone())?);
    let publisher = Publisher::new(tags, options.mix, options.server.clone(), options.seed);
    let (to, from) = mpsc::channel(connections);
    // The maker ends with the receiver too, when an error has ended the sending.
    let maker = tokio::spawn(make(publisher, options.clone(), clock, stop, to));
    let batches = futures::stream::unfold(from, async |mut from| Some((from.recv().await?, from)));
    let sends = batches.map(|batch| {
        let (poster, progress) = (poster.clone(), progress.clone());
        let key = format!("{}-{}", options.key_prefix, batch.sequence);
        // Spawned: the answers of one connection are read while others are written.
        tokio::spawn(async move { send(&poster, &batch, &key, &progress).await })
    });
    let mut times = Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 3).ok();
    let outcome = collect(sends.buffer_unordered(connections), &mut times, report).await;
    if let Some(times) = times {
        report.answer_us = [times.value_at_quantile(0.5), times.value_at_quantile(0.99), times.max()];
    }
    outcome?;
    maker.await.map_err(|e| serde_json::Error::io(std::io::Error::other(e)))?
}

async fn collect(
    sends: impl futures::Stream<Item = Result<Result<Sent, PostError>, tokio::task::JoinError>>,
    times: &mut Option<Histogram<u64>>,
    report: &mut SimulateReport,
) -> Result<(), SimulateError> {
    let mut sends = std::pin::pin!(sends);
    let mut first_error = None;
    while let Some(sent) = sends.next().await {
        // A task that fell over is a batch without an answer.
        let sent = sent.map_err(|e| serde_json::Error::io(std::io::Error::other(e)))?;
        match sent {
            Ok(Sent { took, examples }) => {
                if let Some(times) = times {
                    times.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
                }
                let room = EXAMPLES.saturating_sub(report.examples.len());
                report.examples.extend(examples.into_iter().take(room));
            }
            Err(error) => {
                first_error = Some(error);
                break;
            }
        }
    }
    first_error.map_or(Ok(()), |e| Err(e.into()))
}

/// Makes batches in time; ends at the duration, at `stop`, or when nobody takes them.
async fn make(
    mut publisher: Publisher,
    options: SimulateOptions,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    to: mpsc::Sender<Batch>,
) -> Result<(), SimulateError> {
    let size = u64::min(options.batch as u64, options.rate.div_ceil(REQUESTS_PER_SECOND)).max(1);
    let started = Instant::now();
    let whole = events_in(options.duration, options.rate);
    let (mut made, mut sequence) = (0, 0);
    while made < whole && !stop.is_cancelled() {
        let events = size.min(whole - made);
        let due = started + time_of(made + events, options.rate);
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = stop.cancelled() => return Ok(()),
        }
        if started.elapsed() > options.duration + LATE {
            return Ok(()); // The rate was not reached; the report shows by how much.
        }
        let now = clock.now();
        let (mut body, mut kinds) = (Vec::with_capacity(512 * usize::try_from(events).unwrap_or(0)), Vec::new());
        for _ in 0..events {
            kinds.push(publisher.next(now, &mut body)?);
        }
        if to.send(Batch { sequence, body: body.into(), kinds }).await.is_err() {
            return Ok(());
        }
        made += events;
        sequence += 1;
    }
    Ok(())
}

/// How long after the duration the last batches may still leave.
const LATE: Duration = Duration::from_millis(500);

fn events_in(duration: Duration, rate: u64) -> u64 {
    let events = u128::from(rate) * duration.as_nanos() / 1_000_000_000;
    u64::try_from(events).unwrap_or(u64::MAX).max(1)
}

fn time_of(events: u64, rate: u64) -> Duration {
    let nanos = u128::from(events) * 1_000_000_000 / u128::from(rate);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

struct Sent {
    took: Duration,
    examples: Vec<String>,
}

async fn send(poster: &Poster, batch: &Batch, key: &str, progress: &Progress) -> Result<Sent, PostError> {
    let started = Instant::now();
    for &kind in &batch.kinds {
        progress.sent[kind as usize].fetch_add(1, Ordering::Relaxed);
    }
    let answer = poster.post(batch.body.clone(), batch.kinds.len() as u64, key).await;
    let Answer { rejected, .. } = answer?;
    let mut refused = [0_u64; 4];
    for event in &rejected {
        refused[batch.kinds[event.index] as usize] += 1;
    }
    let mut all = [0_u64; 4];
    for &kind in &batch.kinds {
        all[kind as usize] += 1;
    }
    for n in 0..all.len() {
        progress.rejected[n].fetch_add(refused[n], Ordering::Relaxed);
        progress.acknowledged[n].fetch_add(all[n].saturating_sub(refused[n]), Ordering::Relaxed);
    }
    let examples = rejected.into_iter().take(EXAMPLES).map(|r| format!("{}: {}", r.code, r.message)).collect();
    Ok(Sent { took: started.elapsed(), examples })
}
