//! Intake on a simulated disk: what is acknowledged is there, whatever the disk does and whenever
//! the process or the machine dies.

use super::*;
use crate::intake::split::Format;
use futures::FutureExt;
use futures::executor::block_on;
use futures::future::{join, join_all};
use penstock::codec::frame;
use penstock::log::spool::{Fault, FaultOn, SimDisk, SpoolOptions, Syncing};
use penstock::log::{Limits, Log, Records};
use penstock::settings::SpoolSettings;
use penstock::telemetry::sidecar::CodeLabel;
use penstock::time::{ManualClock, Micros};
use prometheus_client::registry::Registry;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

const DIR: &str = "/spool";

struct Stand {
    intake: Arc<Intake<SimDisk>>,
}

fn open(disk: &SimDisk, partitions: u32) -> Stand {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Micros::from_secs(1_600_000_000)));
    let settings = SpoolSettings { segment_bytes: 1 << 20, reserve_bytes: 0, ..SpoolSettings::default() };
    let options =
        SpoolOptions { settings, syncing: Syncing::ByHand, ..SpoolOptions::new(partitions, Arc::clone(&clock)) };
    let spool = Spool::open_with(disk.clone(), Path::new(DIR), options).unwrap().0;
    let settings = IntakeSettings::default();
    let metrics = SidecarMetrics::register(&mut Registry::default());
    let intake = Intake {
        keys: Keys::new(&settings),
        rate: Rate::new(&settings.rate),
        budget: BodyBudget::new(settings.max_inflight_bytes, metrics.inflight_bytes.clone()),
        server: "s".into(),
        body_timeout: Duration::from_secs(1),
        sync_timeout: Duration::from_secs(1),
        kafka_timeout: None,
        settings,
        spool,
        clock,
        metrics,
    };
    Stand { intake: Arc::new(intake) }
}

impl Stand {
    fn worker(&self) -> Worker<SimDisk> {
        Worker::new(Arc::clone(&self.intake), IdSource::seeded(1))
    }

    /// How often each event's id lies in the log, by its number.
    fn held(&self) -> BTreeMap<u64, usize> {
        let spool = &self.intake.spool;
        spool.sync_now().unwrap();
        let mut held = BTreeMap::new();
        for partition in spool.partitions() {
            let mut log = spool.viewer(partition).unwrap();
            let mut records = Records::new();
            let mut next = spool.start(partition).unwrap();
            let limits = Limits { rows: 1 << 20, bytes: 1 << 30, age: Duration::ZERO, idle: Duration::ZERO, end: None };
            while next < log.end() {
                block_on(log.read(next, &limits, &mut records)).unwrap();
                for record in records.iter() {
                    // A power cut may tear an unsynced group out of the midst: a hole in the log.
                    let Ok(body) = record.body else { continue };
                    let datum = frame::split(body).unwrap().datum;
                    let id = uuid::Uuid::from_bytes(frame::envelope(datum).unwrap().id);
                    *held.entry(id.as_u64_pair().1).or_default() += 1;
                }
                next = records.range().unwrap().to;
            }
        }
        held
    }
}

fn body(numbers: std::ops::Range<u64>) -> Bytes {
    let events: Vec<String> = numbers
        .map(|n| {
            let id = uuid::Uuid::from_u64_pair(1, n);
            format!(r#"{{"type":"click","id":"{id}","payload":{{"tag":"t"}}}}"#)
        })
        .collect();
    format!("[{}]", events.join(",")).into()
}

async fn send(
    worker: &Worker<SimDisk>,
    numbers: std::ops::Range<u64>,
    key: Option<&str>,
    durability: Durability,
) -> Result<Bytes, &'static str> {
    send_over(None, worker, numbers, key, durability).await
}

