//! One worker thread's intake: its spool partition, its buffers, its group commit.
//!
//! Nothing here is shared with other threads but the spool's own table of keys and atomics. The
//! partition is claimed when first needed: a thread that replaces a dead one takes over the
//! partition as soon as the dead one's writer is given back.

use super::body::{Body, BodyBudget};
use super::claim::{Claimed, claim};
use super::inflate::{Encoding, inflate};
use super::keys::{self, Keys, WriteKey};
use super::rate::Rate;
use super::refused::SHORTLY;
use super::request::Durability;
use super::take::{Bench, Content, Counters, Tally};
use super::turn::{NotWritten, Turn};
use crate::http::problem::Problem;
use actix_web::http::StatusCode;
use bytes::Bytes;
use penstock::event::{Defaults, IdSource};
use penstock::log::spool::{
    Answer as SpoolAnswer, AppendError, Begin, Disk, Group, GroupBuf, GroupKey, KeyWait, RealDisk, Spool, Watermarks,
};
use penstock::log::{Offset, Range};
use penstock::settings::IntakeSettings;
use penstock::telemetry::SidecarMetrics;
use penstock::telemetry::sidecar::{DurabilityLabel, RepeatLabel};
use penstock::time::Clock;
use prometheus_client::metrics::histogram::Histogram;
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Buffers that an exceptional request has blown up past this are given back.
const KEPT_BYTES: usize = 4 << 20;

/// What all workers share.
pub struct Intake<D: Disk = RealDisk> {
    /// What is accepted, and how much of it.
    pub settings: IntakeSettings,
    /// The log on disk.
    pub spool: Spool<D>,
    /// Tells when a request came in.
    pub clock: Arc<dyn Clock>,
    /// Name of this server for events without one.
    pub server: String,
    /// Longest time for a body to arrive.
    pub body_timeout: Duration,
    /// Longest wait for the device.
    pub sync_timeout: Duration,
    /// Longest wait for Kafka's acknowledgement; `None` when nothing is forwarded.
    pub kafka_timeout: Option<Duration>,
    /// Write keys.
    pub keys: Keys,
    /// Rate limits.
    pub rate: Rate,
    /// Memory of bodies under way.
    pub budget: BodyBudget,
    /// What is counted.
    pub metrics: SidecarMetrics,
}

/// One worker thread's intake.
pub struct Worker<D: Disk = RealDisk> {
    intake: Arc<Intake<D>>,
    counters: Counters,
    /// Histograms of answers by [`Durability`], looked up when the first waits for it.
    acks: [OnceCell<Histogram>; 3],
    pub(super) state: RefCell<State<D>>,
}

pub(super) struct State<D: Disk> {
    pub(super) writer: Option<Claimed<D>>,
    /// Where to look for a free partition first.
    pub(super) next_partition: u32,
    bench: Bench,
    inflated: Vec<u8>,
    pub(super) turn: Option<Rc<Turn>>,
}

/// A request as intake sees it.
pub struct Request<'a> {
    /// Route and format: part of what tells one body from another.
    pub route: &'a str,
    /// What the body holds.
    pub content: Content<'a>,
    /// How it is packed.
    pub encoding: Option<Encoding>,
    /// What the answer waits for.
    pub durability: Durability,
    /// The `Idempotency-Key`.
    pub idempotency_key: Option<&'a [u8]>,
    /// Who writes.
    pub write_key: WriteKey<'a>,
    /// When its head was there.
    pub started: Instant,
}

/// The answer: 202, or 400 when nothing was acceptable.
#[derive(Debug)]
pub struct Answered {
    /// HTTP status.
    pub status: StatusCode,
    /// JSON.
    pub body: Bytes,
}

/// What came of a body before anything was waited for.
enum Step {
    /// Nothing was acceptable; the answer's body.
    Nothing(Bytes),
    /// In the write buffer.
    Appended(Appended),
    /// The first request with its key is under way.
    Wait(KeyWait),
    /// A repeat of this.
    Done(SpoolAnswer),
    /// The key has another body.
    Conflict,
}

/// A group in the write buffer.
struct Appended {
    answer: Bytes,
    tally: Tally,
    range: Range,
    turn: Rc<Turn>,
    marks: Arc<Watermarks>,
}

impl<D: Disk> Worker<D> {
    /// A worker without a partition yet.
    #[must_use]
    pub fn new(intake: Arc<Intake<D>>, ids: IdSource) -> Self {
        let state = State { writer: None, next_partition: 0, bench: Bench::new(ids), inflated: Vec::new(), turn: None };
        let counters = Counters::of(&intake.metrics);
        Self { intake, counters, acks: Default::default(), state: RefCell::new(state) }
    }

    /// What all workers share.
    #[must_use]
    pub fn intake(&self) -> &Intake<D> {
        &self.intake
    }

