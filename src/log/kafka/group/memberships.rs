//! One membership after the other, under one name.
//!
//! A client that the coordinator has fenced (`FENCED_INSTANCE_ID`) never recovers. Either another
//! process has our name, or nobody has: a coordinator that dies between taking our join and
//! answering it leaves a member that the repeated join, with its older id, is fenced by. Nothing
//! tells the two apart, so the client is dropped and the group joined anew after a growing wait.
//! Without a rival that ends it. With one, the two take the partitions from each other, at most
//! once in [`LONGEST`] each, until somebody gives them names of their own: the counter
//! `penstock_group_memberships_ended` and its alert tell them.
//!
//! What a fenced member had under way is refused: its epoch is over before the client is dropped,
//! and the broker takes no commit of its generation. So the positions stay those of the one owner.

use super::thread::{Context, Work};
use super::{Assignment, GroupOptions, LOOK, REQUESTS, Request};
use crate::kafka::client;
use crate::log::kafka::fetch::ClientError;
use crate::settings::KafkaSettings;
use crate::telemetry::kafka_log::KafkaLogMetrics;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The wait after the first loss of a membership, with as much again of jitter.
const FIRST: Duration = Duration::from_secs(1);
/// The longest one, without the jitter: an own name that is given to the rival takes effect so soon.
const LONGEST: Duration = Duration::from_secs(60);
/// A membership that lasted so long was no rival's to end; the waits begin anew. Longer than two
/// rivals leave each other at the longest wait.
const SETTLED: Duration = Duration::from_secs(600);

/// What makes the clients, and what they share.
pub(super) struct Memberships {
    config: ClientConfig,
    options: GroupOptions,
    state: watch::Sender<Assignment>,
    metrics: KafkaLogMetrics,
    wake: SyncSender<Request>,
    stop: Arc<AtomicBool>,
}

/// What is left to the member that the thread works for.
pub(super) struct Ends {
    pub requests: SyncSender<Request>,
    pub assignment: watch::Receiver<Assignment>,
    pub stop: Arc<AtomicBool>,
}

impl Memberships {
    /// Joins for the first time and leaves the rest to a thread.
    pub fn start(
        settings: &KafkaSettings,
        options: &GroupOptions,
        metrics: KafkaLogMetrics,
    ) -> Result<Ends, ClientError> {
        let config = config(settings, options)?;
        let (wake, requests) = sync_channel(REQUESTS);
        let (state, assignment) = watch::channel(Assignment::default());
        let stop = Arc::new(AtomicBool::new(false));
        let ends = Ends { requests: wake.clone(), assignment, stop: Arc::clone(&stop) };
        let memberships = Memberships { config, options: options.clone(), state, metrics, wake, stop };
        let first = memberships.join()?;
        let thread = std::thread::Builder::new().name(format!("group-{}", options.group));
        thread.spawn(move || memberships.run(first, &requests)).map_err(ClientError::Thread)?;
        Ok(ends)
    }

    fn join(&self) -> Result<BaseConsumer<Context>, ClientError> {
        let context = Context { assignment: self.state.clone(), metrics: self.metrics.clone() };
        let mut consumer: BaseConsumer<Context> =
            BaseConsumer::from_config_and_context(&self.config, context).map_err(ClientError::Create)?;
        let wake = self.wake.clone();
        // A full channel will be served anyway.
        consumer.set_nonempty_callback(move || drop(wake.try_send(Request::Wake)));
        let topics: Vec<&str> = self.options.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(ClientError::Create)?;
        Ok(consumer)
    }

    fn run(self, first: BaseConsumer<Context>, requests: &Receiver<Request>) {
        let again = || {
            let waits = ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(LONGEST);
            waits.with_jitter().without_max_times().build()
        };
        let mut joined: Result<_, ClientError> = Ok(first);
        let mut waits = again();
        loop {
            let began = Instant::now();
            let why = match joined {
                Ok(consumer) => Work::new(consumer, requests, &self.stop, &self.options).run(),
                Err(error) => Err(error.to_string()),
            };
            let Err(why) = why else { break };
            self.metrics.memberships_ended.inc();
            if began.elapsed() > SETTLED {
                waits = again();
            }
            let wait = waits.next().unwrap_or(LONGEST);
            tracing::error!(
                group = self.options.group,
                why,
                ?wait,
                "the membership has ended; the group is joined anew"
            );
            if !self.refuse(requests, wait) {
                break;
            }
            joined = self.join();
        }
        self.state.send_modify(|a| *a = Assignment { epoch: a.epoch + 1, ..Assignment::default() });
    }

    /// Refuses what is asked for while there is no membership; `false` when the member stops.
    /// A request that is dropped is answered as fenced.
    fn refuse(&self, requests: &Receiver<Request>, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        while !self.stop.load(Ordering::Acquire) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            match requests.recv_timeout(left.min(LOOK)) {
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        false
    }
}

fn config(settings: &KafkaSettings, options: &GroupOptions) -> Result<ClientConfig, ClientError> {
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
    Ok(config)
}
