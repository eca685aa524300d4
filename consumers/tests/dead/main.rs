//! Dead letters in their topic, on real brokers.
#![cfg(feature = "cluster")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

#[path = "../../../src/registry/tests/fake.rs"]
#[allow(dead_code, clippy::cast_possible_truncation, reason = "the registry's own tests need more of it")]
mod fake;

use penstock::codec::frame;
use penstock::event::{self, Defaults, IdSource};
use penstock::kafka::{Key as KafkaKey, ProducerOptions, Publisher, SharedProducer};
use penstock::log::LogId;
use penstock::log::kafka::{FetchOptions, Fetcher};
use penstock::pipeline::{DeadTarget as _, GAP, GapAnswer, Letter};
use penstock::registry::Lookup;
use penstock::settings::{KafkaSettings, RegistrySettings};
use penstock::telemetry::{KafkaLogMetrics, RegistryMetrics};
use penstock::time::{ManualClock, Micros};
use penstock_consumers::dead::marks::{Begun, Mark, Place, Skip};
use penstock_consumers::dead::replay::{Replayer, Report, Wanted};
use penstock_consumers::dead::{Filter, Key, TopicBook, TopicLetters, TopicReplay, TopicTarget};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Message as _, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;

fn settings() -> KafkaSettings {
    let Ok(brokers) = std::env::var("PENSTOCK_TEST_KAFKA") else {
        panic!("PENSTOCK_TEST_KAFKA is not set: `make cluster` starts the brokers, `make test` sets it");
    };
    KafkaSettings { brokers: brokers.split(',').map(str::to_owned).collect(), ..KafkaSettings::default() }
}

async fn topic() -> String {
    let name = format!("test.{:016x}", rand::random::<u64>());
    let admin: AdminClient<DefaultClientContext> =
        penstock::kafka::client::config(&settings()).unwrap().create().unwrap();
    let new = NewTopic::new(&name, 1, TopicReplication::Fixed(3));
    admin.create_topics([&new], &AdminOptions::new()).await.unwrap().pop().unwrap().unwrap();
    name
}

fn ends(topic: &str) -> (TopicTarget, TopicLetters) {
    let clock = Arc::new(ManualClock::at(Micros::from_secs(1_500_000_000)));
    let producer = SharedProducer::new(&settings(), ProducerOptions::default()).unwrap();
    let target = TopicTarget::new(Publisher::new(producer, topic, 0, Duration::from_secs(60)), clock.clone());
    let options = FetchOptions { group: "test".to_owned(), ahead_bytes: 1 << 20, gather: Duration::ZERO };
    let fetcher = Fetcher::new(&settings(), &options).unwrap();
    (target, TopicLetters::new(fetcher, topic, &KafkaLogMetrics::default(), clock))
}

#[tokio::test]
async fn letters_of_several_consumers_are_listed_once_whoever_reads_them() {
    let topic = topic().await;
    let (mut one, letters) = ends(&topic);
    let (mut two, _) = ends(&topic);
    assert_eq!(letters.summary().await.unwrap().total, 0);
    let log = LogId { name: "ads.click".into(), partition: 4 };
    let letter = |sink, offset, code, body| Letter { sink, log: &log, offset, code, field: None, message: "why", body };
    one.bury(&[letter("archive", 7, "bad_body", b"not avro"), letter("archive", 3, "bad_frame", b"x")]).await.unwrap();
    // A crash between letter and commit writes it again, by whoever has the partition then.
    two.bury(&[letter("archive", 7, "bad_body", b"not avro"), letter("statistics", 7, "bad_body", b"not avro")])
        .await
        .unwrap();
    two.bury(&[letter("archive", 9, "barrier", &frame::BARRIER), letter("archive", 11, GAP, b"")]).await.unwrap();
    let summary = letters.summary().await.unwrap();
    assert_eq!((summary.total, summary.gaps, summary.by_sink["archive"], summary.unreadable), (3, 1, 2, 0));
    assert_eq!(letters.marks().await.unwrap().len(), 4, "a barrier accounts for its offset");

    let filter = Filter { sink: Some("archive".to_owned()), limit: 1, ..Filter::default() };
    let page = letters.list(&filter).await.unwrap();
    assert_eq!(page.iter().map(|l| l.key.offset).collect::<Vec<_>>(), [3]);
    let next = letters.list(&Filter { after: Some(page[0].key.clone()), limit: 9, ..filter }).await.unwrap();
    assert_eq!(
        next.iter().map(|l| (l.key.offset, l.code.as_str())).collect::<Vec<_>>(),
        [(7, "bad_body"), (11, "gap")]
    );
    let key = Key { sink: "statistics".into(), log: log.clone(), offset: 7 };
    let shown = letters.show(&key).await.unwrap().unwrap();
    assert_eq!((&shown.body[..], shown.message.as_str()), (&b"not avro"[..], "why"));

    // What comes later is seen by the next question, and a reader of its own sees the same.
    one.bury(&[letter("archive", 20, "bad_body", &vec![7; 2_000_000])]).await.unwrap();
    assert_eq!(letters.summary().await.unwrap().total, 4);
    let long = Key { sink: "archive".into(), log: log.clone(), offset: 20 };
    let shown = letters.show(&long).await.unwrap().unwrap();
    assert_eq!((shown.body.len(), shown.body_bytes), (900_000, 2_000_000), "cut to what a message may hold");
    assert_eq!(ends(&topic).1.summary().await.unwrap(), letters.summary().await.unwrap());
}

