//! One partition: the suite of all logs, ends, gaps, a lost position.

use super::*;
use crate::log::conformance::{Fixture, rows, suite};
use crate::log::{FlushReason, Limits, Log as _, LogError, Position, Records};
use rdkafka::TopicPartitionList;

struct OnKafka {
    topic: String,
    member: Member,
    fetcher: Fetcher,
}

impl Fixture for OnKafka {
    type Log = KafkaLog<FixedIds>;

    async fn append(&mut self, bodies: &[Vec<u8>]) {
        append(&self.topic, 0, bodies).await;
    }

    async fn open(&mut self) -> KafkaLog<FixedIds> {
        let id = log_id(&self.topic, 0);
        let owner = self.member.owner(&id);
        assert!(owner.is_some());
        open(&self.fetcher, id, owner, None)
    }
}

#[tokio::test]
async fn a_partition_in_kafka_keeps_the_promises_of_a_log() {
    let topic = topic(1).await;
    let member = join(&topic, &topic, "one");
    owns(&member, 1).await;
    suite(OnKafka { topic, member, fetcher: fetcher() }).await;
}

#[tokio::test]
async fn a_new_group_knows_no_position_and_a_deleted_one_neither() {
    let topic = topic(2).await;
    let member = join(&topic, &topic, "one");
    owns(&member, 2).await;
    let mut log = open(&fetcher(), log_id(&topic, 1), member.owner(&log_id(&topic, 1)), None);
    assert_eq!(log.position().await.unwrap(), None);
    log.store(Position::at(0)).await.unwrap();
    assert_eq!(log.position().await.unwrap(), Some(Position::at(0)));
    drop(log);
    drop(member);
    // The member's name stands for its session's length; then the group is empty and may go.
    let deadline = tokio::time::Instant::now() + LONG;
    while admin().delete_groups(&[&topic], &AdminOptions::new()).await.unwrap().pop().unwrap().is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the group is not let go");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let member = join(&topic, &topic, "two");
    owns(&member, 2).await;
    let mut log = open(&fetcher(), log_id(&topic, 1), member.owner(&log_id(&topic, 1)), None);
    assert_eq!(log.position().await.unwrap(), None, "lost, which is the sink's to judge");
}

#[tokio::test]
async fn what_retention_has_passed_is_a_gap_and_what_lies_behind_the_end_an_error() {
    let topic = topic(1).await;
    append(&topic, 0, &vec![b"x".to_vec(); 10]).await;
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&topic, 0, rdkafka::Offset::Offset(6)).unwrap();
    admin().delete_records(&before, &AdminOptions::new()).await.unwrap();
    let mut log = open(&fetcher(), log_id(&topic, 0), None, None);
    let mut out = Records::new();
    let gap = log.read(2, &rows(3), &mut out).await;
    assert!(matches!(gap, Err(LogError::Gap { wanted: 2, start: 6, .. })), "{gap:?}");
    assert_eq!(log.read(6, &rows(4), &mut out).await.unwrap(), FlushReason::Rows);
    assert_eq!(out.range().map(|r| (r.from, r.to)), Some((6, 10)));
    let behind = log.read(11, &rows(1), &mut out).await;
    assert!(matches!(behind, Err(LogError::Position { .. })), "{behind:?}");
    assert_eq!(log.position().await.unwrap(), Some(Position::at(6)), "a viewer begins at the log's start");
    assert!(matches!(log.store(Position::at(7)).await, Err(LogError::Position { .. })), "and keeps none");
}

#[tokio::test]
async fn brokers_that_are_away_are_an_error_that_may_pass_and_never_an_empty_log() {
    let nobody = KafkaSettings { brokers: vec!["127.0.0.1:1".to_owned()], ..KafkaSettings::default() };
    let options = FetchOptions { group: "test".to_owned(), ahead_bytes: 1 << 20, gather: Duration::ZERO };
    let fetcher = Fetcher::new(&nobody, &options).unwrap();
    let mut log = open(&fetcher, log_id("nowhere", 0), None, None);
    let limits = Limits { idle: Duration::from_secs(3), ..rows(1) };
    let read = log.read(0, &limits, &mut Records::new()).await;
    assert!(matches!(read, Err(LogError::Io { .. })), "{read:?}");
}
