//! The publisher between a real MariaDB and real brokers: whatever it dies of, whoever else
//! writes, the topic ends with what the ledger says. The oracle is compaction's own rule: of each
//! key the last record, whatever its version.

use crate::support::who;
use penstock::kafka::{Message, ProducerOptions, Publisher as Direct, SharedProducer, Tail};
use penstock::ledger::{Heartbeat, Ledger, Reason, StateChange, StateRecord};
use penstock::log::{Limits, Log, Records};
use penstock::settings::{BalancesSettings, KafkaSettings, LedgerSettings};
use penstock::telemetry::BalancesMetrics;
use penstock::time::{Clock, SystemClock};
use penstock_consumers::balances::ledger::mariadb::MariaDbLedger;
use penstock_consumers::balances::{Entry, KafkaStateLog, Overtaken, Publisher, StateLog, StateLogError};
use penstock_consumers::catalogue::parse;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const FILE: &str = r#"{"advertisers": [{"id": 1, "name": "a", "currency": "EUR"}],
"campaigns": [{"id": 10, "name": "c", "advertiser_id": 1}, {"id": 11, "name": "d", "advertiser_id": 1},
              {"id": 12, "name": "e", "advertiser_id": 1}], "tags": {"x": 10}}"#;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: start the parts with `make cluster` and use the variables it prints")
    })
}

struct Cluster {
    url: String,
    kafka: KafkaSettings,
}

impl Cluster {
    /// A database and topics of its own.
    async fn new() -> Cluster {
        let suffix = format!("{:016x}", rand::random::<u64>());
        let server = variable("PENSTOCK_TEST_MARIADB");
        let mut conn = MySqlConnection::connect(&server).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE balances_{suffix}"))).execute(&mut conn).await.unwrap();
        let kafka = KafkaSettings {
            brokers: variable("PENSTOCK_TEST_KAFKA").split(',').map(str::to_owned).collect(),
            state_topic: format!("state-{suffix}"),
            kpis_topic: format!("kpis-{suffix}"),
            ..KafkaSettings::default()
        };
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", kafka.brokers.join(",")).create().unwrap();
        let topic = |name| NewTopic::new(name, 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
        let topics = [topic(&kafka.state_topic), topic(&kafka.kpis_topic)];
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        admin.create_topics(&topics, &options).await.unwrap().into_iter().for_each(|made| drop(made.unwrap()));
        Cluster { url: format!("{}/balances_{suffix}", server.trim_end_matches('/')), kafka }
    }

    async fn ledger(&self) -> MariaDbLedger {
        let settings = LedgerSettings {
            url: Some(self.url.clone()),
            publisher_lease: Duration::from_secs(1),
            ..LedgerSettings::default()
        };
        MariaDbLedger::open(&settings, Arc::new(SystemClock)).await.unwrap()
    }

    fn publisher<S: StateLog>(&self, ledger: &MariaDbLedger, states: S) -> Publisher<MariaDbLedger, S, KafkaStateLog> {
        let settings = BalancesSettings { outbox_poll: Duration::from_millis(20), ..BalancesSettings::default() };
        let kpis = KafkaStateLog::kpis(&self.kafka).unwrap();
        Publisher::new(ledger.clone(), states, kpis, Arc::new(SystemClock), &settings, BalancesMetrics::default())
    }

    /// All records of the topic in their order, waiting for those of all offsets up to its end.
    async fn topic(&self) -> Vec<StateRecord> {
        let mut tail = Tail::new(&self.kafka, &self.kafka.state_topic, 0);
        let (mut next, end) = tail.bounds().await.unwrap();
        let limits =
            Limits { rows: 10_000, bytes: 1 << 20, age: Duration::ZERO, idle: Duration::from_secs(10), end: None };
        let (mut records, mut all) = (Records::new(), Vec::new());
        while next < end {
            tail.read(next, &limits, &mut records).await.unwrap();
            all.extend(records.iter().map(|r| StateRecord::decode(r.body.unwrap()).unwrap()));
            next = records.range().map_or(end, |range| range.to);
        }
        all
    }

    /// What compaction leaves: the last record of each campaign.
    async fn compacted(&self) -> BTreeMap<u32, StateChange> {
        let changes = self.topic().await.into_iter().filter_map(|record| match record {
            StateRecord::Change(change) => Some((change.campaign_id, change)),
            StateRecord::Heartbeat(_) => None,
        });
        changes.collect()
    }

    async fn stopped(&self) -> BTreeMap<u32, Vec<Reason>> {
        let compacted = self.compacted().await;
        compacted.into_iter().filter(|(_, c)| !c.serving).map(|(id, c)| (id, c.reasons)).collect()
    }
}

async fn ledger_says(ledger: &MariaDbLedger) -> BTreeMap<u32, Vec<Reason>> {
    let stopped = ledger.stopped().await.unwrap();
    stopped.into_iter().map(|s| (s.campaign_id, s.stops.iter().map(|stop| stop.reason).collect())).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    None,
    BeforeAppend,
    /// While the brokers have it: the call is dropped after so many polls.
    InAppend,
    BeforeMark,
}

/// A log whose process dies at a step of its next append.
struct Mortal {
    log: KafkaStateLog,
    death: Rc<Cell<Death>>,
}

impl StateLog for Mortal {
    async fn begin(&mut self) -> Result<(), StateLogError> {
        self.log.begin().await
    }

