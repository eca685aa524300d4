//! Dead letters in their topic, on real brokers.
#![cfg(feature = "cluster")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

use penstock::codec::frame;
use penstock::kafka::{ProducerOptions, Publisher, SharedProducer};
use penstock::log::LogId;
use penstock::log::kafka::{FetchOptions, Fetcher};
use penstock::pipeline::{DeadTarget as _, GAP, Letter};
use penstock::settings::KafkaSettings;
use penstock::telemetry::KafkaLogMetrics;
use penstock::time::{ManualClock, Micros};
use penstock_consumers::dead::{Filter, Key, TopicLetters, TopicTarget};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
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
    let options = FetchOptions { group: "test".to_owned(), ahead_bytes: 1 << 20 };
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
