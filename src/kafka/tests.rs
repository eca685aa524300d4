//! The producer against librdkafka's own mock brokers.

use super::{Message, Producer, ProducerOptions, PublishError, Publisher, SharedProducer, Slice, Ticket};
use crate::settings::KafkaSettings;
use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::mpsc;
use std::time::{Duration, Instant};

fn cluster(topic: &str, partitions: i32) -> MockCluster<'static, DefaultProducerContext> {
    let mock = MockCluster::new(3).unwrap();
    mock.create_topic(topic, partitions, 3).unwrap();
    mock
}

fn settings(mock: &MockCluster<'_, DefaultProducerContext>) -> KafkaSettings {
    KafkaSettings {
        brokers: mock.bootstrap_servers().split(',').map(str::to_owned).collect(),
        ..KafkaSettings::default()
    }
}

/// Key and value of the first `n` records of a partition.
fn read(brokers: &str, topic: &str, partition: i32, n: usize) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "test").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let mut found = Vec::new();
    let began = Instant::now();
    while found.len() < n && began.elapsed() < Duration::from_secs(30) {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.unwrap();
            found.push((message.key().unwrap_or_default().to_vec(), message.payload().map(<[u8]>::to_vec)));
        }
    }
    found
}

#[tokio::test]
async fn published_records_are_there_in_their_order_with_keys_and_null_values() {
    let mock = cluster("state", 1);
    let producer = SharedProducer::new(&settings(&mock), ProducerOptions::default()).unwrap();
    let publisher = Publisher::new(producer, "state", 0, Duration::from_secs(30));
    publisher.append(&[Message { key: b"a", value: Some(b"1") }, Message { key: b"b", value: None }]).await.unwrap();
    publisher.append(&[]).await.unwrap();
    publisher.append(&[Message { key: b"a", value: Some(b"") }]).await.unwrap();
    let expected = [(b"a".to_vec(), Some(b"1".to_vec())), (b"b".to_vec(), None), (b"a".to_vec(), Some(Vec::new()))];
    assert_eq!(read(&mock.bootstrap_servers(), "state", 0, 3), expected);
}

#[tokio::test]
async fn a_full_buffer_is_waited_for_and_nothing_is_lost_or_repeated() {
    let mock = cluster("state", 1);
    let options = ProducerOptions { buffer_messages: 7, ..ProducerOptions::default() };
    let producer = SharedProducer::new(&settings(&mock), options).unwrap();
    let publisher = Publisher::new(producer, "state", 0, Duration::from_secs(60));
    let values: Vec<Vec<u8>> = (0..100u32).map(|n| n.to_be_bytes().to_vec()).collect();
    let messages: Vec<Message<'_>> = values.iter().map(|v| Message { key: b"k", value: Some(v) }).collect();
    publisher.append(&messages).await.unwrap();
    let found: Vec<Vec<u8>> =
        read(&mock.bootstrap_servers(), "state", 0, 100).into_iter().filter_map(|(_, value)| value).collect();
    assert_eq!(found, values);
}

#[tokio::test]
async fn brokers_that_are_away_are_an_unknown_outcome_and_come_back() {
    let mock = cluster("state", 1);
    let producer = SharedProducer::new(&settings(&mock), ProducerOptions::default()).unwrap();
    let publisher = Publisher::new(producer.clone(), "state", 0, Duration::from_millis(300));
    (1..=3).for_each(|broker| mock.broker_down(broker).unwrap());
    let refused = publisher.append(&[Message { key: b"k", value: Some(b"1") }]).await;
    assert!(matches!(refused, Err(PublishError::Unknown { .. })), "{refused:?}");
    (1..=3).for_each(|broker| mock.broker_up(broker).unwrap());
    let patient = Publisher::new(producer, "state", 0, Duration::from_secs(60));
    patient.append(&[Message { key: b"k", value: Some(b"2") }]).await.unwrap();
    let found = read(&mock.bootstrap_servers(), "state", 0, 1);
    assert_eq!(found, [(b"k".to_vec(), Some(b"2".to_vec()))], "the first was thrown away with its producer");
}

