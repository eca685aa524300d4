//! The process as a member of a consumer group: which partitions it owns, and their positions.
//!
//! The one thing to know: **one thread** serves the rebalances and makes the commits, one at a
//! time, each waited for. While it waits for a commit it cannot answer a rebalance, and without its
//! answer the group cannot go on without this member, so no commit of ours is under way when
//! somebody else becomes the owner. Ownership is a number, the *epoch*: it goes up with every
//! assignment and every revocation, before the group hears our answer, and a request that was made
//! in an earlier epoch is refused here ([`LogError::Fenced`]).
//!
//! # A member that slept
//! A process that is stopped for longer than `consume.session_timeout` loses its partitions without
//! hearing of it. When it goes on, a pipeline of it may ask for a commit at once. The broker does
//! not know who owns a partition; it looks at member and generation:
//!
//! - The member is gone from the group and its generation is old: the commit is refused
//!   (`UNKNOWN_MEMBER_ID`, `ILLEGAL_GENERATION`; `FENCED_INSTANCE_ID` when the same instance was
//!   started elsewhere). This is the usual case, before and while the client learns of its loss.
//! - The client has rejoined, with a new generation: it could only rejoin through our revocation
//!   callback, which raised the epoch, so the request is refused here.
//! - The client has just learned of its loss and has no generation (-1). Brokers take such a commit
//!   if the group has no member at all, which would need the new owner to have come and gone as
//!   well. Therefore a lost assignment is asked for right before each commit.
//!
//! So the position of a new owner is never moved back by an old one. What an old owner still has
//! under way in its sink is the sink's to fence; it never begins a range without a commit (the pin).
//!
//! # Times
//! `max.poll.interval.ms` bounds how long this thread may be busy, not how long a sink may take: it
//! is only ever away in a commit, which ends by itself within the session timeout when there is no
//! coordinator. Five minutes are far beyond that.

mod memberships;
mod thread;

use self::memberships::{Ends, Memberships};
use super::fetch::{ClientError, io_error};
use crate::log::{LogError, LogId, Position};
use crate::settings::KafkaSettings;
use crate::telemetry::kafka_log::KafkaLogMetrics;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Requests that may wait for the thread. Each pipeline has one at a time, and one more after each
/// that it gave up waiting for.
const REQUESTS: usize = 1024;
/// How often the thread serves the client without being woken.
const LOOK: Duration = Duration::from_millis(100);
/// Events of the client that are served before requests have their turn again.
const EVENTS: usize = 16;
/// Longest time to read positions from the coordinator.
const ASK: Duration = Duration::from_secs(5);

/// What a member joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOptions {
    /// Name of the group; one a sink.
    pub group: String,
    /// Topics whose partitions it shares.
    pub topics: Vec<String>,
    /// Name of this member that outlives restarts (static membership): a process that comes back
    /// within the session timeout finds its partitions without a rebalance. No two may share one.
    pub instance: String,
    /// A member that is not heard for so long has lost its partitions.
    pub session_timeout: Duration,
    /// How long a pipeline waits for its commit before it asks again.
    pub commit_timeout: Duration,
}

/// What this process owns now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// Goes up with every change.
    pub epoch: u64,
    /// The partitions.
    pub partitions: BTreeSet<LogId>,
    /// Why the process is out of the group, until it is let in again (another process may have our
    /// instance name).
    pub out: Option<String>,
}

enum Request {
    Wake,
    Store { owner: u64, log: LogId, position: Position, answer: oneshot::Sender<Result<(), LogError>> },
    Position { owner: u64, log: LogId, answer: oneshot::Sender<Result<Option<Position>, LogError>> },
}

/// A member of a group. Leaves it when dropped.
pub struct Member {
    shared: Arc<Shared>,
}

struct Shared {
    requests: SyncSender<Request>,
    assignment: watch::Receiver<Assignment>,
    commit_timeout: Duration,
    stop: Arc<AtomicBool>,
}

/// The right to one partition in one epoch. Cheap to clone.
#[derive(Clone)]
pub struct Owner {
    shared: Arc<Shared>,
    epoch: u64,
    log: LogId,
}

impl Member {
    /// Joins a group; partitions come when the brokers are there.
    ///
    /// Errors: [`ClientError`].
    pub fn join(
        settings: &KafkaSettings,
        options: &GroupOptions,
        metrics: KafkaLogMetrics,
    ) -> Result<Member, ClientError> {
        let Ends { requests, assignment, stop } = Memberships::start(settings, options, metrics)?;
        let commit_timeout = options.commit_timeout;
        Ok(Member { shared: Arc::new(Shared { requests, assignment, commit_timeout, stop }) })
    }

    /// Follows what this process owns.
    #[must_use]
    pub fn assignment(&self) -> watch::Receiver<Assignment> {
        self.shared.assignment.clone()
    }

    /// The right to a partition of the assignment that was just read; `None` when it is not in it.
    #[must_use]
    pub fn owner(&self, log: &LogId) -> Option<Owner> {
        let assignment = self.shared.assignment.borrow();
        let owner = || Owner { shared: Arc::clone(&self.shared), epoch: assignment.epoch, log: log.clone() };
        assignment.partitions.contains(log).then(owner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        let _served_anyway = self.shared.requests.try_send(Request::Wake);
    }
}

impl Owner {
    /// The partition.
    #[must_use]
    pub fn log(&self) -> &LogId {
        &self.log
    }

    /// Whether the partition is still ours.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.shared.assignment.borrow().epoch == self.epoch
    }

    /// Returns when the partition is not ours any more.
    pub async fn revoked(&self) {
        let mut assignment = self.shared.assignment.clone();
        // A thread that ended revokes as well.
        let _ended = assignment.wait_for(|a| a.epoch != self.epoch).await;
    }

    pub(super) async fn position(&self) -> Result<Option<Position>, LogError> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Position { owner: self.epoch, log: self.log.clone(), answer };
        self.ask(request, answered, "read the position").await
    }

    pub(super) async fn store(&self, position: Position) -> Result<(), LogError> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Store { owner: self.epoch, log: self.log.clone(), position, answer };
        self.ask(request, answered, "store the position").await
    }

    async fn ask<T>(
        &self,
        request: Request,
        answered: oneshot::Receiver<Result<T, LogError>>,
        what: &str,
    ) -> Result<T, LogError> {
        let failed = |why: &str| Err(io_error(&self.log, what, io::Error::other(why)));
        if self.shared.requests.try_send(request).is_err() {
            return failed("the group's thread is busy, or has ended");
        }
        match tokio::time::timeout(self.shared.commit_timeout, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(LogError::Fenced(self.log.clone())), // the thread has ended
            Err(_) => failed("the coordinator does not answer"),
        }
    }
}