    async fn append(&mut self, records: &[Entry]) -> Result<(), StateLogError> {
        let died = || Err(StateLogError::Fatal("died".to_owned()));
        match self.death.replace(Death::None) {
            Death::None => self.log.append(records).await,
            Death::BeforeAppend => died(),
            Death::InAppend => {
                let _ = futures::poll!(std::pin::pin!(self.log.append(records)));
                died()
            }
            Death::BeforeMark => {
                self.log.append(records).await.unwrap();
                died()
            }
        }
    }

    async fn overtaken(&mut self) -> Result<Overtaken, StateLogError> {
        self.log.overtaken().await
    }
}

#[tokio::test]
async fn the_topic_ends_with_what_the_ledger_says_wherever_the_publisher_dies() {
    let cluster = Cluster::new().await;
    let ledger = cluster.ledger().await;
    ledger.import(&parse(FILE).unwrap(), Duration::from_millis(200), &who()).await.unwrap();
    let death = Rc::new(Cell::new(Death::None));
    let publisher = || {
        let log = KafkaStateLog::states(&cluster.kafka).unwrap();
        cluster.publisher(&ledger, Mortal { log, death: Rc::clone(&death) })
    };
    publisher().repeat().await.unwrap();
    let deaths = [Death::BeforeAppend, Death::InAppend, Death::BeforeMark, Death::None];
    for (round, how) in deaths.iter().cycle().take(12).enumerate() {
        let mut dying = publisher();
        let id = [10, 11, 12][round % 3];
        let serves = ledger.campaign(id).await.unwrap().unwrap().reasons.is_empty();
        toggle(&ledger, id, serves).await;
        death.set(*how);
        let died = dying.publish().await;
        assert_eq!(died.is_err(), *how != Death::None, "{how:?}");
        drop(dying);
        if round % 2 == 0 {
            toggle(&ledger, id, !serves).await;
        }
        publisher().repeat().await.unwrap();
        assert_eq!(cluster.stopped().await, ledger_says(&ledger).await, "round {round}: {how:?}");
    }
    let all = cluster.topic().await;
    let newest = all.iter().map(StateRecord::version).max();
    assert!(matches!(all.last(), Some(StateRecord::Heartbeat(Heartbeat { version, .. })) if Some(*version) == newest));
}

async fn toggle(ledger: &MariaDbLedger, id: u32, stop: bool) {
    let done = if stop { ledger.stop(id, &who()).await } else { ledger.resume(id, &who()).await };
    done.unwrap();
}

#[tokio::test]
async fn an_older_state_that_comes_late_does_not_stay_the_last_one() {
    let cluster = Cluster::new().await;
    let ledger = cluster.ledger().await;
    ledger.import(&parse(FILE).unwrap(), Duration::from_millis(200), &who()).await.unwrap();
    let stop = CancellationToken::new();
    let publisher = cluster.publisher(&ledger, KafkaStateLog::states(&cluster.kafka).unwrap());
    let test = async {
        ledger.stop(10, &who()).await.unwrap();
        until(&cluster, &ledger).await;
        let late = cluster.compacted().await.remove(&10).unwrap();
        ledger.resume(10, &who()).await.unwrap();
        until(&cluster, &ledger).await;
        // A process that slept since the stop goes on and writes what it had in hand.
        let producer = SharedProducer::new(&cluster.kafka, ProducerOptions::default()).unwrap();
        let direct = Direct::new(producer, &cluster.kafka.state_topic, 0, Duration::from_secs(30));
        let body = Entry::state(&late).unwrap().body;
        for _ in 0..3 {
            direct.append(&[Message { key: &10u32.to_be_bytes(), value: Some(&body) }]).await.unwrap();
            until(&cluster, &ledger).await;
        }
        stop.cancel();
    };
    let (done, ()) = tokio::join!(publisher.run(stop.clone()), test);
    done.unwrap();
    assert_eq!(cluster.compacted().await[&10].reasons, vec![]);
}

#[tokio::test]
async fn of_two_publishers_one_publishes_and_the_other_takes_over() {
    let cluster = Cluster::new().await;
    let (here, there) = (cluster.ledger().await, cluster.ledger().await);
    here.import(&parse(FILE).unwrap(), Duration::from_millis(200), &who()).await.unwrap();
    let (first, second) = (CancellationToken::new(), CancellationToken::new());
    let log = || KafkaStateLog::states(&cluster.kafka).unwrap();
    let (a, b) = (cluster.publisher(&here, log()), cluster.publisher(&there, log()));
    let test = async {
        here.stop(10, &who()).await.unwrap();
        until(&cluster, &here).await;
        first.cancel();
        here.stop(11, &who()).await.unwrap();
        until(&cluster, &here).await;
        second.cancel();
    };
    let (a, b, ()) = tokio::join!(a.run(first.clone()), b.run(second.clone()), test);
    a.unwrap();
    b.unwrap();
    // Each told everything when it began, so a state is there twice and not more often.
    let tens = cluster.topic().await.into_iter().filter(|r| matches!(r, StateRecord::Change(c) if c.campaign_id == 10));
    assert!(tens.count() <= 4);
}

/// Returns when the topic says what the ledger says.
async fn until(cluster: &Cluster, ledger: &MariaDbLedger) {
    let deadline = SystemClock.now().plus(Duration::from_secs(60));
    loop {
        let (topic, says) = (cluster.stopped().await, ledger_says(ledger).await);
        if topic == says && cluster.compacted().await.len() == 3 {
            return;
        }
        assert!(SystemClock.now() < deadline, "the topic says {topic:?}, the ledger {says:?}");
        tokio::task::yield_now().await;
    }
}