const SINKS: [&str; 3] = ["archive", "balances", "statistics"];

fn click(n: u64) -> Vec<u8> {
    let defaults = Defaults {
        received: Micros::from_secs(1_500_000_000),
        server: "s",
        max_future: Duration::from_secs(3_600),
        max_event_bytes: 1 << 20,
    };
    let json = format!(
        r#"{{"type":"click","id":"00000000-0000-4000-8000-{n:012x}","time":"2017-07-14T02:40:00Z","payload":{{"campaign_id":7}}}}"#
    );
    let mut frame = Vec::new();
    event::admit(json.as_bytes(), &defaults, &mut IdSource::seeded(1), &mut frame).unwrap();
    frame
}

/// Every record of a topic's only partition: key and value, by a consumer of the library alone.
async fn records(topic: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let topic = topic.to_owned();
    let read = move || {
        let mut config = penstock::kafka::client::config(&settings()).unwrap();
        config.set("group.id", "test-reader").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().unwrap();
        let (low, high) = consumer.fetch_watermarks(&topic, 0, Duration::from_secs(30)).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, 0, rdkafka::Offset::Offset(low)).unwrap();
        consumer.assign(&list).unwrap();
        let mut found = Vec::new();
        let mut next = low;
        while next < high {
            let message = consumer.poll(Duration::from_secs(30)).expect("the records are there").unwrap();
            next = message.offset() + 1;
            let bytes = |part: Option<&[u8]>| part.unwrap_or_default().to_vec();
            found.push((bytes(message.key()), bytes(message.payload())));
        }
        found
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

struct Replays {
    letters: Arc<TopicLetters>,
    target: TopicTarget,
    kafka: KafkaSettings,
    clock: ManualClock,
}

impl Replays {
    /// Letters by every sink of three records of a topic, of which the second is still poison.
    async fn new() -> Replays {
        let (dead, events) = (topic().await, topic().await);
        let (mut target, letters) = ends(&dead);
        let mut kafka = KafkaSettings { dead_topic: dead, ..settings() };
        kafka.topics.insert("click".to_owned(), events.clone());
        let log = LogId { name: events.into(), partition: 0 };
        for (offset, body) in [(3, click(3)), (5, b"\xC3\x01nobody's schema".to_vec()), (7, click(7))] {
            for sink in SINKS {
                let code = "unknown_schema";
                let letter = Letter { sink, log: &log, offset, code, field: None, message: "why", body: &body };
                target.bury(&[letter]).await.unwrap();
            }
        }
        let clock = ManualClock::at(Micros::from_secs(1_500_000_000));
        Replays { letters: Arc::new(letters), target, kafka, clock }
    }

    fn events(&self) -> String {
        self.kafka.topic_of("click")
    }

    fn replayer(&self) -> Replayer<TopicBook, TopicReplay> {
        let producer = SharedProducer::new(&self.kafka, ProducerOptions::default()).unwrap();
        let book = TopicBook::new(Arc::clone(&self.letters), self.target.clone());
        Replayer::new(book, TopicReplay::new(producer, SINKS.to_vec(), "kafka"), Arc::new(self.clock.clone()))
    }

    fn wanted(&self) -> Wanted {
        let log = LogId { name: self.events().into(), partition: 0 };
        let key = |offset| Key { sink: "archive".into(), log: log.clone(), offset };
        Wanted { letters: [3, 5, 7].map(key).to_vec(), who: "ann".to_owned(), to: None, dry_run: false }
    }

    /// What a call leaves that died behind its first mark.
    async fn begun(&self, number: u64, offset: u64) -> Begun {
        let log = self.events();
        let begun = Begun {
            who: "bob".to_owned(),
            batch: 77,
            number,
            after: None,
            sink: None,
            log: log.clone(),
            floors: vec![(0, 0)],
        };
        let place = Place { log: LogId { name: log.into(), partition: 0 }, offset };
        let book = TopicBook::new(Arc::clone(&self.letters), self.target.clone());
        book.mark(vec![(place, Mark::ReplayBegun(begun.clone()))]).await.unwrap();
        begun
    }
}

fn codes(report: &Report) -> Vec<(u64, &'static str)> {
    report.refused.iter().map(|r| (r.key.offset, r.code)).collect()
}

#[tokio::test]
async fn records_that_every_sink_put_aside_are_produced_once_under_a_key_of_their_own() {
    let replays = Replays::new().await;
    let report = replays.replayer().replay(&replays.wanted()).await.unwrap();
    assert_eq!(codes(&report), [(5, "unknown_schema")]);
    let places: Vec<_> = report.replayed.iter().map(|r| r.landed.as_ref().unwrap().offset).collect();
    assert_eq!(places, [Some(0), Some(1)]);
    let there = records(&replays.events()).await;
    assert_eq!(there.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>(), [click(3), click(7)]);
    // Ascending numbers of one random spool: no sidecar's, and no repeat to the monitor.
    let keys: Vec<_> = there.iter().map(|(key, _)| penstock::kafka::Key::parse(key).unwrap()).collect();
    let [KafkaKey::Record { spool: a, sequence: 0 }, KafkaKey::Record { spool: b, sequence: 1 | 2 }] = keys[..] else {
        panic!("{keys:?}");
    };
    assert_eq!(a, b);
    // Whoever asks again, from this process or another, is refused.
    let again = Replays { letters: Arc::new(ends(&replays.kafka.dead_topic).1), ..replays };
    let report = again.replayer().replay(&again.wanted()).await.unwrap();
    assert_eq!(codes(&report), [(3, "replayed"), (5, "unknown_schema"), (7, "replayed")]);
    assert_eq!(records(&again.events()).await.len(), 2);
    assert_eq!(again.letters.summary().await.unwrap().replayed, 2);
}

#[tokio::test]
async fn a_record_whose_id_the_registry_knows_again_goes_in_single_object_encoding() {
    let replays = Replays::new().await;
    let log = LogId { name: replays.events().into(), partition: 0 };
    let mut target = replays.target.clone();
    let datum = click(11)[10..].to_vec();
    let registry = fake::Fake::start().await;
    let (known, moved) = (event::click::TYPE.schema_json, event::visit::TYPE.schema_json);
    let [known, moved] = [known, moved].map(|schema| registry.add(serde_json::json!({ "schema": schema })));
    for (offset, id) in [(11, known), (12, moved), (13, moved + 1)] {
        let body = [&penstock::codec::confluent::header(id)[..], &datum].concat();
        for sink in SINKS {
            let code = "bad_frame";
            let letter = Letter { sink, log: &log, offset, code, field: None, message: "why", body: &body };
            target.bury(&[letter]).await.unwrap();
        }
    }
    let key = |offset| Key { sink: "archive".into(), log: log.clone(), offset };
    let wanted = Wanted { letters: [11, 12, 13].map(key).to_vec(), ..replays.wanted() };
    let with = |url: String| {
        let settings = RegistrySettings { urls: vec![url], ..RegistrySettings::default() };
        let lookup = Lookup::new(&settings, RegistryMetrics::default()).unwrap();
        let producer = SharedProducer::new(&replays.kafka, ProducerOptions::default()).unwrap();
        let book = TopicBook::new(Arc::clone(&replays.letters), replays.target.clone());
        let target = TopicReplay::new(producer, SINKS.to_vec(), "kafka").with_registry(Some(lookup));
        Replayer::new(book, target, Arc::new(replays.clock.clone()))
    };
    registry.mood(fake::Mood::Closes);
    let away = with(registry.url.clone()).replay(&wanted).await.unwrap();
    assert_eq!(codes(&away), [(11, "registry_away"), (12, "registry_away"), (13, "registry_away")]);
    // The second id is a schema of another topic now, and the third still nobody's.
    registry.mood(fake::Mood::Good);
    let report = with(registry.url.clone()).replay(&wanted).await.unwrap();
    assert_eq!((report.replayed.len(), codes(&report)), (1, vec![(12, "refused"), (13, "bad_frame")]));
    assert_eq!(records(&replays.events()).await.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), [click(11)]);
}

