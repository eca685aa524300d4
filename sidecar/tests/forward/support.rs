//! A spool with events in it, a forwarder on it, and a look at what Kafka holds.

use penstock::event::{self, Defaults, IdSource};
use penstock::kafka::Key;
use penstock::log::spool::{Group, GroupBuf, RealDisk, Retention, Spool, Writer};
use penstock::log::{LogId, Range};
use penstock::pipeline::{
    DeadError, DeadTarget, Go, Letter, Parts, Pipeline, PipelineError, PipelineHandle, Step, Steps,
};
use penstock::registry::FixedIds;
use penstock::settings::{ForwardSettings, KafkaSettings, PipelineSettings, SpoolSettings};
use penstock::telemetry::{ForwardMetrics, PipelineMetrics};
use penstock::time::SystemClock;
use penstock_sidecar::forward::Forwarder;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _, Offset as At, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// The real brokers.
pub fn brokers() -> String {
    std::env::var("PENSTOCK_TEST_KAFKA")
        .expect("PENSTOCK_TEST_KAFKA is not set: `make cluster` starts the brokers and prints it")
}

pub fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

pub fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    client(brokers).create().unwrap()
}

/// Two topics of a random name: one for impressions and visits, one for the other types.
pub fn settings(brokers: &str) -> KafkaSettings {
    let name = format!("t{:08x}", rand::random::<u32>());
    let mut settings =
        KafkaSettings { brokers: brokers.split(',').map(str::to_owned).collect(), ..KafkaSettings::default() };
    for kind in event::TYPES {
        let half = if matches!(kind.name, "impression" | "visit") { "a" } else { "b" };
        settings.topics.insert(kind.name.to_owned(), format!("{name}-{half}"));
    }
    settings
}

pub async fn make_topics(settings: &KafkaSettings, partitions: i32) {
    let admin = admin(&settings.brokers.join(","));
    let topics = settings.event_topics();
    let new: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|t| NewTopic::new(t, partitions, TopicReplication::Fixed(3)).set("min.insync.replicas", "2"))
        .collect();
    for made in admin.create_topics(&new, &AdminOptions::new()).await.unwrap() {
        made.unwrap();
    }
}

/// A spool of one partition with a forwarder's place.
pub struct Stand {
    dir: TempDir,
    pub spool: Spool,
    writer: Writer<RealDisk>,
    ids: IdSource,
    pub kafka: KafkaSettings,
    pub forward: ForwardSettings,
    pub registry: Option<FixedIds>,
    pub letters: Letters,
    pub metrics: ForwardMetrics,
    pub handle: PipelineHandle,
}

#[derive(Clone, Default)]
pub struct Letters(pub Arc<Mutex<Vec<(u64, String)>>>);

impl DeadTarget for Letters {
    async fn bury(&mut self, letters: &[Letter<'_>]) -> Result<(), DeadError> {
        self.0.lock().unwrap().extend(letters.iter().map(|l| (l.offset, l.code.to_owned())));
        Ok(())
    }
}

impl Stand {
    pub fn new(kafka: KafkaSettings) -> Stand {
        let dir = tempfile::tempdir().unwrap();
        let settings = SpoolSettings { segment_bytes: 1 << 20, reserve_bytes: 1 << 20, ..SpoolSettings::default() };
        let clock = Arc::new(SystemClock);
        let spool = Spool::open(RealDisk, &dir.path().join("spool"), 1, &settings, Retention::default(), clock);
        let spool = spool.unwrap().0;
        let writer = spool.writer(0).unwrap();
        drop(spool.reader("kafka", 0).unwrap());
        let forward = ForwardSettings {
            max_rows: 700,
            max_age: Duration::ZERO,
            refresh: Duration::from_secs(1),
            ..ForwardSettings::default()
        };
        let log = LogId { name: spool.log_name().clone(), partition: 0 };
        Stand {
            dir,
            spool,
            writer,
            ids: IdSource::seeded(1),
            kafka,
            forward,
            registry: None,
            letters: Letters::default(),
            metrics: ForwardMetrics::detached(),
            handle: PipelineHandle::new("kafka", log),
        }
    }

