//! Group commit: requests that are ready in the same turn of the event loop share one write.
//!
//! A request appends into the writer's buffer. Its answer is withheld by its connection until the task
//! that ends the turn has written for all of them ([`end_turns`]). Requests that have to wait for something
//! else as well let the others run and come back; the first to come back writes. One `Rc` a turn, no channel.

use super::accounts::Accounts;
use super::promise::Promise;
use super::worker::{State, Worker};
use penstock::log::Offset;
use penstock::log::spool::Disk;
use smallvec::SmallVec;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Weak;
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
#[derive(Default)]
pub struct Turn {
    outcome: OnceCell<Result<(), NotWritten>>,
    written: Cell<Option<Instant>>,
    requests: Cell<u64>,
    promises: RefCell<SmallVec<[Promise; 8]>>,
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

    /// Takes a promise that the write settles; `true` for the first.
    pub fn promise(&self, promise: Promise) -> bool {
        let mut promises = self.promises.borrow_mut();
        promises.push(promise);
        promises.len() == 1
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
    pub fn settle(&self, outcome: Result<(), NotWritten>, accounts: &Accounts) {
        self.written.set(outcome.is_ok().then(Instant::now));
        let first = self.outcome.set(outcome).is_ok();
        debug_assert!(first, "a turn is written once");
        for promise in self.promises.take() {
            promise.settle(self, accounts);
        }
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

/// One write for everything appended since the last; ends the turn.
pub(super) fn flush<D: Disk>(state: &mut State<D>, accounts: &Accounts) {
    let (Some(turn), Some(claimed)) = (state.turn.take(), &mut state.writer) else { return };
    match claimed.writer.flush() {
        Ok(()) => {
            accounts.metrics.flushes.inc();
            accounts.metrics.flushed_requests.inc_by(turn.requests());
            turn.settle(Ok(()), accounts);
        }
        Err(error) => {
            tracing::error!(%error, partition = claimed.partition, "a write to the spool failed");
            turn.settle(Err(NotWritten { written: error.written, full: error.full }), accounts);
            if claimed.marks.failure().is_some() {
                state.writer = None;
            }
        }
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
            self.worker.end_turn();
        }
    }
}

/// Ends the turns of a worker in which answers were promised, as long as the worker lives. Turns without
/// any are ended by the requests that wait for them.
pub(crate) async fn end_turns(worker: Weak<Worker>) {
    let Some(promised) = worker.upgrade().map(|worker| worker.promised()) else { return };
    loop {
        promised.notified().await;
        let Some(worker) = worker.upgrade() else { return };
        worker.end_turn();
    }
}
