//! One membership: the thread serves rebalances, commits and questions, one at a time.

use super::super::fetch::io_error;
use super::super::stored;
use super::{ASK, Assignment, EVENTS, GroupOptions, LOOK, REQUESTS, Request};
use crate::kafka::client;
use crate::log::{LogError, LogId, Offset, Position};
use crate::telemetry::kafka_log::KafkaLogMetrics;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// What librdkafka calls back, on the thread that polls.
pub(super) struct Context {
    pub assignment: watch::Sender<Assignment>,
    pub metrics: KafkaLogMetrics,
}

impl Context {
    fn assigned(&self, partitions: BTreeSet<LogId>) {
        self.metrics.assigned.set(i64::try_from(partitions.len()).unwrap_or(i64::MAX));
        self.assignment.send_modify(|a| *a = Assignment { epoch: a.epoch + 1, partitions, out: None });
    }

    /// Nothing is ours any more; `out` says why, when it is not about to come back.
    fn revoked(&self, out: Option<String>) {
        self.metrics.assigned.set(0);
        self.assignment.send_modify(|a| {
            // A client that is dropped revokes once more, and knows no better why.
            let out = out.or_else(|| a.out.take());
            *a = Assignment { epoch: a.epoch + 1, partitions: BTreeSet::new(), out };
        });
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
            self.assigned(partitions);
            answered
        } else {
            tracing::info!(partitions = list.count(), "partitions revoked");
            self.revoked(None);
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

/// The work of a membership.
pub(super) struct Work<'a> {
    consumer: BaseConsumer<Context>,
    requests: &'a Receiver<Request>,
    stop: &'a AtomicBool,
    /// A commit was refused in an epoch at this time; a rebalance should follow.
    refused: Option<(u64, Instant)>,
    options: &'a GroupOptions,
}

type Stores = Vec<(u64, LogId, Position, oneshot::Sender<Result<(), LogError>>)>;
type Asks = Vec<(u64, LogId, oneshot::Sender<Result<Option<Position>, LogError>>)>;

impl<'a> Work<'a> {
    pub fn new(
        consumer: BaseConsumer<Context>,
        requests: &'a Receiver<Request>,
        stop: &'a AtomicBool,
        options: &'a GroupOptions,
    ) -> Self {
        Work { consumer, requests, stop, refused: None, options }
    }

    /// Returns when the member stops, with why when the group has thrown it out instead.
    pub fn run(mut self) -> Result<(), String> {
        while !self.stop.load(Ordering::Acquire) {
            let first = match self.requests.recv_timeout(LOOK) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            // Before the requests: a revocation that waits here refuses them.
            if let Err(why) = self.serve() {
                self.consumer.context().revoked(Some(why.clone()));
                return Err(why);
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
        self.consumer.context().revoked(None);
        Ok(())
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
                            "another process is the member {} of {}, unless a broker was just lost: give each its own consume.instance_id",
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
            self.consumer.context().revoked(None);
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
pub(in crate::log::kafka) fn committed(found: &TopicPartitionList, log: &LogId) -> Result<Option<Position>, LogError> {
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
