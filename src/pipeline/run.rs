//! The pull loop: moves one partition of a log into one sink, range by range.
//!
//! The order of the steps is the whole promise. What a crash leaves behind at each boundary:
//!
//! | crash after | the log's position says | the sink holds | the next start |
//! | --- | --- | --- | --- |
//! | collect, prepare | `next`, no pin | nothing of it | collects anew, perhaps another range |
//! | pin | `next`, pinned `to` | nothing | reads exactly `[next, to)`, asks, writes |
//! | bury | the same | nothing | the same; letters come twice, their key makes them one |
//! | a part of a write | the same | some | the same; writes what is missing |
//! | write | the same | all | asks, hears "all", commits |
//! | commit | `to`, perhaps the next pin | all | goes on |
//!
//! A log without a stored position is only begun at its first offset, and only when the sink holds
//! nothing of it: a lost position is an error that an operator answers, never a silent reset.
//!
//! Nothing is ever written whose range is not pinned, so a range that was begun is always met
//! again with the same bounds; the same records give the same batch, because *prepare* is a
//! function of the records (a later catalogue prices them alike, see [`crate::pricing`]).

use super::handle::{Control, PipelineHandle};
use super::retry::Backoff;
use super::status::State;
use super::{DeadTarget, Go, PipelineError, Poison, Sink, Step, Steps};
use crate::log::{FlushReason, Limits, Log, LogId, Offset, Position, Range, Records};
use crate::pricing::Snapshot;
use crate::settings::PipelineSettings;
use crate::telemetry::pipeline::{OnePipeline, PipelineMetrics};
use crate::time::Clock;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Everything a pipeline is made of; all of it comes from outside, so that a seed can replay it.
pub struct Parts<L, S, D> {
    /// The partition that is read.
    pub log: L,
    /// Where it goes.
    pub sink: S,
    /// Where its poison goes.
    pub dead: D,
    /// When a range is closed. `end` must be `None`; `idle` also bounds how old the status gets.
    pub limits: Limits,
    /// Prices; `None` for a sink that looks nothing up (it gets the empty snapshot).
    pub catalogue: Option<watch::Receiver<Arc<Snapshot>>>,
    /// Back-off and alerts.
    pub settings: PipelineSettings,
    /// Stamps commits and lag.
    pub clock: Arc<dyn Clock>,
    /// Of the jitter.
    pub seed: u64,
    /// Cancelled to stop: the range in hand is closed and written, nothing after it.
    pub stop: CancellationToken,
    /// Its outside, shared by all generations.
    pub handle: PipelineHandle,
    /// What it counts into.
    pub metrics: PipelineMetrics,
}

/// Moves one partition of a log into one sink. `O` watches the step boundaries (tests).
pub struct Pipeline<L, S: Sink, D, O = ()> {
    pub(super) log: L,
    pub(super) sink: S,
    pub(super) dead: D,
    pub(super) steps: O,
    pub(super) id: LogId,
    pub(super) limits: Limits,
    pub(super) catalogue: Option<watch::Receiver<Arc<Snapshot>>>,
    pub(super) settings: PipelineSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: CancellationToken,
    pub(super) control: watch::Receiver<Control>,
    pub(super) handle: PipelineHandle,
    pub(super) metrics: OnePipeline,
    pub(super) backoff: Backoff,
    /// The records of the range in hand; its memory is reused.
    pub(super) records: Records,
    pub(super) bad: Vec<Poison>,
    /// Number of the newest flush request that was seen, and up to where it reaches.
    pub(super) flush_seen: u64,
    pub(super) flush_to: Option<Offset>,
    /// A stop was heard and the last range is in hand.
    pub(super) last_range: bool,
}

/// Why the loop ends.
pub(super) enum End {
    /// It was asked to.
    Stopped,
    /// By itself.
    Error(PipelineError),
}

impl From<PipelineError> for End {
    fn from(error: PipelineError) -> Self {
        End::Error(error)
    }
}

/// A range in hand: its records are in `Pipeline::records`.
pub(super) struct InHand {
    pub(super) range: Range,
    pub(super) reason: FlushReason,
    /// Its pin is stored.
    pub(super) pinned: bool,
    /// Somebody may have written of it already.
    pub(super) ask: bool,
}

impl<L: Log, S: Sink, D: DeadTarget> Pipeline<L, S, D> {
    /// A pipeline that is ready to [`run`](Pipeline::run).
    pub fn new(parts: Parts<L, S, D>) -> Self {
        Self::watched(parts, ())
    }
}