async fn send_over(
    connection: Option<Rc<dyn Withholds>>,
    worker: &Worker<SimDisk>,
    numbers: std::ops::Range<u64>,
    key: Option<&str>,
    durability: Durability,
) -> Result<Bytes, &'static str> {
    let request = Request {
        route: "/v1/events",
        content: Content::Events(Format::Json),
        encoding: None,
        durability,
        idempotency_key: key.map(str::as_bytes),
        write_key: WriteKey { name: None, bucket: 0 },
        started: Instant::now(),
        connection: connection.as_ref(),
    };
    let body = Body::whole(body(numbers), &worker.intake.budget);
    let answered = worker.accept(&request, body).await.map_err(|p| p.code())?;
    assert_eq!(answered.status, StatusCode::ACCEPTED);
    Ok(answered.body)
}

/// A connection that notes what becomes of its promise.
#[derive(Default)]
struct Noted {
    withholds: Cell<bool>,
    said: Cell<Option<Result<(), &'static str>>>,
}

impl Withholds for Noted {
    fn withhold(&self) -> bool {
        !self.withholds.replace(true)
    }

    fn release(&self) {
        self.said.set(Some(Ok(())));
        self.withholds.set(false);
    }

    fn refuse(&self, problem: &Problem) {
        self.said.set(Some(Err(problem.code())));
    }
}

/// Sends over a connection of its own and takes the promise for an answer when the turn has ended.
async fn promised(worker: &Worker<SimDisk>, numbers: std::ops::Range<u64>, key: &str) -> Result<Bytes, &'static str> {
    let connection = Rc::new(Noted::default());
    let answer = send_over(Some(connection.clone()), worker, numbers, Some(key), Durability::Os).await?;
    worker.end_turn();
    // Not withheld: it was the repeat of an answer.
    connection.said.get().unwrap_or(Ok(())).map(|()| answer)
}

