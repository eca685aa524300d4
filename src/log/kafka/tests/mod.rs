//! The log against real brokers: `make cluster` starts them.

mod frames;
mod group;
mod log;
mod pipeline;
mod rivals;
mod sleeper;

use super::{Assignment, FetchOptions, Fetcher, GroupOptions, KafkaLog, KafkaLogParts, Member, Owner};
use crate::kafka::{Message, ProducerOptions, Publisher, SharedProducer};
use crate::log::LogId;
use crate::registry::FixedIds;
use crate::settings::KafkaSettings;
use crate::telemetry::KafkaLogMetrics;
use crate::time::SystemClock;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use std::sync::Arc;
use std::time::Duration;

pub const LONG: Duration = Duration::from_secs(60);

pub fn settings() -> KafkaSettings {
    let Ok(brokers) = std::env::var("PENSTOCK_TEST_KAFKA") else {
        panic!("PENSTOCK_TEST_KAFKA is not set: `make cluster` starts the brokers, `make test` sets it");
    };
    KafkaSettings { brokers: brokers.split(',').map(str::to_owned).collect(), ..KafkaSettings::default() }
}

pub fn admin() -> AdminClient<DefaultClientContext> {
    crate::kafka::client::config(&settings()).unwrap().create().unwrap()
}

/// A topic of this test's own.
pub async fn topic(partitions: i32) -> String {
    let name = format!("test.{:016x}", rand::random::<u64>());
    let new = NewTopic::new(&name, partitions, TopicReplication::Fixed(3));
    admin().create_topics([&new], &AdminOptions::new()).await.unwrap().pop().unwrap().unwrap();
    name
}

pub async fn grow(topic: &str, partitions: usize) {
    let new = NewPartitions::new(topic, partitions);
    admin().create_partitions([&new], &AdminOptions::new()).await.unwrap().pop().unwrap().unwrap();
}

pub fn log_id(topic: &str, partition: u32) -> LogId {
    LogId { name: topic.into(), partition }
}

pub fn publisher(topic: &str, partition: u32) -> Publisher {
    let producer = SharedProducer::new(&settings(), ProducerOptions::default()).unwrap();
    Publisher::new(producer, topic, partition, LONG)
}

/// Appends bodies without keys of ours.
pub async fn append(topic: &str, partition: u32, bodies: &[Vec<u8>]) {
    let messages: Vec<Message<'_>> = bodies.iter().map(|b| Message { key: b"k", value: Some(b) }).collect();
    publisher(topic, partition).append(&messages).await.unwrap();
}

pub fn fetcher() -> Fetcher {
    let options = FetchOptions { group: "test".to_owned(), ahead_bytes: 1 << 20, gather: Duration::ZERO };
    Fetcher::new(&settings(), &options).unwrap()
}

pub fn open(fetcher: &Fetcher, id: LogId, owner: Option<Owner>, registry: Option<FixedIds>) -> KafkaLog<FixedIds> {
    let metrics = KafkaLogMetrics::default().of(&id);
    let (fetcher, clock) = (fetcher.clone(), Arc::new(SystemClock));
    KafkaLog::new(KafkaLogParts { id, fetcher, owner, registry, metrics, clock })
}

pub fn join(topic: &str, group: &str, instance: &str) -> Member {
    counted(topic, group, instance, &KafkaLogMetrics::default())
}

/// Joins with metrics to look at.
pub fn counted(topic: &str, group: &str, instance: &str, metrics: &KafkaLogMetrics) -> Member {
    let options = GroupOptions {
        group: group.to_owned(),
        topics: vec![topic.to_owned()],
        instance: instance.to_owned(),
        session_timeout: Duration::from_secs(6),
        commit_timeout: Duration::from_secs(15),
    };
    Member::join(&settings(), &options, metrics.clone()).unwrap()
}

/// Waits until the member owns so many partitions.
pub async fn owns(member: &Member, partitions: usize) {
    let mut assignment = member.assignment();
    let all = |a: &Assignment| a.partitions.len() == partitions;
    tokio::time::timeout(LONG, assignment.wait_for(all)).await.expect("no assignment").unwrap();
}
