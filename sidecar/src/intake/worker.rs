//! One worker thread's intake: its spool partition, its buffers, its group commit.
//!
//! Nothing here is shared with other threads but the spool's own table of keys and atomics. The
//! partition is claimed when first needed: a thread that replaces a dead one takes over the
//! partition as soon as the dead one's writer is given back.

use super::accounts::Accounts;
use super::body::{Body, BodyBudget};
use super::claim::{Claimed, claim};
use super::inflate::{Encoding, inflate};
use super::keys::{self, Keys, WriteKey};
use super::promise::{Promise, Withholds};
use super::rate::Rate;
use super::request::Durability;
use super::take::{Bench, Content, Tally};
use super::turn::{FlushOnDrop, Turn, flush};
use crate::http::problem::Problem;
use actix_web::http::StatusCode;
use bytes::Bytes;
use penstock::event::{Defaults, IdSource};
use penstock::log::Range;
use penstock::log::spool::{
    Answer as SpoolAnswer, AppendError, Begin, Disk, Group, GroupBuf, GroupKey, KeyWait, RealDisk, Spool, Watermarks,
};
use penstock::settings::IntakeSettings;
use penstock::telemetry::SidecarMetrics;
use penstock::time::Clock;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
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
    pub(super) accounts: Accounts,
    /// Told when a turn has its first promise.
    promised: Rc<Notify>,
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
    /// Withholds the answer, if it can; otherwise the answer waits for the write.
    pub connection: Option<&'a Rc<dyn Withholds>>,
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
    /// The same, and the connection withholds this answer until it is written.
    Promised(Bytes),
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
        let accounts = Accounts::of(intake.metrics.clone());
        Self { intake, accounts, promised: Rc::default(), state: RefCell::new(state) }
    }

    /// What all workers share.
    #[must_use]
    pub fn intake(&self) -> &Intake<D> {
        &self.intake
    }

    /// Takes a request's events; an `Ok` with 202 says they are kept to the level asked for, or that the
    /// connection withholds the answer until they are.
    ///
    /// Errors: every problem of a request as a whole. Nothing of it is kept then, except after
    /// `sync_timeout`, `sync_failed` and `kafka_timeout`: it is written, how far it has come is unknown.
    pub async fn accept(&self, request: &Request<'_>, mut body: Body) -> Result<Answered, Problem> {
        let mut outcome = "answered";
        loop {
            match self.step(request, &body.bytes)? {
                Step::Nothing(body) => return Ok(Answered { status: StatusCode::BAD_REQUEST, body }),
                Step::Appended(appended) => return self.finish(request, appended).await,
                Step::Promised(body) => return Ok(Answered { status: StatusCode::ACCEPTED, body }),
                Step::Done(answer) => return self.again(request, answer, outcome).await,
                Step::Wait(wait) => {
                    outcome = "waited";
                    body.hold()?;
                    if let Some(answer) = wait.answer().await {
                        return self.again(request, answer, outcome).await;
                    }
                }
                Step::Conflict => {
                    self.accounts.repeated("conflict");
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
            self.accounts.answered(&tally);
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
                if let Some(connection) = request.connection
                    && bench.rejections.count() == 0
                    && connection.withhold()
                {
                    let connection = Rc::clone(connection);
                    if turn.promise(Promise { connection, to: range.to, started: request.started, tally }) {
                        self.promised.notify_one();
                    }
                    return Ok(Step::Promised(answer));
                }
                let (turn, marks) = (Rc::clone(turn), Arc::clone(&claimed.marks));
                Ok(Step::Appended(Appended { answer, tally, range, turn, marks }))
            }
            Err(error) => {
                if matches!(error, AppendError::Failed(_)) {
                    // What the turn holds can still learn its fate; then another partition is taken.
                    flush(state, &self.accounts);
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
        self.accounts.answered(&tally);
        let written = turn.written().filter(|_| request.durability == Durability::Os);
        self.accounts.acknowledge(request.durability, request.started, written.unwrap_or_else(Instant::now));
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
        self.accounts.repeated(outcome);
        self.accounts.acknowledge(request.durability, request.started, Instant::now());
        Ok(Answered { status: StatusCode::ACCEPTED, body: Bytes::from_owner(answer.bytes) })
    }

    /// Writes what the turn holds, and lets the answers go that were promised for it.
    pub(super) fn end_turn(&self) {
        flush(&mut self.state.borrow_mut(), &self.accounts);
    }

    /// Told when a turn has its first promise.
    pub(super) fn promised(&self) -> Rc<Notify> {
        Rc::clone(&self.promised)
    }
}

impl<D: Disk> Drop for Worker<D> {
    fn drop(&mut self) {
        flush(self.state.get_mut(), &self.accounts);
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
