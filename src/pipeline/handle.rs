//! The outside of a pipeline: its status, and the few things one can ask of it.
//!
//! A handle outlives the generations of its pipeline, so counts go on over a restart and a
//! pause holds through one. Everything passes through two `watch` cells, which hold one value
//! each: there is no queue that could fill.

use super::status::{State, Status};
use crate::log::{LogId, Offset};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What is asked of the pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Control {
    pub(super) paused: bool,
    /// Counts the requests to close the current range early.
    pub(super) flush: u64,
}

#[derive(Debug)]
struct Shared {
    control: watch::Sender<Control>,
    status: watch::Sender<Status>,
}

/// Watches and steers one pipeline through all its generations. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PipelineHandle(Arc<Shared>);

impl PipelineHandle {
    /// A handle for the pipeline of `log` into the sink called `sink`.
    #[must_use]
    pub fn new(sink: &'static str, log: LogId) -> Self {
        PipelineHandle(Arc::new(Shared {
            control: watch::Sender::new(Control::default()),
            status: watch::Sender::new(Status::new(sink, log)),
        }))
    }

    /// How it stands now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status.borrow().clone()
    }

    /// Follows every change of the status.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.0.status.subscribe()
    }

    /// Stops taking new ranges; the range being written is finished first.
    pub fn pause(&self) {
        self.0.control.send_modify(|c| c.paused = true);
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.0.control.send_modify(|c| c.paused = false);
    }

    /// Moves everything that is durable in the log now without waiting for ranges to fill.
    pub fn flush(&self) {
        self.0.control.send_modify(|c| c.flush += 1);
    }

    /// Waits until everything before `offset` is committed; `false` when `longest` passed first.
    pub async fn passed(&self, offset: Offset, longest: Duration) -> bool {
        let mut status = self.subscribe();
        let wait = status.wait_for(|s| s.next.is_some_and(|next| next >= offset));
        matches!(tokio::time::timeout(longest, wait).await, Ok(Ok(_)))
    }

    pub(super) fn control(&self) -> watch::Receiver<Control> {
        let mut control = self.0.control.subscribe();
        control.mark_changed(); // a pause or flush asked for while no generation ran counts too
        control
    }

    pub(super) fn report(&self, change: impl FnOnce(&mut Status)) {
        self.0.status.send_modify(change);
    }

    pub(super) fn state(&self, state: State) {
        self.0.status.send_if_modified(|s| {
            let differs = s.state != state;
            s.state = state;
            differs
        });
    }

    /// A new generation begins (called by whoever builds it).
    pub fn begin(&self, generation: u64) {
        self.report(|s| {
            s.generation = generation;
            s.state = State::Starting;
        });
    }

    /// No generation runs: it could not be built, or panicked.
    pub fn fail(&self, reason: impl Into<String>) {
        self.state(State::Failed { reason: reason.into() });
    }
}
