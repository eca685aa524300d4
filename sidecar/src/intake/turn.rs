//! Group commit: requests that are ready in the same turn of the event loop share one write.
//!
//! A request appends into the writer's buffer and then lets the others that are ready run; the
//! first to come back writes for all of them. One `Rc` a turn, no task, no channel.

use penstock::log::Offset;
use std::cell::{Cell, OnceCell};
use tokio::time::Instant;

/// Why a turn's write failed.
#[derive(Clone, Copy, Debug)]
pub struct NotWritten {
    /// Groups that end at or below it are written all the same.
    pub written: Offset,
    /// For lack of space.
    pub full: bool,
}

/// One turn: everything appended between two writes of a worker.
#[derive(Debug, Default)]
pub struct Turn {
    outcome: OnceCell<Result<(), NotWritten>>,
    written: Cell<Option<Instant>>,
    requests: Cell<u64>,
}

impl Turn {
    /// Counts a request in.
    pub fn join(&self) {
        self.requests.set(self.requests.get() + 1);
    }

    /// How many requests wait for the write.
    pub fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Whether the write has been done or has failed.
    pub fn settled(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// When the write had succeeded: one reading of the clock for all of its requests.
    pub fn written(&self) -> Option<Instant> {
        self.written.get()
    }

    /// Tells everybody; the first outcome holds.
    pub fn settle(&self, outcome: Result<(), NotWritten>) {
        self.written.set(outcome.is_ok().then(Instant::now));
        let first = self.outcome.set(outcome).is_ok();
        debug_assert!(first, "a turn is written once");
    }

    /// What became of a group that ends at `to`; `None` when not yet written.
    pub fn of(&self, to: Offset) -> Option<Result<(), NotWritten>> {
        Some(match self.outcome.get()? {
            Ok(()) => Ok(()),
            Err(e) if to <= e.written => Ok(()),
            Err(e) => Err(*e),
        })
    }
}