    /// Takes a request's events; an `Ok` with 202 says they are kept to the level asked for.
    ///
    /// Errors: every problem of a request as a whole. Nothing of it is kept then, except after
    /// `sync_timeout`, `sync_failed` and `kafka_timeout`: it is written, how far it has come is unknown.
    pub async fn accept(&self, request: &Request<'_>, mut body: Body) -> Result<Answered, Problem> {
        let mut outcome = "answered";
        loop {
            match self.step(request, &body.bytes)? {
                Step::Nothing(body) => return Ok(Answered { status: StatusCode::BAD_REQUEST, body }),
                Step::Appended(appended) => return self.finish(request, appended).await,
                Step::Done(answer) => return self.again(request, answer, outcome).await,
                Step::Wait(wait) => {
                    outcome = "waited";
                    body.hold()?;
                    if let Some(answer) = wait.answer().await {
                        return self.again(request, answer, outcome).await;
                    }
                }
                Step::Conflict => {
                    self.count_repeat("conflict");
                    let detail = "this Idempotency-Key was used with another body; take a new key";
                    return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail));
                }
            }
        }
    }

    /// From the body to the write buffer, without a wait.
    fn step(&self, request: &Request<'_>, body: &[u8]) -> Result<Step, Problem> {
        let mut state = self.state.borrow_mut();
        let Some(encoding) = request.encoding else { return self.step_plain(&mut state, request, body) };
        let mut inflated = std::mem::take(&mut state.inflated);
        let step = inflate(body, encoding, self.intake.settings.max_body_bytes, &mut inflated)
            .map_err(Problem::from)
            .and_then(|()| self.step_plain(&mut state, request, &inflated));
        inflated.clear();
        inflated.shrink_to(KEPT_BYTES);
        state.inflated = inflated;
        step
    }

    fn step_plain(&self, state: &mut State<D>, request: &Request<'_>, body: &[u8]) -> Result<Step, Problem> {
        self.intake.metrics.body_bytes.inc_by(body.len() as u64);
        let Some(key) = request.idempotency_key else { return self.append(state, request, body, None) };
        let key = keys::scoped(request.write_key.name, key);
        match self.intake.spool.keys().begin(&key, &keys::body_hash(request.route, body))? {
            // The guard may go once the group is in the write buffer: the key follows the group.
            Begin::New(guard) => self.append(state, request, body, Some(guard.key())),
            Begin::Wait(wait) => Ok(Step::Wait(wait)),
            Begin::Done(answer) => Ok(Step::Done(answer)),
            Begin::Conflict => Ok(Step::Conflict),
        }
    }

    fn append(
        &self,
        state: &mut State<D>,
        request: &Request<'_>,
        body: &[u8],
        key: Option<GroupKey<'_>>,
    ) -> Result<Step, Problem> {
        let intake = &*self.intake;
        let received = intake.clock.now();
        let defaults = Defaults {
            received,
            server: &intake.server,
            max_future: intake.settings.max_future,
            max_event_bytes: intake.settings.max_event_bytes,
        };
        if state.bench.records.bytes() > KEPT_BYTES {
            state.bench.records = GroupBuf::new();
        }
        let State { bench, .. } = state;
        let tally = bench.take(body, request.content, &defaults, intake.settings.max_events)?;
        let accepted = bench.records.count();
        intake.rate.take(request.write_key.bucket, accepted as usize + bench.rejections.count() as usize)?;
        let answer = bench.rejections.answer(accepted);
        if accepted == 0 {
            tally.count(&self.counters);
            return Ok(Step::Nothing(answer));
        }
        let group = Group { records: &bench.records, key, answer: if key.is_some() { &answer } else { &[] } };
        let claimed = match &mut state.writer {
            Some(claimed) => claimed,
            none => none.insert(claim(&intake.spool, &mut state.next_partition)?),
        };
        match claimed.writer.append_at(&group, received) {
            Ok(range) => {
                let turn = state.turn.get_or_insert_with(Rc::default);
                turn.join();
                let (turn, marks) = (Rc::clone(turn), Arc::clone(&claimed.marks));
                Ok(Step::Appended(Appended { answer, tally, range, turn, marks }))
            }
            Err(error) => {
                if matches!(error, AppendError::Failed(_)) {
                    // What the turn holds can still learn its fate; then another partition is taken.
                    flush(state, &intake.metrics);
                    state.writer = None;
                }
                Err(error.into())
            }
        }
    }

    /// Waits until the group is as durable as asked for.
    async fn finish(&self, request: &Request<'_>, appended: Appended) -> Result<Answered, Problem> {
        let Appended { answer, tally, range, turn, marks } = appended;
        {
            // Also when the client goes away meanwhile: the drop writes.
            let _flush = FlushOnDrop { worker: self, turn: &turn };
            tokio::task::yield_now().await;
        }
        if let Some(Err(not_written)) = turn.of(range.to) {
            return Err(not_written.into());
        }
        self.durable(request.durability, &marks, range.to).await?;
        tally.count(&self.counters);
        let written = turn.written().filter(|_| request.durability == Durability::Os);
        self.acknowledge(request, written.unwrap_or_else(Instant::now));
        Ok(Answered { status: StatusCode::ACCEPTED, body: answer })
    }

    /// Answers a repeat as the first was answered.
    async fn again(
        &self,
        request: &Request<'_>,
        answer: SpoolAnswer,
        outcome: &'static str,
    ) -> Result<Answered, Problem> {
        if request.durability != Durability::Os
            && let Ok(marks) = self.intake.spool.watermarks(answer.partition)
        {
            self.durable(request.durability, &marks, answer.range.to).await?;
        }
        self.count_repeat(outcome);
        self.acknowledge(request, Instant::now());
        Ok(Answered { status: StatusCode::ACCEPTED, body: Bytes::from_owner(answer.bytes) })
    }

    /// Waits until what is written below `to` is as durable as asked for.
    async fn durable(&self, durability: Durability, marks: &Watermarks, to: Offset) -> Result<(), Problem> {
        match (durability, self.intake.kafka_timeout) {
            (Durability::Os, _) => Ok(()),
            (Durability::Disk, _) | (Durability::Kafka, None) => self.synced(marks, to).await,
            (Durability::Kafka, Some(longest)) => self.replicated(marks, to, longest).await,
        }
    }

    async fn replicated(&self, marks: &Watermarks, to: Offset, longest: Duration) -> Result<(), Problem> {
        match tokio::time::timeout(longest, marks.wait_replicated(to)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failed)) => {
                tracing::error!(%failed, "a sync failed; the request's durability is unknown");
                let detail = "the device refused the sync: what was sent is written, but may not survive a power cut";
                Err(Problem::unavailable("sync_failed", detail, SHORTLY))
            }
            Err(_) => {
                let detail = "Kafka did not acknowledge in time: what was sent is kept and will be forwarded; repeat \
                              it only with the same Idempotency-Key";
                Err(Problem::unavailable("kafka_timeout", detail, SHORTLY))
            }
        }
    }

    pub(super) async fn synced(&self, marks: &Watermarks, to: Offset) -> Result<(), Problem> {
        match tokio::time::timeout(self.intake.sync_timeout, marks.wait_synced(to)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failed)) => {
                tracing::error!(%failed, "a sync failed; the request's durability is unknown");
                let detail = "the device refused the sync: what was sent is written, but may not survive a power cut";
                Err(Problem::unavailable("sync_failed", detail, SHORTLY))
            }
            Err(_) => {
                let detail =
                    "the device did not sync in time: what was sent is written, but may not survive a power cut";
                Err(Problem::unavailable("sync_timeout", detail, SHORTLY))
            }
        }
    }

    /// Counts a request whose events are as durable as asked for since `at`.
    fn acknowledge(&self, request: &Request<'_>, at: Instant) {
        let durability = request.durability;
        let ack = self.acks[durability as usize].get_or_init(|| {
            self.intake.metrics.ack.get_or_create_owned(&DurabilityLabel { durability: durability.name() })
        });
        ack.observe(at.saturating_duration_since(request.started).as_secs_f64());
    }

    fn count_repeat(&self, outcome: &'static str) {
        self.intake.metrics.repeats.get_or_create(&RepeatLabel { outcome }).inc();
    }
}

