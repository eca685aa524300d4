//! The pipeline over Kafka, killed at each of its steps.

use super::*;
use crate::log::{Limits, Offset, Range, Records};
use crate::pipeline::*;
use crate::pricing::Snapshot;
use crate::settings::PipelineSettings;
use crate::telemetry::PipelineMetrics;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

/// What a store holds: by partition and offset, the body and how often it was written.
pub type Rows = BTreeMap<(u32, Offset), (Vec<u8>, u32)>;

/// A sink that counts every write.
#[derive(Clone, Default)]
pub struct Store(Arc<Mutex<Rows>>);

impl Store {
    pub fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap()
    }
}

impl Sink for Store {
    type Batch = Vec<(Offset, Vec<u8>)>;

    fn name(&self) -> &'static str {
        "store"
    }

    fn prepare(&mut self, _: &LogId, _: Range, records: &Records, _: &Snapshot, _: &mut Vec<Poison>) -> Self::Batch {
        records.iter().map(|r| (r.offset, r.body.unwrap().to_vec())).collect()
    }

    async fn held(&mut self, log: &LogId, range: Range, batch: &Self::Batch) -> Result<Held, SinkError> {
        let rows = self.rows();
        let held: Vec<Offset> =
            rows.range((log.partition, range.from)..(log.partition, range.to)).map(|((_, o), _)| *o).collect();
        Ok(if held.len() == batch.len() { Held::All } else { Held::Some(held) })
    }

    async fn write(&mut self, log: &LogId, _: Range, batch: &Self::Batch, held: &Held) -> Result<(), SinkError> {
        let mut rows = self.rows();
        for (offset, body) in batch {
            if !matches!(held, Held::Some(held) if held.contains(offset)) {
                rows.entry((log.partition, *offset)).or_insert((body.clone(), 0)).1 += 1;
            }
        }
        Ok(())
    }

    async fn untouched(&mut self, log: &LogId) -> Result<bool, SinkError> {
        Ok(self.rows().range((log.partition, 0)..(log.partition, Offset::MAX)).next().is_none())
    }
}

/// Nothing is poison here.
pub struct NoLetters;

impl DeadTarget for NoLetters {
    async fn bury(&mut self, letters: &[Letter<'_>]) -> Result<(), DeadError> {
        panic!("{letters:?}");
    }
}

/// Crashes at one boundary.
struct CrashAt(Option<u32>);

impl Steps for CrashAt {
    fn at(&mut self, _: Step, _: Range) -> Go {
        match &mut self.0 {
            Some(0) => Go::Crash,
            Some(n) => {
                *n -= 1;
                Go::On
            }
            None => Go::On,
        }
    }
}

pub fn limits() -> Limits {
    let ms = Duration::from_millis;
    Limits { rows: 7, bytes: 1 << 20, age: ms(50), idle: ms(200), end: None }
}

pub fn parts(
    log: KafkaLog<FixedIds>,
    sink: Store,
    handle: PipelineHandle,
    stop: CancellationToken,
) -> Parts<KafkaLog<FixedIds>, Store, NoLetters> {
    Parts {
        log,
        sink,
        dead: NoLetters,
        limits: limits(),
        catalogue: None,
        settings: PipelineSettings::default(),
        clock: Arc::new(SystemClock),
        seed: 1,
        stop,
        handle,
        metrics: PipelineMetrics::detached(),
    }
}

#[tokio::test]
async fn a_crash_at_every_boundary_over_kafka_loses_and_doubles_nothing() {
    const RECORDS: u64 = 20;
    const MOST: u32 = 40;
    let topic = topic(MOST as i32).await;
    let bodies: Vec<Vec<u8>> = (0..RECORDS).map(|n| n.to_be_bytes().to_vec()).collect();
    let producer = SharedProducer::new(&settings(), ProducerOptions::default()).unwrap();
    for partition in 0..MOST {
        let messages: Vec<Message<'_>> = bodies.iter().map(|b| Message { key: b"k", value: Some(b) }).collect();
        Publisher::new(producer.clone(), &topic, partition, LONG).append(&messages).await.unwrap();
    }
    let member = join(&topic, &topic, "one");
    owns(&member, MOST as usize).await;
    let (fetcher, store) = (fetcher(), Store::default());
    let mut crashed = 0;
    // Each partition dies once at a boundary of its own, and lives on to its end.
    for at in 0..MOST {
        let id = log_id(&topic, at);
        for crash in [Some(at), None] {
            let handle = PipelineHandle::new("store", id.clone());
            let stop = CancellationToken::new();
            let log = open(&fetcher, id.clone(), member.owner(&id), None);
            let pipeline = Pipeline::watched(parts(log, store.clone(), handle.clone(), stop.clone()), CrashAt(crash));
            let watch = async {
                if handle.passed(RECORDS, LONG).await {
                    stop.cancel();
                }
                std::future::pending::<()>().await;
            };
            let ended = tokio::select! { ended = pipeline.run() => ended, () = watch => unreachable!() };
            match ended {
                Ok(()) => break,
                Err(PipelineError::Crashed(_)) => crashed += 1,
                Err(error) => panic!("ended by itself: {error}"),
            }
        }
    }
    assert!(crashed >= 15, "only {crashed} boundaries");
    let rows = store.rows();
    assert_eq!(rows.len() as u64, RECORDS * u64::from(MOST));
    for ((_, offset), (body, times)) in &*rows {
        assert_eq!((body, *times), (&bodies[*offset as usize], 1), "offset {offset}");
    }
}
