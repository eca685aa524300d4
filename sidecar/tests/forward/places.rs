//! Where records go, how they are framed, and which are dead letters.

use crate::support::{CrashAt, Stand, admin, brokers, make_topics, read, settings};
use penstock::codec::{confluent, frame, registry};
use penstock::log::Range;
use penstock::log::spool::GroupBuf;
use penstock::pipeline::Step;
use penstock::registry::FixedIds;
use rdkafka::admin::{AdminOptions, NewPartitions};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_topic_that_grows_is_taken_over_without_a_repeat() {
    let kafka = settings(&brokers());
    make_topics(&kafka, 3).await;
    let mut stand = Stand::new(kafka);
    let end = stand.append(3_000).await;
    stand.drain(end).await;
    let topics = stand.kafka.event_topics();
    let more: Vec<NewPartitions<'_>> = topics.iter().map(|t| NewPartitions::new(t, 6)).collect();
    let middle = stand.append(2_000).await;
    stand.live(middle, CrashAt(Step::Written, 2), std::future::pending()).await;
    for grown in admin(&brokers()).create_partitions(&more, &AdminOptions::new()).await.unwrap() {
        grown.unwrap();
    }
    let mut end = middle;
    while stand.held().keys().map(|(_, partition)| *partition).max() < Some(5) {
        end = stand.append(4_000).await;
        stand.live(end, CrashAt(Step::Written, 3), std::future::pending()).await;
        stand.drain(end).await;
    }
    stand.assert_whole(Range { from: 0, to: end });
}

#[tokio::test]
async fn types_go_to_their_topics_with_the_registrys_header() {
    let kafka = settings(&brokers());
    make_topics(&kafka, 2).await;
    let mut stand = Stand::new(kafka);
    // The registry knows clicks only: the others keep their own header until it tells.
    let click = registry::writers().iter().find(|w| w.kind.name == "click").unwrap().fingerprint;
    stand.registry = Some(FixedIds::new([(click, 77)]));
    let end = stand.append(400).await;
    stand.drain(end).await;
    stand.assert_whole(Range { from: 0, to: end });
    let (mut framed, mut seen) = (0, BTreeSet::new());
    for (topic, _, _, value) in read(&stand.kafka) {
        let value = value.unwrap();
        let name = match confluent::split(&value) {
            Some((id, _)) => {
                assert_eq!(id, 77);
                framed += 1;
                "click"
            }
            None => frame::check(&value).unwrap().0.schema.kind.name,
        };
        assert_eq!(topic, stand.kafka.topic_of(name));
        seen.insert(name);
    }
    assert_eq!((framed, seen.len()), (100, 4));
    assert_eq!(stand.metrics.unframed.get(), 300);
}

#[tokio::test]
async fn what_cannot_be_placed_is_a_dead_letter_and_holds_nobody_up() {
    let kafka = settings(&brokers());
    make_topics(&kafka, 2).await;
    let mut stand = Stand::new(kafka);
    stand.forward.max_message_bytes = 16 << 10;
    stand.append(10).await;
    let mut group = GroupBuf::new();
    group.push(b"no frame");
    group.push(&[&[0xC3, 1][..], &[9; 30]].concat());
    let click = registry::writers().iter().find(|w| w.kind.name == "click").unwrap().fingerprint;
    group.push(&[&confluent::single_header(click)[..], &[7; 20_000]].concat());
    stand.append_group(&group).await;
    let end = stand.append(10).await;
    stand.drain(end).await;
    let letters = stand.letters.0.lock().unwrap().clone();
    let expected = [(10, "bad_frame"), (11, "unknown_schema"), (12, "invalid")];
    assert_eq!(letters, expected.map(|(at, code)| (at, code.to_owned())));
    let all: usize = stand.held().values().map(Vec::len).sum();
    assert_eq!(all, 20);
}
