//! The stop list on a real compacted topic: known from its start to its end, over restarts, with
//! the brokers away, and with what compaction leaves.
#![cfg(feature = "cluster")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use penstock::kafka::{Message, ProducerOptions, Publisher, SharedProducer, Tail};
use penstock::ledger::{Heartbeat, Reason, StateChange, StateRecord};
use penstock::settings::KafkaSettings;
use penstock::telemetry::SidecarMetrics;
use penstock::time::{Clock, ManualClock, SystemClock};
use penstock_sidecar::stop_list::StopList;
use penstock_sidecar::stop_list::follow::{Following, follow};
use prometheus_client::registry::Registry;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(60);

fn brokers() -> Vec<String> {
    let named = std::env::var("PENSTOCK_TEST_KAFKA").unwrap_or_else(|_| {
        panic!("PENSTOCK_TEST_KAFKA is not set: start the parts with `make cluster` and use the variables it prints")
    });
    named.split(',').map(str::to_owned).collect()
}

struct Topic {
    kafka: KafkaSettings,
    publisher: Publisher,
}

impl Topic {
    async fn new() -> Topic {
        let state_topic = format!("state-{:016x}", rand::random::<u64>());
        let kafka = KafkaSettings { brokers: brokers(), state_topic, ..KafkaSettings::default() };
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", kafka.brokers.join(",")).create().unwrap();
        let topic = NewTopic::new(&kafka.state_topic, 1, TopicReplication::Fixed(1))
            .set("cleanup.policy", "compact")
            .set("segment.ms", "100")
            .set("min.cleanable.dirty.ratio", "0.01");
        let options = AdminOptions::new().operation_timeout(Some(LONG));
        admin.create_topics(&[topic], &options).await.unwrap().into_iter().for_each(|made| drop(made.unwrap()));
        let producer = SharedProducer::new(&kafka, ProducerOptions::default()).unwrap();
        let publisher = Publisher::new(producer, &kafka.state_topic, 0, LONG);
        Topic { kafka, publisher }
    }

    async fn put(&self, key: &[u8], record: &StateRecord) {
        let mut body = Vec::new();
        record.encode(&mut body).unwrap();
        self.publisher.append(&[Message { key, value: Some(&body) }]).await.unwrap();
    }

    async fn change(&self, campaign_id: u32, version: u64, serving: bool) {
        let reasons = if serving { vec![] } else { vec![Reason::TotalBudget] };
        let at = SystemClock.now();
        let change = StateChange { campaign_id, version, serving, reasons, at, cause_received: None };
        self.put(&campaign_id.to_be_bytes(), &StateRecord::Change(change)).await;
    }

    async fn beat(&self, version: u64) {
        self.put(b"heartbeat", &StateRecord::Heartbeat(Heartbeat { version, at: SystemClock.now() })).await;
    }

    fn log(&self) -> Tail {
        Tail::new(&self.kafka, &self.kafka.state_topic, 0)
    }
}

fn list(clock: Arc<dyn Clock>) -> StopList {
    StopList::new(100, LONG, clock, SidecarMetrics::register(&mut Registry::default()))
}

/// Follows `log` beside `test`, then to its end.
async fn beside(list: &StopList, log: Tail, snapshot: Option<&Path>, test: impl Future<Output = ()>) {
    let stop = CancellationToken::new();
    let how = Following { snapshot: snapshot.map(Path::to_owned), interval: LONG };
    let test = async {
        test.await;
        stop.cancel();
    };
    tokio::join!(follow(list.clone(), log, how, stop.clone()), test);
}

/// Waits for something that the follower does.
async fn until(what: &str, is: impl Fn() -> bool) {
    let wait = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.unwrap_or_else(|_| panic!("{what}: not within a minute"));
}

