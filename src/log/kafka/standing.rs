//! Where topics end and groups stand, seen by a process that is no member: for the panel.
//!
//! A thread asks the brokers; whoever wants to know reads the last answer. Positions only grow, so
//! an old answer errs on the safe side: what it says is written has been written.

use super::fetch::{ClientError, FetchContext};
use super::stored;
use crate::kafka::client;
use crate::log::{LogId, Offset};
use crate::settings::KafkaSettings;
use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How often the brokers are asked while nobody wants to know at once.
const EVERY: Duration = Duration::from_millis(500);
/// Longest time for one question.
const ASK: Duration = Duration::from_secs(5);
/// Callers that may wait for a fresh answer.
const WAITING: usize = 64;

/// What the brokers said last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// First offset behind the last record of each partition, on all in-sync replicas.
    pub ends: BTreeMap<LogId, Offset>,
    /// By group: the offset before which everything is written. Partitions of which the group has
    /// stored none are left out.
    pub positions: BTreeMap<String, BTreeMap<LogId, Offset>>,
    /// Why the last question was not answered.
    pub error: Option<String>,
}

/// Follows topics and groups. Cheap to clone; its thread ends with the last of them.
#[derive(Clone)]
pub struct GroupsView {
    seen: watch::Receiver<Seen>,
    refresh: SyncSender<oneshot::Sender<()>>,
}

impl GroupsView {
    /// Follows the partitions of `topics` and where `groups` stand in them.
    ///
    /// Errors: [`ClientError`].
    pub fn new(settings: &KafkaSettings, topics: Vec<String>, groups: &[String]) -> Result<GroupsView, ClientError> {
        let mut clients = Vec::with_capacity(groups.len());
        for group in groups {
            let mut config = client::config(settings)?;
            config
                .set("group.id", group)
                .set("enable.auto.commit", "false")
                .set("allow.auto.create.topics", "false")
                .set("reconnect.backoff.max.ms", "1000");
            let client = BaseConsumer::from_config_and_context(&config, FetchContext::default());
            clients.push((group.clone(), client.map_err(ClientError::Create)?));
        }
        let (sender, seen) = watch::channel(Seen::default());
        let (refresh, requests) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name("kafka-groups".to_owned());
        thread.spawn(move || follow(&clients, &topics, &sender, &requests)).map_err(ClientError::Thread)?;
        Ok(GroupsView { seen, refresh })
    }

    /// What the brokers said last.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Asks the brokers now; returns when they have answered, or failed to.
    pub async fn refresh(&self) {
        let (done, finished) = oneshot::channel();
        if self.refresh.try_send(done).is_ok() {
            let _ended = finished.await;
        }
    }
}

type Client = BaseConsumer<FetchContext>;

fn follow(
    clients: &[(String, Client)],
    topics: &[String],
    sender: &watch::Sender<Seen>,
    requests: &Receiver<oneshot::Sender<()>>,
) {
    let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
    loop {
        match ask(clients, topics) {
            Ok(seen) => drop(sender.send_replace(seen)),
            Err(error) => sender.send_modify(|seen| seen.error = Some(error.to_string())),
        }
        for done in waiting.drain(..) {
            let _gone = done.send(());
        }
        match requests.recv_timeout(EVERY) {
            Ok(first) => waiting.extend(std::iter::once(first).chain(requests.try_iter())),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for (_, client) in clients {
            if let Some(Err(error)) = client.poll(Duration::ZERO) {
                tracing::debug!(%error, "Kafka groups");
            }
        }
    }
}

fn ask(clients: &[(String, Client)], topics: &[String]) -> Result<Seen, KafkaError> {
    let mut seen = Seen::default();
    let Some((_, first)) = clients.first() else { return Ok(seen) };
    let mut list = TopicPartitionList::new();
    // Positions before ends, so that nobody seems to stand behind the end.
    let mut logs = Vec::new();
    for topic in topics {
        let metadata = first.fetch_metadata(Some(topic), ASK)?;
        let found = metadata.topics().iter().filter(|t| t.name() == topic && t.error().is_none());
        for partition in found.flat_map(|t| t.partitions()) {
            list.add_partition(topic, partition.id());
            if let Ok(number) = u32::try_from(partition.id()) {
                logs.push((LogId { name: Arc::from(topic.as_str()), partition: number }, partition.id()));
            }
        }
    }
    for (group, client) in clients {
        let found = client.committed_offsets(list.clone(), ASK)?;
        let positions = seen.positions.entry(group.clone()).or_default();
        for element in found.elements() {
            if let (rdkafka::Offset::Offset(next), Ok(partition)) =
                (element.offset(), u32::try_from(element.partition()))
            {
                let next = Offset::try_from(next).unwrap_or(0);
                if let Err(why) = stored::parse(next, element.metadata()) {
                    tracing::warn!(group, topic = element.topic(), partition, why, "a position that is none of ours");
                }
                positions.insert(LogId { name: element.topic().into(), partition }, next);
            }
        }
    }
    for (log, partition) in logs {
        let (_, end) = first.fetch_watermarks(&log.name, partition, ASK)?;
        seen.ends.insert(log, Offset::try_from(end).unwrap_or(0));
    }
    Ok(seen)
}
