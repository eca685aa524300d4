//! Enqueue, replay and forward; see `../forward.rs`.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::float_arithmetic, reason = "a measurement prints ratios")]

use bytes::Bytes;
use penstock::event::{self, Defaults, IdSource, TYPES};
use penstock::kafka::{Message, Producer, ProducerOptions, Slice, Ticket, key};
use penstock::log::LogId;
use penstock::log::spool::{Group, GroupBuf, RealDisk, Retention, Spool};
use penstock::pipeline::{DeadError, DeadTarget, Letter, Parts, Pipeline, PipelineHandle};
use penstock::registry::FixedIds;
use penstock::settings::{ForwardSettings, KafkaSettings, PipelineSettings, SpoolSettings};
use penstock::telemetry::{ForwardMetrics, PipelineMetrics};
use penstock::time::{Clock as _, SystemClock};
use penstock_sidecar::forward::Forwarder;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Events of one measurement, a second or more; in groups of 100, as a body of 100 events makes them.
const EVENTS: usize = 1_200_000;
const GROUP: usize = 100;
/// Of them, so many are enqueued without being sent: more than are ever under way, not so many that new memory
/// is all that counts.
const ENQUEUED: usize = 300_000;
const ROUNDS: usize = 5;
/// Partitions of the spool: what a sidecar has on two cores, one a worker.
const WORKERS: u32 = 2;
const PARTITIONS: u32 = 6;

struct NoLetters;

