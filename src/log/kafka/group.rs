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

use super::fetch::{ClientError, io_error};
use super::stored;
use crate::kafka::client;
use crate::log::{LogError, LogId, Offset, Position};
use crate::settings::KafkaSettings;
use crate::telemetry::kafka_log::KafkaLogMetrics;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
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
    /// The membership has ended for good, and why (another process has our instance name).
    pub ended: Option<String>,
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
        let session = options.session_timeout.as_millis();
        let mut config = client::config(settings)?;
        config
            .set("group.id", &options.group)
            .set("group.instance.id", &options.instance)
            // The classic protocol with all partitions revoked at every change: positions that are
            // committed by hand need the one moment at which nobody owns anything.
            .set("partition.assignment.strategy", "roundrobin,range")
            .set("session.timeout.ms", session.to_string())
            .set("heartbeat.interval.ms", (session / 4).max(1).to_string())
            .set("max.poll.interval.ms", session.max(300_000).to_string())
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false")
            // New topics and partitions are found so soon.
            .set("topic.metadata.refresh.interval.ms", "5000")
            .set("reconnect.backoff.max.ms", "1000");
        let (requests, receiver) = sync_channel(REQUESTS);
        let (sender, assignment) = watch::channel(Assignment::default());
        let context = Context { assignment: sender, metrics };
        let mut consumer: BaseConsumer<Context> =
            BaseConsumer::from_config_and_context(&config, context).map_err(ClientError::Create)?;
        let wake = requests.clone();
        // A full channel will be served anyway.
        consumer.set_nonempty_callback(move || drop(wake.try_send(Request::Wake)));
        let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(ClientError::Create)?;
        let stop = Arc::new(AtomicBool::new(false));
        let work =
            Work { consumer, requests: receiver, stop: Arc::clone(&stop), refused: None, options: options.clone() };
        let thread = std::thread::Builder::new().name(format!("group-{}", options.group));
        thread.spawn(move || work.run()).map_err(ClientError::Thread)?;
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

/// What librdkafka calls back, on the thread that polls.
struct Context {
    assignment: watch::Sender<Assignment>,
    metrics: KafkaLogMetrics,
}

impl Context {
    fn publish(&self, partitions: BTreeSet<LogId>, ended: Option<String>) {
        self.metrics.assigned.set(i64::try_from(partitions.len()).unwrap_or(i64::MAX));
        self.assignment.send_modify(|a| *a = Assignment { epoch: a.epoch + 1, partitions, ended });
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka group");
    }
}

impl ConsumerContext for Context {
    /// Nothing is fetched by this client, so it is given no partition; the group counts what it
    /// assigned. On a revocation the epoch goes up before the answer, and nobody is waited for.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.metrics.rebalances.inc();
        let answered = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let partitions: BTreeSet<LogId> = list.elements().iter().filter_map(log_id).collect();
            tracing::info!(partitions = partitions.len(), "partitions assigned");
            let answered = consumer.assign(&TopicPartitionList::new());
            self.publish(partitions, None);
            answered
        } else {
            tracing::info!(partitions = list.count(), "partitions revoked");
            self.publish(BTreeSet::new(), None);
            consumer.unassign()
        };
        if let Err(error) = answered {
            tracing::error!(%error, "the group did not take the answer to a rebalance");
        }
    }
}

fn log_id(element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>) -> Option<LogId> {
    Some(LogId { name: element.topic().into(), partition: u32::try_from(element.partition()).ok()? })
}

/// The thread.
struct Work {
    consumer: BaseConsumer<Context>,
    requests: Receiver<Request>,
    stop: Arc<AtomicBool>,
    /// A commit was refused in an epoch at this time; a rebalance should follow.
    refused: Option<(u64, Instant)>,
    options: GroupOptions,
}

type Stores = Vec<(u64, LogId, Position, oneshot::Sender<Result<(), LogError>>)>;
type Asks = Vec<(u64, LogId, oneshot::Sender<Result<Option<Position>, LogError>>)>;