#[tokio::test]
async fn a_record_for_one_sink_alone_is_produced_once_in_a_cover_that_names_it() {
    let replays = Replays::new().await;
    let wanted = Wanted { to: Some("balances".to_owned()), ..replays.wanted() };
    let report = replays.replayer().replay(&wanted).await.unwrap();
    assert_eq!((report.replayed.len(), codes(&report)), (2, vec![(5, "unknown_schema")]));
    let there = records(&replays.events()).await;
    let seen: Vec<_> = there.iter().map(|(_, value)| frame::addressed(value).unwrap()).collect();
    assert_eq!(seen, [("balances", &click(3)[..]), ("balances", &click(7)[..])]);
    let again = replays.replayer().replay(&wanted).await.unwrap();
    assert_eq!(codes(&again), [(3, "replayed"), (5, "unknown_schema"), (7, "replayed")]);
    let all = replays.replayer().replay(&replays.wanted()).await.unwrap();
    assert_eq!(codes(&all), [(3, "replayed"), (5, "unknown_schema"), (7, "replayed")], "balances would have it twice");
    assert_eq!(records(&replays.events()).await.len(), 2);
}

#[tokio::test]
async fn what_a_dead_call_had_produced_is_found_and_what_it_had_not_is_produced() {
    let replays = Replays::new().await;
    // Both were begun; the first had arrived when the process died.
    let begun = replays.begun(0, 3).await;
    replays.begun(1, 7).await;
    let producer = SharedProducer::new(&replays.kafka, ProducerOptions::default()).unwrap();
    let key = penstock::kafka::key::record(begun.batch, begun.number);
    let body = click(3);
    let message = penstock::kafka::Message { key: &key, value: Some(&body) };
    Publisher::new(producer, &replays.events(), 0, Duration::from_secs(60)).append(&[message]).await.unwrap();

    let early = replays.replayer().replay(&replays.wanted()).await.unwrap();
    assert_eq!(codes(&early), [(3, "under_way"), (5, "unknown_schema"), (7, "under_way")], "it may live still");
    replays.clock.advance(Duration::from_secs(600));
    let report = replays.replayer().replay(&replays.wanted()).await.unwrap();
    assert_eq!((report.replayed.len(), codes(&report)), (2, vec![(5, "unknown_schema")]));
    let there = records(&replays.events()).await;
    let values: Vec<_> = there.iter().filter(|(key, _)| key.len() == 16).map(|(_, value)| value.clone()).collect();
    assert_eq!(values, [click(3), click(7)], "each once, beside the barriers");
    let after = replays.replayer().replay(&replays.wanted()).await.unwrap();
    assert_eq!(codes(&after), [(3, "replayed"), (5, "unknown_schema"), (7, "replayed")]);
}