#[tokio::test]
async fn what_can_never_be_sent_is_refused() {
    let mock = cluster("state", 1);
    let options = ProducerOptions { max_message_bytes: 2_000, ..ProducerOptions::default() };
    let producer = SharedProducer::new(&settings(&mock), options).unwrap();
    let publisher = Publisher::new(producer.clone(), "state", 0, Duration::from_secs(30));
    let large = vec![7; 10_000];
    let refused = publisher.append(&[Message { key: b"k", value: Some(&large) }]).await;
    assert!(matches!(refused, Err(PublishError::Refused { .. })), "{refused:?}");
    // The ticket of a partition that is not there fails too, once the brokers have said so.
    let mut ticket = Ticket::new();
    let message = Message { key: b"k", value: None };
    producer.current().enqueue("state", 9, [message].into_iter(), &mut ticket).unwrap();
    tokio::time::timeout(Duration::from_secs(30), ticket.settled()).await.unwrap();
    assert_eq!(ticket.failed().0, 1);
}

/// Memory that tells when it is given back.
struct Told(Vec<u8>, mpsc::Sender<()>);

impl AsRef<[u8]> for Told {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.0.fill(b'!');
        self.1.send(()).expect("the test listens");
    }
}

/// Keys `k` with numbers as values in one buffer, and who hears of its end.
fn buffer(n: u32) -> (Bytes, Vec<Slice>, mpsc::Receiver<()>) {
    let mut bytes = Vec::new();
    let slices = (0..n).map(|n| {
        let start = bytes.len();
        bytes.push(b'k');
        bytes.extend_from_slice(n.to_string().as_bytes());
        Slice { start, key: 1, value: bytes.len() - start - 1 }
    });
    let slices = slices.collect();
    let (tell, told) = mpsc::channel();
    (Bytes::from_owner(Told(bytes, tell)), slices, told)
}

#[tokio::test]
async fn what_lies_in_a_buffer_is_sent_from_it_however_late_and_the_buffer_is_kept_so_long() {
    let mock = cluster("events", 1);
    let producer = Producer::new(&settings(&mock), &ProducerOptions::default()).unwrap();
    producer.partitions("events", Duration::from_secs(30)).unwrap();
    (1..=3).for_each(|broker| mock.broker_down(broker).unwrap());
    let (bytes, slices, told) = buffer(1_000);
    let mut ticket = Ticket::new();
    let done = producer.enqueue_within("events", 0, &bytes, slices.into_iter(), &mut ticket).unwrap();
    assert_eq!((done.messages, done.full), (1_000, false));
    drop(bytes);
    assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Empty), "nothing is acknowledged yet");
    (1..=3).for_each(|broker| mock.broker_up(broker).unwrap());
    tokio::time::timeout(Duration::from_secs(60), ticket.settled()).await.unwrap();
    assert_eq!(ticket.failed().0, 0);
    drop(ticket);
    told.recv_timeout(Duration::from_secs(30)).expect("the buffer is given back behind the last report");
    let found = read(&mock.bootstrap_servers(), "events", 0, 1_000);
    let expected: Vec<_> = (0..1_000).map(|n: u32| (b"k".to_vec(), Some(n.to_string().into_bytes()))).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_buffer_is_given_back_by_a_full_queue_and_by_the_end_of_its_producer() {
    let mock = cluster("events", 1);
    (1..=3).for_each(|broker| mock.broker_down(broker).unwrap());
    let options = ProducerOptions { buffer_messages: 7, ..ProducerOptions::default() };
    let producer = Producer::new(&settings(&mock), &options).unwrap();
    let (bytes, slices, told) = buffer(100);
    let mut ticket = Ticket::new();
    let done = producer.enqueue_within("events", 0, &bytes, slices.iter().copied(), &mut ticket).unwrap();
    assert_eq!((done.messages, done.full), (7, true));
    let none = producer.enqueue_within("events", 0, &bytes, slices[7..].iter().copied(), &mut ticket).unwrap();
    assert_eq!((none.messages, none.full), (0, true));
    drop(bytes);
    drop(producer);
    tokio::time::timeout(Duration::from_secs(30), ticket.settled()).await.unwrap();
    assert_eq!(ticket.failed().0, 7, "what was under way has failed");
    drop(ticket);
    told.recv_timeout(Duration::from_secs(30)).expect("the buffer is given back");
}