#[tokio::test]
async fn an_answer_is_given_at_once_and_withheld_until_its_write() {
    let stand = open(&SimDisk::new(6), 1);
    let worker = stand.worker();
    let connections = [Rc::new(Noted::default()), Rc::new(Noted::default())];
    for (n, connection) in (0..).zip(&connections) {
        let answer = send_over(Some(connection.clone()), &worker, n..n + 1, None, Durability::Os).now_or_never();
        assert_eq!(answer.unwrap().as_deref(), Ok(&br#"{"accepted":1,"rejected":[]}"#[..]));
    }
    let said = || connections.each_ref().map(|c| c.said.get());
    let metrics = &stand.intake.metrics;
    assert_eq!((said(), metrics.flushes.get()), ([None, None], 0));
    // A third that cannot be withheld writes for all, at the latest.
    let third = send_over(Some(connections[0].clone()), &worker, 2..3, None, Durability::Os);
    assert!(third.await.is_ok());
    assert_eq!((said(), metrics.flushes.get(), metrics.flushed_requests.get()), ([Some(Ok(())); 2], 1, 3));
    assert_eq!(stand.held().len(), 3);
}

#[tokio::test]
async fn a_promise_whose_write_fails_is_refused_and_its_key_is_free() {
    let disk = SimDisk::new(7);
    let stand = open(&disk, 1);
    let worker = stand.worker();
    disk.inject(Fault { on: FaultOn::Write, after: 0, times: 1, error: std::io::ErrorKind::Other });
    assert_eq!(promised(&worker, 0..2, "k").await, Err("spool_unavailable"));
    let refused = stand.intake.metrics.problems.get_or_create_owned(&CodeLabel { code: "spool_unavailable" }).get();
    assert_eq!(refused, 1, "the gate has let it pass");
    assert!(promised(&worker, 0..2, "k").await.is_ok(), "the client's retry");
    assert!(promised(&worker, 0..2, "k").await.is_ok(), "and again");
    assert_eq!(stand.held(), BTreeMap::from([(0, 1), (1, 1)]));
}

#[tokio::test]
async fn a_worker_that_ends_keeps_its_promises() {
    let stand = open(&SimDisk::new(8), 1);
    let worker = stand.worker();
    let connection = Rc::new(Noted::default());
    let answer = send_over(Some(connection.clone()), &worker, 0..1, None, Durability::Os).await;
    assert!(answer.is_ok());
    drop(worker);
    assert_eq!(connection.said.get(), Some(Ok(())));
    assert_eq!(stand.held(), BTreeMap::from([(0, 1)]));
}

#[tokio::test]
async fn requests_of_the_same_turn_share_one_write() {
    let stand = open(&SimDisk::new(1), 1);
    let worker = stand.worker();
    let all = join_all((0..10).map(|n| send(&worker, n..n + 1, None, Durability::Os))).await;
    assert!(all.iter().all(Result::is_ok));
    let metrics = &stand.intake.metrics;
    assert_eq!((metrics.flushes.get(), metrics.flushed_requests.get()), (1, 10));
    assert_eq!(stand.held().len(), 10);
}

#[tokio::test]
async fn what_could_not_be_written_is_not_acknowledged_and_its_key_is_free() {
    let disk = SimDisk::new(2);
    let stand = open(&disk, 1);
    let worker = stand.worker();
    assert!(send(&worker, 0..1, None, Durability::Os).await.is_ok());
    disk.inject(Fault { on: FaultOn::Write, after: 0, times: 1, error: std::io::ErrorKind::Other });
    let both = join(send(&worker, 1..3, Some("k"), Durability::Os), send(&worker, 3..4, None, Durability::Os)).await;
    assert_eq!(both, (Err("spool_unavailable"), Err("spool_unavailable")));
    assert!(send(&worker, 1..3, Some("k"), Durability::Os).await.is_ok(), "the client's retry");
    assert_eq!(stand.held(), BTreeMap::from([(0, 1), (1, 1), (2, 1)]));
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_its_group_written_and_its_key_done() {
    let stand = open(&SimDisk::new(3), 1);
    let worker = stand.worker();
    // The first poll appends and lets others run; then the client is gone.
    assert!(send(&worker, 0..2, Some("k"), Durability::Os).now_or_never().is_none());
    let again = send(&worker, 0..2, Some("k"), Durability::Os).await;
    assert_eq!(again.as_deref(), Ok(&br#"{"accepted":2,"rejected":[]}"#[..]));
    assert_eq!(stand.held(), BTreeMap::from([(0, 1), (1, 1)]));
}

#[tokio::test]
async fn a_dead_workers_partition_is_taken_over() {
    let stand = open(&SimDisk::new(4), 1);
    let first = stand.worker();
    assert!(send(&first, 0..1, None, Durability::Os).await.is_ok());
    let second = stand.worker();
    assert_eq!(send(&second, 1..2, None, Durability::Os).await, Err("spool_unavailable"));
    drop(first);
    assert!(send(&second, 1..2, None, Durability::Os).await.is_ok());
    assert_eq!(stand.held().len(), 2);
}

#[tokio::test]
async fn a_partition_whose_sync_failed_is_left_for_another() {
    let disk = SimDisk::new(5);
    let stand = open(&disk, 2);
    let worker = stand.worker();
    disk.inject(Fault { on: FaultOn::Sync, after: 0, times: 1, error: std::io::ErrorKind::Other });
    let sync = async {
        tokio::task::yield_now().await;
        stand.intake.spool.sync_now().is_err()
    };
    let (answer, failed) = join(send(&worker, 0..1, None, Durability::Disk), sync).await;
    assert_eq!((answer, failed), (Err("sync_failed"), true));
    assert_eq!(send(&worker, 1..2, None, Durability::Os).await, Err("spool_unavailable"));
    assert!(send(&worker, 2..3, None, Durability::Os).await.is_ok(), "the second partition");
}

/// One request of the simulated client.
struct Sent {
    key: String,
    numbers: std::ops::Range<u64>,
    /// The strongest level it was acknowledged with.
    acknowledged: Option<Durability>,
}

/// A client that repeats what was not acknowledged, a process that dies, a machine that loses
/// power, a disk that fails: at the end each event is there exactly once.
async fn history(seed: u64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let disk = SimDisk::new(seed);
    let mut stand = open(&disk, 2);
    let mut workers = [stand.worker(), stand.worker()];
    let mut sent: Vec<Sent> = Vec::new();
    let mut number = 0;
    for _ in 0..40 {
        match rng.random_range(0..10) {
            0..=4 => {
                let next = number + rng.random_range(1..20);
                sent.push(Sent { key: format!("k{number}"), numbers: number..next, acknowledged: None });
                number = next;
                let last = sent.len() - 1;
                attempt(&stand, &workers[rng.random_range(0..2)], &mut sent[last], &mut rng).await;
            }
            5..=6 if !sent.is_empty() => {
                let again = rng.random_range(0..sent.len());
                attempt(&stand, &workers[rng.random_range(0..2)], &mut sent[again], &mut rng).await;
            }
            7 => disk.inject(Fault {
                on: FaultOn::Write,
                after: rng.random_range(0..2),
                times: 1,
                error: std::io::ErrorKind::Other,
            }),
            8 => {
                // The process dies with a request under way.
                let next = number + 3;
                sent.push(Sent { key: format!("k{number}"), numbers: number..next, acknowledged: None });
                let key = format!("k{number}");
                let _ = send(&workers[0], number..next, Some(&key), Durability::Os).now_or_never();
                number = next;
                disk.kill();
                (stand, workers) = reopen(&disk, (stand, workers));
                let held = stand.held();
                for one in sent.iter().filter(|s| s.acknowledged.is_some()) {
                    assert!(one.numbers.clone().all(|n| held.get(&n) == Some(&1)), "seed {seed}: {}", one.key);
                }
            }
            _ => {
                disk.crash();
                (stand, workers) = reopen(&disk, (stand, workers));
                let held = stand.held();
                for one in &mut sent {
                    let there = one.numbers.clone().filter(|n| held.contains_key(n)).count();
                    assert!(there == 0 || there == one.numbers.clone().count(), "seed {seed}: half of {}", one.key);
                    if one.acknowledged == Some(Durability::Disk) {
                        assert_ne!(there, 0, "seed {seed}: {} was on the disk", one.key);
                    }
                    // `os` does not survive a power cut; the client of this test repeats those.
                    one.acknowledged = one.acknowledged.filter(|_| there > 0);
                }
            }
        }
    }
    disk.heal();
    (stand, workers) = reopen(&disk, (stand, workers));
    for one in &mut sent {
        for _ in 0..3 {
            attempt(&stand, &workers[0], one, &mut rng).await;
        }
        assert!(one.acknowledged.is_some(), "seed {seed}: {} on a healed disk", one.key);
    }
    assert_eq!(stand.held(), (0..number).map(|n| (n, 1)).collect(), "seed {seed}");
}

fn reopen(disk: &SimDisk, old: (Stand, [Worker<SimDisk>; 2])) -> (Stand, [Worker<SimDisk>; 2]) {
    drop(old);
    let stand = open(disk, 2);
    let workers = [stand.worker(), stand.worker()];
    (stand, workers)
}

async fn attempt(stand: &Stand, worker: &Worker<SimDisk>, one: &mut Sent, rng: &mut Xoshiro256PlusPlus) {
    let durability = if rng.random() { Durability::Disk } else { Durability::Os };
    let sync = async {
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        let _ = stand.intake.spool.sync_now();
    };
    let request = send(worker, one.numbers.clone(), Some(&one.key), durability);
    let answer = match durability {
        Durability::Disk => join(request, sync).await.0,
        _ if rng.random() => promised(worker, one.numbers.clone(), &one.key).await,
        _ => request.await,
    };
    if answer.is_ok() && one.acknowledged != Some(Durability::Disk) {
        one.acknowledged = Some(durability);
    }
}

#[tokio::test(start_paused = true)]
async fn every_event_is_there_exactly_once_whatever_happens_between() {
    for seed in 0..150 {
        history(seed).await;
    }
}