impl Work {
    fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            let first = match self.requests.recv_timeout(LOOK) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            // Before the requests: a revocation that waits here refuses them.
            if let Err(why) = self.serve() {
                tracing::error!(group = self.options.group, why, "the membership has ended");
                self.consumer.context().publish(BTreeSet::new(), Some(why));
                return;
            }
            let (mut stores, mut asks): (Stores, Asks) = (Vec::new(), Vec::new());
            for request in first.into_iter().chain(std::iter::from_fn(|| self.requests.try_recv().ok())).take(REQUESTS)
            {
                match request {
                    Request::Wake => {}
                    Request::Store { owner, log, position, answer } => stores.push((owner, log, position, answer)),
                    Request::Position { owner, log, answer } => asks.push((owner, log, answer)),
                }
            }
            self.store(stores);
            self.ask(asks);
            self.rejoin_if_forgotten();
        }
        self.consumer.context().publish(BTreeSet::new(), None);
    }

    /// Serves the client's events; `Err` when the membership is over.
    fn serve(&self) -> Result<(), String> {
        for _ in 0..EVENTS {
            match self.consumer.poll(Duration::ZERO) {
                None => {}
                Some(Ok(_)) => tracing::error!("a record came to the group's client, which fetches none"),
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    return Err(match code {
                        RDKafkaErrorCode::FencedInstanceId => format!(
                            "another process is the member {} of {}: give each its own consume.instance_id",
                            self.options.instance, self.options.group
                        ),
                        other => other.to_string(),
                    });
                }
                Some(Err(error)) => {
                    let hint = match error.rdkafka_error_code() {
                        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                            "; `penstock topics apply` makes the topics"
                        }
                        _ => "",
                    };
                    tracing::warn!(group = self.options.group, %error, "the group{hint}");
                }
            }
        }
        Ok(())
    }

    fn epoch(&self) -> u64 {
        self.consumer.context().assignment.borrow().epoch
    }

    /// Commits the positions of all requests that wait, in one call.
    fn store(&mut self, stores: Stores) {
        let epoch = self.epoch();
        let context = self.consumer.context();
        let owned = context.assignment.borrow().partitions.clone();
        // A partition is asked for once at a time; a second request replaces one that was given up.
        let mut list = TopicPartitionList::with_capacity(stores.len());
        let (mut ours, mut refused): (Stores, Stores) = (Vec::new(), Vec::new());
        for store in stores {
            let is_ours = store.0 == epoch && owned.contains(&store.1) && !self.consumer.assignment_lost();
            if is_ours { ours.push(store) } else { refused.push(store) }
        }
        for (_, log, _, answer) in refused {
            context.metrics.fenced.inc();
            let _given_up = answer.send(Err(LogError::Fenced(log)));
        }
        // Of one partition only the newest request counts, and it is listed once.
        ours.reverse();
        let mut newest: BTreeSet<LogId> = BTreeSet::new();
        ours.retain(|(_, log, ..)| newest.insert(log.clone()));
        if ours.is_empty() {
            return;
        }
        for (_, log, position, _) in &ours {
            if let Err(error) = add(&mut list, log, *position) {
                tracing::error!(%log, %error, "a position cannot be stored");
            }
        }
        let done = self.consumer.commit(&list, CommitMode::Sync);
        let code = done.as_ref().err().and_then(KafkaError::rdkafka_error_code);
        let lost = code.is_some_and(is_lost);
        if lost {
            context.metrics.fenced.inc();
            tracing::warn!(
                group = self.options.group,
                ?code,
                "a commit was refused: the partitions have another owner"
            );
        }
        for (_, log, _, answer) in ours {
            let result = match &done {
                Ok(()) => Ok(()),
                Err(_) if lost => Err(LogError::Fenced(log)),
                Err(error) => Err(io_error(&log, "store the position", io::Error::other(error.to_string()))),
            };
            let _given_up = answer.send(result);
        }
        if lost {
            self.refused.get_or_insert((epoch, Instant::now()));
        }
    }

    /// Reads the positions of all requests that wait, in one call.
    fn ask(&self, asks: Asks) {
        let epoch = self.epoch();
        let (ours, others): (Asks, Asks) = asks.into_iter().partition(|(owner, ..)| *owner == epoch);
        for (_, log, answer) in others {
            let _given_up = answer.send(Err(LogError::Fenced(log)));
        }
        if ours.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::with_capacity(ours.len());
        for (_, log, _) in &ours {
            list.add_partition(&log.name, i32::try_from(log.partition).unwrap_or(i32::MAX));
        }
        let found = self.consumer.committed_offsets(list, ASK);
        for (_, log, answer) in ours {
            let result = match &found {
                Err(error) => Err(io_error(&log, "read the position", io::Error::other(error.to_string()))),
                Ok(found) => committed(found, &log),
            };
            let _given_up = answer.send(result);
        }
    }

    /// A refused commit is followed by a revocation at the next heartbeat. Should it never come,
    /// the group is joined anew, or the partitions would stand still for ever.
    fn rejoin_if_forgotten(&mut self) {
        let Some((epoch, since)) = self.refused else { return };
        if epoch != self.epoch() {
            self.refused = None;
        } else if since.elapsed() > self.options.session_timeout {
            tracing::warn!(group = self.options.group, "joining the group anew");
            self.refused = None;
            self.consumer.context().publish(BTreeSet::new(), None);
            self.consumer.unsubscribe();
            let topics: Vec<&str> = self.options.topics.iter().map(String::as_str).collect();
            if let Err(error) = self.consumer.subscribe(&topics) {
                tracing::error!(%error, "the topics cannot be subscribed to");
            }
        }
    }
}

fn add(list: &mut TopicPartitionList, log: &LogId, position: Position) -> Result<(), KafkaError> {
    let partition = i32::try_from(log.partition).unwrap_or(i32::MAX);
    let mut element = list.add_partition(&log.name, partition);
    element.set_offset(rdkafka::Offset::Offset(i64::try_from(position.next).unwrap_or(i64::MAX)))?;
    element.set_metadata(stored::metadata(position));
    Ok(())
}

/// The position of one partition in what the coordinator answered.
pub(super) fn committed(found: &TopicPartitionList, log: &LogId) -> Result<Option<Position>, LogError> {
    let missing = || io_error(log, "read the position", io::Error::other("it is missing in the answer"));
    let partition = i32::try_from(log.partition).unwrap_or(i32::MAX);
    let element = found.find_partition(&log.name, partition).ok_or_else(missing)?;
    element.error().map_err(|e| io_error(log, "read the position", io::Error::other(e.to_string())))?;
    let next = match element.offset() {
        rdkafka::Offset::Offset(next) => Offset::try_from(next).map_err(|_| missing())?,
        _ => return Ok(None),
    };
    let position = stored::parse(next, element.metadata());
    position.map(Some).map_err(|why| LogError::Position { log: log.clone(), why })
}

/// Whether the error of a commit says that the partitions are not ours any more.
fn is_lost(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as E;
    matches!(
        code,
        E::UnknownMemberId
            | E::IllegalGeneration
            | E::FencedInstanceId
            | E::RebalanceInProgress
            | E::AssignmentLost
            | E::Fatal
    )
}