#[tokio::test]
async fn a_list_with_an_empty_memory_knows_all_that_the_topic_says() {
    let topic = Topic::new().await;
    for id in 0..500 {
        topic.change(id, u64::from(id) + 1, id % 3 != 0).await;
    }
    topic.beat(500).await;
    let list = list(Arc::new(SystemClock));
    beside(&list, topic.log(), None, async {
        until("caught up", || !list.stale()).await;
        assert_eq!(list.version(), 500);
        assert!((0..500).all(|id| list.answer(id).serving == (id % 3 != 0)));
        topic.change(1, 501, false).await;
        until("a stop", || !list.answer(1).serving).await;
    })
    .await;
}

#[tokio::test]
async fn a_restarted_list_has_a_head_start_and_is_stale_while_the_brokers_are_away() {
    let topic = Topic::new().await;
    topic.change(7, 1, false).await;
    topic.beat(1).await;
    let folder = tempfile::tempdir().unwrap();
    let snapshot = folder.path().join("stop-list");
    let first = list(Arc::new(SystemClock));
    beside(&first, topic.log(), Some(&snapshot), until("caught up", || !first.stale())).await;
    topic.change(7, 2, true).await;
    topic.change(8, 3, false).await;
    topic.beat(3).await;
    // Nobody listens there.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = KafkaSettings { brokers: vec![gone.to_string()], ..topic.kafka.clone() };
    let second = list(Arc::new(SystemClock));
    beside(&second, Tail::new(&away, &away.state_topic, 0), Some(&snapshot), async {
        until("the snapshot", || !second.answer(7).serving).await;
        assert!(second.answer(7).stale && second.answer(8).serving);
    })
    .await;
    let third = list(Arc::new(SystemClock));
    beside(&third, topic.log(), Some(&snapshot), async {
        until("caught up", || !third.stale()).await;
        assert!(third.answer(7).serving && !third.answer(8).serving);
    })
    .await;
}

#[tokio::test]
async fn silence_makes_a_list_stale_and_a_sign_of_life_mends_it() {
    let topic = Topic::new().await;
    topic.change(7, 1, false).await;
    topic.beat(1).await;
    let clock = ManualClock::at(SystemClock.now());
    let list = list(Arc::new(clock.clone()));
    beside(&list, topic.log(), None, async {
        until("caught up", || !list.stale()).await;
        clock.advance(LONG + Duration::from_secs(30));
        assert!(list.stale() && !list.answer(7).serving);
        clock.set(SystemClock.now());
        topic.beat(1).await;
        until("heard", || !list.stale()).await;
    })
    .await;
}

/// Compaction leaves holes between offsets; nothing of them is lost.
#[tokio::test]
async fn what_compaction_leaves_is_the_whole_list() {
    let topic = Topic::new().await;
    // Told once and never again, so that it keeps its place while all behind it is thinned.
    topic.change(99, 1, false).await;
    let mut version = 1;
    let mut log = topic.log();
    let (mut records, limits) = (penstock::log::Records::new(), whole());
    // Written until the brokers' cleaner has been over some of it.
    let deadline = SystemClock.now().plus(2 * LONG);
    loop {
        for id in 0..5 {
            version += 1;
            topic.change(id, version, id % 2 == 0).await;
        }
        penstock::log::Log::read(&mut log, 0, &limits, &mut records).await.unwrap();
        if records.range().is_some_and(|range| range.len() > records.len() as u64) {
            break;
        }
        assert!(SystemClock.now() < deadline, "the brokers do not compact");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    topic.beat(version).await;
    let list = list(Arc::new(SystemClock));
    beside(&list, topic.log(), None, async {
        until("caught up", || !list.stale()).await;
        assert!((0..5).all(|id| list.answer(id).known && list.answer(id).serving == (id % 2 == 0)));
        assert!(!list.answer(99).serving);
        assert_eq!(list.version(), version);
    })
    .await;
}

fn whole() -> penstock::log::Limits {
    let age = Duration::from_millis(200);
    penstock::log::Limits { rows: usize::MAX, bytes: usize::MAX, age, idle: Duration::from_secs(10), end: None }
}