impl<D: Disk> Drop for Worker<D> {
    fn drop(&mut self) {
        flush(self.state.get_mut(), &self.intake.metrics);
    }
}

/// Writes the turn a request has joined, unless somebody already has.
pub(super) struct FlushOnDrop<'a, D: Disk> {
    pub(super) worker: &'a Worker<D>,
    pub(super) turn: &'a Turn,
}

impl<D: Disk> Drop for FlushOnDrop<'_, D> {
    fn drop(&mut self) {
        if !self.turn.settled() {
            flush(&mut self.worker.state.borrow_mut(), &self.worker.intake.metrics);
        }
    }
}

/// One write for everything appended since the last; ends the turn.
pub(super) fn flush<D: Disk>(state: &mut State<D>, metrics: &SidecarMetrics) {
    let (Some(turn), Some(claimed)) = (state.turn.take(), &mut state.writer) else { return };
    match claimed.writer.flush() {
        Ok(()) => {
            metrics.flushes.inc();
            metrics.flushed_requests.inc_by(turn.requests());
            turn.settle(Ok(()));
        }
        Err(error) => {
            tracing::error!(%error, partition = claimed.partition, "a write to the spool failed");
            turn.settle(Err(NotWritten { written: error.written, full: error.full }));
            if claimed.marks.failure().is_some() {
                state.writer = None;
            }
        }
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