#[tokio::test]
async fn a_gap_waits_until_somebody_lets_it_pass_and_a_consumer_hears_it() {
    let dead = topic().await;
    let (target, letters) = ends(&dead);
    let open = {
        let dead = dead.clone();
        move || Ok::<_, String>(ends(&dead).1)
    };
    let mut target = target.answered_by(Box::new(open));
    let log = LogId { name: "ads.click".into(), partition: 4 };
    let gap = Letter { sink: "archive", log: &log, offset: 9, code: GAP, field: None, message: "gone", body: b"" };
    target.bury(&[gap]).await.unwrap();
    assert_eq!(target.answer("archive", &log, 9).await.unwrap(), GapAnswer::NotYet);
    let skip = Skip { sink: "archive".to_owned(), who: "ann".to_owned(), why: "kept".to_owned() };
    let book = TopicBook::new(Arc::new(letters), target.clone());
    book.mark(vec![(Place { log: log.clone(), offset: 9 }, Mark::Skip(skip))]).await.unwrap();
    let answer = GapAnswer::Skip { who: "ann".to_owned(), why: "kept".to_owned() };
    assert_eq!(target.answer("archive", &log, 9).await.unwrap(), answer);
    assert_eq!(target.answer("statistics", &log, 9).await.unwrap(), GapAnswer::NotYet, "each sink has its own");
}
