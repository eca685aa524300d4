//! Members come and go and partitions are added, while records arrive.

use super::pipeline::{Store, parts};
use super::*;
use crate::actors::{Handles, Life, Supervisor, group_child};
use crate::kafka::PublishError;
use crate::pipeline::Pipeline;
use crate::settings::PipelineSettings;
use crate::telemetry::PipelineMetrics;
use std::collections::BTreeSet;

struct Process {
    supervisor: Supervisor,
    handles: Handles,
}

impl Process {
    async fn start(topic: &str, instance: &str, store: &Store) -> Process {
        let member = Arc::new(join(topic, topic, instance));
        let (supervisor, handles) = (Supervisor::start(PipelineSettings::default(), 1), Handles::default());
        let (fetcher, store) = (fetcher(), store.clone());
        let build = move |life: Life| {
            let (fetcher, store) = (fetcher.clone(), store.clone());
            async move {
                let id = life.owner.log().clone();
                let log = open(&fetcher, id, Some(life.owner), None);
                Ok(Pipeline::new(parts(log, store, life.handle, life.stop)))
            }
        };
        let child =
            group_child("store", 0, member, supervisor.clone(), handles.clone(), PipelineMetrics::detached(), build);
        supervisor.add(child).await.unwrap();
        Process { supervisor, handles }
    }

    async fn owns(&self, partitions: std::ops::RangeInclusive<usize>) {
        let until = tokio::time::Instant::now() + LONG;
        while !partitions.contains(&self.handles.all().len()) {
            assert!(tokio::time::Instant::now() < until, "{:?}", self.handles.all().len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Appends to all partitions in turn until told to stop; gives the count of each.
async fn load(topic: String, mut partitions: tokio::sync::watch::Receiver<u32>) -> Vec<u64> {
    let mut producer = SharedProducer::new(&settings(), ProducerOptions::default()).unwrap();
    let mut counts = vec![0; 64];
    loop {
        let now = *partitions.borrow_and_update();
        if now == 0 {
            return counts;
        }
        for partition in 0..now {
            let values: Vec<[u8; 8]> = (0..10).map(|n| (counts[partition as usize] + n).to_be_bytes()).collect();
            let messages: Vec<Message<'_>> = values.iter().map(|v| Message { key: b"k", value: Some(v) }).collect();
            // A producer hears of new partitions after a while, and refuses them until then.
            while let Err(error) = Publisher::new(producer.clone(), &topic, partition, LONG).append(&messages).await {
                assert!(matches!(error, PublishError::Refused { .. }), "{error}");
                producer = SharedProducer::new(&settings(), ProducerOptions::default()).unwrap();
            }
            counts[partition as usize] += 10;
        }
    }
}

#[test]
fn one_three_and_two_members_and_more_partitions_lose_and_double_nothing() {
    actix::System::new().block_on(async {
        let topic = topic(3).await;
        let store = Store::default();
        let (partitions, receiver) = tokio::sync::watch::channel(3);
        let loading = tokio::spawn(load(topic.clone(), receiver));
        let one = Process::start(&topic, "one", &store).await;
        one.owns(3..=3).await;
        let two = Process::start(&topic, "two", &store).await;
        let three = Process::start(&topic, "three", &store).await;
        for process in [&one, &two, &three] {
            process.owns(1..=1).await;
        }
        grow(&topic, 6).await;
        for process in [&one, &two, &three] {
            process.owns(2..=2).await;
        }
        partitions.send_replace(6);
        let report = two.supervisor.stop(Duration::from_secs(10)).await;
        assert!(report.stuck.is_empty() && report.cut.is_empty(), "{report:?}");
        drop(two);
        for process in [&one, &three] {
            process.owns(3..=3).await;
        }
        partitions.send_replace(0);
        let counts = loading.await.unwrap();
        let until = tokio::time::Instant::now() + LONG;
        let total: u64 = counts.iter().sum();
        while (store.rows().len() as u64) < total {
            assert!(tokio::time::Instant::now() < until, "{} of {total} came", store.rows().len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let rows = store.rows();
        assert_eq!(rows.len() as u64, total);
        for ((partition, offset), (body, times)) in &*rows {
            assert_eq!((&body[..], *times), (&offset.to_be_bytes()[..], 1), "{partition}/{offset}");
        }
        let seen: BTreeSet<u32> = rows.keys().map(|(partition, _)| *partition).collect();
        assert_eq!(seen.len(), 6);
    });
}
