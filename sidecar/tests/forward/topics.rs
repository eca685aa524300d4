//! `penstock topics apply` against real brokers.

use crate::support::{admin, brokers, settings};
use penstock::kafka::topics::{Difference, Topics, Wanted, wanted};
use penstock::settings::{ForwardSettings, KafkaSettings};
use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use std::time::{Duration, Instant};

fn own_names(mut kafka: KafkaSettings) -> KafkaSettings {
    let name = kafka.event_topics()[0].clone();
    for (topic, end) in
        [(&mut kafka.dead_topic, "dead"), (&mut kafka.state_topic, "state"), (&mut kafka.kpis_topic, "kpis")]
    {
        *topic = format!("{name}-{end}");
    }
    kafka
}

/// What differs, once all brokers know of a change.
async fn settled(topics: &Topics, wanted: &[Wanted], expected: usize) -> Vec<Difference> {
    let began = Instant::now();
    loop {
        let differences = topics.differences(wanted).await.unwrap();
        if differences.len() == expected || began.elapsed() > Duration::from_secs(30) {
            return differences;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_differs_is_shown_made_so_and_nothing_else_is_touched() {
    let mut kafka = own_names(settings(&brokers()));
    kafka.partitions = 3;
    let forward = ForwardSettings::default();
    let topics = Topics::new(&kafka, Duration::from_secs(30)).unwrap();
    let want = wanted(&kafka, &forward);
    let missing = topics.differences(&want).await.unwrap();
    assert_eq!(missing.len(), want.len());
    assert!(missing.iter().all(|d| matches!(d, Difference::Missing { .. })), "{missing:?}");
    topics.apply(&want).await.unwrap();
    assert_eq!(settled(&topics, &want, 0).await, []);

    // An operator's own setting stays; a changed retention and a raised count are made so.
    let name = kafka.event_topics()[0].clone();
    let own = AlterConfig::new(ResourceSpecifier::Topic(&name)).set("segment.bytes", "33554432");
    let own = want.iter().find(|w| w.name == name).unwrap().configs.iter().fold(own, |own, (k, v)| own.set(k, v));
    admin(&brokers()).alter_configs(&[own], &AdminOptions::new()).await.unwrap();
    kafka.partitions = 5;
    kafka.retention = Duration::from_secs(86_400);
    let changed = wanted(&kafka, &forward);
    let differences = settled(&topics, &changed, 4).await;
    assert_eq!(differences.len(), 4, "two topics, count and retention each: {differences:?}");
    assert!(differences.iter().all(Difference::can_be_applied));
    topics.apply(&changed).await.unwrap();
    assert_eq!(settled(&topics, &changed, 0).await, []);
    let asked = admin(&brokers()).describe_configs(&[ResourceSpecifier::Topic(&name)], &AdminOptions::new()).await;
    let kept = asked.unwrap().remove(0).unwrap().get("segment.bytes").unwrap().value.clone();
    assert_eq!(kept.as_deref(), Some("33554432"));

    // Fewer partitions are never made, and are no difference.
    kafka.partitions = 2;
    assert_eq!(topics.differences(&wanted(&kafka, &forward)).await.unwrap(), []);
}