impl DeadTarget for NoLetters {
    async fn bury(&mut self, letters: &[Letter<'_>]) -> Result<(), DeadError> {
        assert!(letters.is_empty(), "every event of this bench can be sent");
        Ok(())
    }
}

pub fn run() {
    let brokers = std::env::var("PENSTOCK_TEST_KAFKA");
    let Ok(brokers) = brokers else {
        println!("PENSTOCK_TEST_KAFKA is not set: `make cluster` starts the brokers and prints it");
        return;
    };
    let bodies = bodies();
    let kafka = settings(&brokers);
    enqueue(&bodies[..ENQUEUED]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(make_topics(&kafka));
    let (mut replays, mut forwards) = (Vec::new(), Vec::new());
    // The first round warms the brokers up.
    for round in 0..=ROUNDS {
        let (replayed, forwarded) =
            (runtime.block_on(replay(&kafka, &bodies)), runtime.block_on(forward(&kafka, &bodies)));
        if round > 0 {
            replays.push(replayed);
            forwards.push(forwarded);
        }
    }
    let (replayed, forwarded) = (median(replays), median(forwards));
    println!(r#"{{"measure":"replay_producer","events_per_second":{replayed:.0}}}"#);
    println!(
        r#"{{"measure":"forwarder","events_per_second":{forwarded:.0},"ratio_to_replay":{:.2}}}"#,
        forwarded / replayed
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn settings(brokers: &str) -> KafkaSettings {
    let name = format!("bench{:08x}", SystemClock.now().0 & 0xFFFF_FFFF);
    let brokers = brokers.split(',').map(str::to_owned).collect();
    let mut kafka = KafkaSettings { brokers, ..KafkaSettings::default() };
    for kind in TYPES {
        kafka.topics.insert(kind.name.to_owned(), name.clone());
    }
    kafka
}

async fn make_topics(kafka: &KafkaSettings) {
    let admin: AdminClient<DefaultClientContext> = penstock::kafka::client::config(kafka).unwrap().create().unwrap();
    let name = &kafka.event_topics()[0];
    let partitions = i32::try_from(PARTITIONS).unwrap();
    let new = NewTopic::new(name, partitions, TopicReplication::Fixed(3)).set("min.insync.replicas", "2");
    admin.create_topics(&[new], &AdminOptions::new()).await.unwrap();
}

/// Framed events of about 200 bytes.
fn bodies() -> Vec<Vec<u8>> {
    let defaults = Defaults {
        received: SystemClock.now(),
        server: "ad-eu-1",
        max_future: Duration::from_secs(60),
        max_event_bytes: 64 << 10,
    };
    let mut ids = IdSource::seeded(1);
    (0..EVENTS)
        .map(|i| {
            let json = format!(
                r#"{{"type":"impression","payload":{{"tag":"app{}-ch{}","site_id":"ch{}","user_id":"u{i}","ip":"10.1.{}.{}","country":"DE","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36","price_micros":{}}}}}"#,
                i % 7, i % 400, i % 400, i % 250, i % 200, i % 5_000
            );
            let mut body = Vec::new();
            event::admit(json.as_bytes(), &defaults, &mut ids, &mut body).unwrap();
            body
        })
        .collect()
}

/// Enqueue alone, with nobody to send to: what a record costs the thread that has it.
fn enqueue(bodies: &[Vec<u8>]) {
    let nobody = KafkaSettings { brokers: vec!["127.0.0.1:9".to_owned()], ..KafkaSettings::default() };
    let keys: Vec<[u8; 16]> = (0..bodies.len() as u64).map(|i| key::record(1, i)).collect();
    // As a range lies in the forwarder: keys and values in one buffer.
    let (mut buffer, mut slices) = (Vec::new(), Vec::new());
    for (key, body) in keys.iter().zip(bodies) {
        slices.push(Slice { start: buffer.len(), key: key.len(), value: body.len() });
        buffer.extend_from_slice(key);
        buffer.extend_from_slice(body);
    }
    let buffer = Bytes::from(buffer);
    let options = ProducerOptions { buffer_bytes: 1 << 30, buffer_messages: 1_000_000, ..ProducerOptions::default() };
    let (mut singles, mut batches) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut config = penstock::kafka::client::config(&nobody).unwrap();
        config.set("enable.idempotence", "true").set("message.timeout.ms", "0").set("log_level", "0");
        config.set("queue.buffering.max.kbytes", "1048576").set("queue.buffering.max.messages", "1000000");
        let producer: ThreadedProducer<DefaultProducerContext> = config.create().unwrap();
        let began = Instant::now();
        for (key, body) in keys.iter().zip(bodies) {
            producer.send(BaseRecord::to("bench").partition(0).key(key.as_slice()).payload(body)).unwrap();
        }
        singles.push(began.elapsed().as_nanos() as f64 / bodies.len() as f64);
        drop(producer);
        let producer = Producer::new(&nobody, &options).unwrap();
        let mut ticket = Ticket::new();
        let began = Instant::now();
        for slices in slices.chunks(4_096) {
            let done = producer.enqueue_within("bench", 0, &buffer, slices.iter().copied(), &mut ticket).unwrap();
            assert!(!done.full);
        }
        batches.push(began.elapsed().as_nanos() as f64 / bodies.len() as f64);
    }
    let (single, batch) = (median(singles), median(batches));
    println!(
        r#"{{"measure":"enqueue","threaded_producer_ns":{single:.0},"batch_ns":{batch:.0},"ratio":{:.2}}}"#,
        single / batch
    );
}

fn options() -> ProducerOptions {
    let forward = ForwardSettings::default();
    ProducerOptions {
        buffer_bytes: forward.buffer_bytes,
        buffer_messages: 1_000_000,
        linger: forward.linger,
        compression: forward.compression.name(),
        max_message_bytes: forward.max_message_bytes,
    }
}

/// The same bytes, already in memory, by the same call: events a second until all are acknowledged.
async fn replay(kafka: &KafkaSettings, bodies: &[Vec<u8>]) -> f64 {
    let producer = Producer::new(kafka, &options()).unwrap();
    let topic = &kafka.event_topics()[0];
    producer.partitions(topic, Duration::from_secs(30)).unwrap();
    let keys: Vec<[u8; 16]> = (0..bodies.len() as u64).map(|i| key::record(1, i)).collect();
    let mut ticket = Ticket::new();
    let began = Instant::now();
    for (i, (keys, bodies)) in keys.chunks(1_000).zip(bodies.chunks(1_000)).enumerate() {
        let mut from = 0;
        while from < keys.len() {
            let messages =
                keys[from..].iter().zip(&bodies[from..]).map(|(key, body)| Message { key, value: Some(body) });
            let done = producer.enqueue(topic, i as u32 % PARTITIONS, messages, &mut ticket).unwrap();
            from += done.messages;
            if done.full {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    ticket.settled().await;
    assert_eq!(ticket.failed().0, 0);
    bodies.len() as f64 / began.elapsed().as_secs_f64()
}

/// From the spool: events a second from the append of the first group until the last is committed.
async fn forward(kafka: &KafkaSettings, bodies: &[Vec<u8>]) -> f64 {
    let dir = std::env::temp_dir().join(format!("penstock-bench-{}", std::process::id()));
    let clock = Arc::new(SystemClock);
    let settings = SpoolSettings { reserve_bytes: 1 << 20, ..SpoolSettings::default() };
    let spool = Spool::open(RealDisk, &dir, WORKERS, &settings, Retention::default(), clock.clone()).unwrap().0;
    let stop = CancellationToken::new();
    let (metrics, none) = (ForwardMetrics::detached(), None::<FixedIds>);
    let forward = ForwardSettings::default();
    let forwarder = Forwarder::start(kafka, &forward, dir.join("forward"), none, metrics, stop.clone()).unwrap();
    let (mut pipelines, mut handles, mut writers) = (Vec::new(), Vec::new(), Vec::new());
    for partition in 0..WORKERS {
        let id = LogId { name: spool.log_name().clone(), partition };
        let handle = PipelineHandle::new("kafka", id.clone());
        let pipeline = Pipeline::new(Parts {
            sink: forwarder.sink(&id, spool.watermarks(partition).unwrap(), stop.clone()).unwrap(),
            log: spool.reader("kafka", partition).unwrap(),
            dead: NoLetters,
            limits: forwarder.limits(),
            catalogue: None,
            settings: PipelineSettings::default(),
            clock: clock.clone(),
            seed: 1,
            stop: stop.clone(),
            handle: handle.clone(),
            metrics: PipelineMetrics::detached(),
        });
        pipelines.push(pipeline.run());
        handles.push(handle);
        writers.push(spool.writer(partition).unwrap());
    }
    let measured = async {
        // The producer is connected and the plan is made before the clock runs.
        for handle in &handles {
            handle.subscribe().wait_for(|s| s.next.is_some()).await.unwrap();
        }
        let began = Instant::now();
        let mut group = GroupBuf::new();
        for (i, bodies) in bodies.chunks(GROUP).enumerate() {
            let writer = &mut writers[i / 16 % WORKERS as usize];
            group.clear();
            bodies.iter().for_each(|b| group.push(b));
            writer.append(&Group::plain(&group)).unwrap();
            if i % 16 == 15 {
                writer.flush().unwrap();
                tokio::task::yield_now().await;
            }
        }
        for (writer, handle) in writers.iter_mut().zip(&handles) {
            writer.flush().unwrap();
            let end = writer.watermarks().written();
            handle.subscribe().wait_for(|s| s.next == Some(end)).await.unwrap();
        }
        bodies.len() as f64 / began.elapsed().as_secs_f64()
    };
    let rate = tokio::select! {
        rate = measured => rate,
        ended = futures::future::select_all(pipelines.into_iter().map(Box::pin)) => {
            unreachable!("a forwarder ended: {:?}", ended.0)
        }
    };
    stop.cancel();
    drop(writers);
    spool.close().unwrap();
    drop(spool);
    std::fs::remove_dir_all(&dir).unwrap();
    rate
}