    /// Appends `n` events of all types, durably. Returns the end.
    pub async fn append(&mut self, n: usize) -> u64 {
        let defaults = Defaults {
            received: penstock::time::Clock::now(&SystemClock),
            server: "s1",
            max_future: Duration::from_secs(60),
            max_event_bytes: 64 << 10,
        };
        let types = ["impression", "visit", "click", "conversion"];
        let mut body = Vec::new();
        let mut end = 0;
        for chunk in (0..n).collect::<Vec<_>>().chunks(500) {
            let mut group = GroupBuf::new();
            for i in chunk {
                let json = format!(r#"{{"type":"{}","payload":{{"tag":"t{i}"}}}}"#, types[i % 4]);
                body.clear();
                event::admit(json.as_bytes(), &defaults, &mut self.ids, &mut body).unwrap();
                group.push(&body);
            }
            end = self.append_group(&group).await;
        }
        end
    }

    pub async fn append_group(&mut self, group: &GroupBuf) -> u64 {
        let range = self.writer.append(&Group::plain(group)).unwrap();
        self.writer.flush().unwrap();
        self.writer.watermarks().wait_synced(range.to).await.unwrap();
        range.to
    }

    pub fn plan(&self) -> std::path::PathBuf {
        self.dir.path().join("forward").join("0.json")
    }

    /// One life of a process: a forwarder made anew runs until `ends` does, `steps` crashes it, or
    /// it has committed everything before `upto`. All that it held goes with it.
    pub async fn live<O: Steps>(
        &self,
        upto: u64,
        steps: O,
        ends: impl Future<Output = ()>,
    ) -> Option<Result<(), PipelineError>> {
        let (stop, metrics) = (CancellationToken::new(), self.metrics.clone());
        let folder = self.dir.path().join("forward");
        let forwarder =
            Forwarder::start(&self.kafka, &self.forward, folder, self.registry.clone(), metrics, stop.clone()).unwrap();
        let log = self.spool.reader("kafka", 0).unwrap();
        let id = LogId { name: self.spool.log_name().clone(), partition: 0 };
        let pipeline = Pipeline::watched(
            Parts {
                sink: forwarder.sink(&id, self.spool.watermarks(0).unwrap(), stop.clone()).unwrap(),
                log,
                dead: self.letters.clone(),
                limits: forwarder.limits(),
                catalogue: None,
                settings: PipelineSettings::default(),
                clock: Arc::new(SystemClock),
                seed: 1,
                stop: stop.clone(),
                handle: self.handle.clone(),
                metrics: PipelineMetrics::detached(),
            },
            steps,
        );
        let reached = async {
            let mut status = self.handle.subscribe();
            let all = status.wait_for(|s| s.next.is_some_and(|next| next >= upto));
            all.await.unwrap();
            stop.cancel();
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = pipeline.run() => Some(ended),
            () = reached => None,
            () = ends => None,
        };
        stop.cancel();
        ended
    }

    /// Lives without a crash until everything before `upto` is committed.
    pub async fn drain(&self, upto: u64) {
        let patience = Box::pin(tokio::time::sleep(Duration::from_secs(120)));
        let ended = self.live(upto, (), patience).await;
        let state = self.handle.status();
        ended.unwrap_or_else(|| panic!("not drained in two minutes: {state:?}")).unwrap();
    }

    /// What Kafka holds: per topic and partition the sequences in their order.
    pub fn held(&self) -> BTreeMap<(String, i32), Vec<u64>> {
        let spool = penstock::kafka::key::spool_id(&LogId { name: self.spool.log_name().clone(), partition: 0 });
        let mut held: BTreeMap<(String, i32), Vec<u64>> = BTreeMap::new();
        for (topic, partition, key, _) in read(&self.kafka) {
            match Key::parse(&key) {
                Some(Key::Record { spool: of, sequence }) => {
                    assert_eq!(Some(of), spool);
                    held.entry((topic, partition)).or_default().push(sequence);
                }
                Some(Key::Barrier { spool: of, .. }) => assert_eq!(Some(of), spool),
                None => panic!("a foreign key {key:?}"),
            }
        }
        held
    }

    /// Every sequence of `range` is there once, and in ascending order in its partition.
    pub fn assert_whole(&self, range: Range) {
        let held = self.held();
        for (place, sequences) in &held {
            let ascending = sequences.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(ascending, "{place:?} is out of order or repeats");
        }
        let mut all: Vec<u64> = held.into_values().flatten().collect();
        all.sort_unstable();
        assert!(all.iter().copied().eq(range.from..range.to), "{} of {range} are there", all.len());
    }
}

/// Everything in the event topics: topic, partition, key, value.
pub fn read(kafka: &KafkaSettings) -> Vec<(String, i32, Vec<u8>, Option<Vec<u8>>)> {
    let mut config = client(&kafka.brokers.join(","));
    config.set("group.id", "test").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let wait = Duration::from_secs(20);
    let (mut assignment, mut left) = (TopicPartitionList::new(), 0);
    for topic in kafka.event_topics() {
        let metadata = consumer.fetch_metadata(Some(&topic), wait).unwrap();
        for partition in metadata.topics()[0].partitions() {
            let (low, high) = consumer.fetch_watermarks(&topic, partition.id(), wait).unwrap();
            assignment.add_partition_offset(&topic, partition.id(), At::Offset(low)).unwrap();
            left += high - low;
        }
    }
    consumer.assign(&assignment).unwrap();
    let began = Instant::now();
    let mut found = Vec::new();
    while left > 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "{left} records do not come");
        if let Some(Ok(m)) = consumer.poll(Duration::from_millis(100)) {
            let (key, value) = (m.key().unwrap_or_default().to_vec(), m.payload().map(<[u8]>::to_vec));
            found.push((m.topic().to_owned(), m.partition(), key, value));
            left -= 1;
        }
    }
    found
}

/// Crashes at the `n`th boundary of a kind.
pub struct CrashAt(pub Step, pub usize);

impl Steps for CrashAt {
    fn at(&mut self, step: Step, _: Range) -> Go {
        if step == self.0 {
            self.1 = self.1.saturating_sub(1);
            if self.1 == 0 {
                return Go::Crash;
            }
        }
        Go::On
    }
}