impl<L: Log, S: Sink, D: DeadTarget, O: Steps> Pipeline<L, S, D, O> {
    /// A pipeline whose step boundaries `steps` watches.
    pub fn watched(parts: Parts<L, S, D>, steps: O) -> Self {
        let Parts { log, sink, dead, limits, catalogue, settings, clock, seed, stop, handle, metrics } = parts;
        let id = log.id().clone();
        Pipeline {
            metrics: metrics.of(sink.name(), &id),
            backoff: Backoff::new(settings.retry.clone(), seed),
            control: handle.control(),
            log,
            sink,
            dead,
            steps,
            id,
            limits,
            catalogue,
            settings,
            clock,
            stop,
            handle,
            records: Records::new(),
            bad: Vec::new(),
            flush_seen: 0,
            flush_to: None,
            last_range: false,
        }
    }

    /// Runs until it is stopped (`Ok`) or must end by itself. Dropping the future is a crash: the
    /// next start finds the pin.
    ///
    /// Errors: [`PipelineError`]; failed calls that may pass are retried here, without end.
    pub async fn run(mut self) -> Result<(), PipelineError> {
        let end = match self.pull().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        match end {
            End::Stopped => {
                self.handle.state(State::Stopped);
                Ok(())
            }
            End::Error(error) => {
                self.metrics.failures.inc();
                self.handle.fail(error.to_string());
                tracing::error!(sink = self.sink.name(), log = %self.id, %error, "the pipeline ended");
                Err(error)
            }
        }
    }

    async fn pull(&mut self) -> Result<std::convert::Infallible, End> {
        let start = self.start().await?;
        let mut next = start.next;
        let mut ahead = match start.pinned {
            Some(to) => {
                self.sink.resume(&self.id, Range { from: next, to }, start.hint);
                Some(self.read_pinned(Range { from: next, to }).await?)
            }
            None => None,
        };
        loop {
            let hand = match ahead.take() {
                Some(hand) => hand,
                None => self.collect(next).await?,
            };
            self.step(Step::Collected, hand.range)?;
            ahead = self.carry(&hand).await?;
            next = hand.range.to;
        }
    }

    /// Takes one range through prepare ▸ pin ▸ bury ▸ write ▸ commit. Returns the next range when
    /// the commit has pinned it.
    async fn carry(&mut self, hand: &InHand) -> Result<Option<InHand>, End> {
        let range = hand.range;
        // The wait for a catalogue comes before the pin: nothing is begun that cannot go on.
        let snapshot = self.snapshot().await?;
        let batch = self.prepare(range, &snapshot);
        self.step(Step::Prepared, range)?;
        if !hand.pinned {
            let hint = self.sink.hint(&self.id, range);
            self.store(Position { next: range.from, pinned: Some(range.to), hint }).await?;
            self.step(Step::Pinned, range)?;
        }
        self.bury().await?;
        self.step(Step::Buried, range)?;
        self.write(range, &batch, hand.ask).await?;
        self.step(Step::Written, range)?;
        drop(batch);
        let done = self.done(hand);
        // The records are counted above; their memory now takes the next range.
        let ahead = self.look_ahead(range.to).await;
        let hint = ahead.as_ref().map_or(0, |ahead| self.sink.hint(&self.id, ahead.range));
        self.store(Position { next: range.to, pinned: ahead.as_ref().map(|a| a.range.to), hint }).await?;
        self.committed(&done);
        self.step(Step::Committed, range)?;
        Ok(ahead)
    }

    pub(super) fn step(&mut self, step: Step, range: Range) -> Result<(), End> {
        match self.steps.at(step, range) {
            Go::On => Ok(()),
            Go::Crash => Err(PipelineError::Crashed(step).into()),
        }
    }

    /// A call failed that may succeed later: says so, waits, and honours a stop or a pause.
    pub(super) async fn wait_to_retry(&mut self, kind: &'static str, range: Range, reason: String) -> Result<(), End> {
        self.step(Step::Failed, range)?;
        let wait = self.backoff.next_wait();
        self.metrics.retry(kind);
        tracing::warn!(sink = self.sink.name(), log = %self.id, %range, kind, reason, ?wait, "will retry");
        self.handle.state(State::Retrying { reason });
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(End::Stopped),
            () = tokio::time::sleep(wait) => {}
        }
        self.hold_while_paused().await
    }

    /// A call succeeded after failures, or at once.
    pub(super) fn succeeded(&mut self) {
        self.backoff.reset();
        self.handle.state(State::Running);
    }

    /// Returns at once unless an operator paused the pipeline.
    pub(super) async fn hold_while_paused(&mut self) -> Result<(), End> {
        while self.control.borrow_and_update().paused {
            self.handle.state(State::Paused);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(End::Stopped),
                // The sender lives in our own handle, so this ends only with a change.
                _ = self.control.changed() => {}
            }
        }
        Ok(())
    }
}
