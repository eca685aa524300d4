//! Several servers: shards that a range is bound to, replicas that stand in for each other.
//!
//! Shards are engines of their own here. Two replicas are one engine behind two doors that are shut
//! at random: what Keeper does between real replicas cannot be had here.

use crate::*;
use penstock::log::Position;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::{TcpListener, TcpStream};

/// A second engine.
fn second() -> &'static Target {
    static SECOND: OnceLock<Target> = OnceLock::new();
    SECOND.get_or_init(|| engine("second"))
}

async fn both(database: &str) -> (Servers, [Client; 2]) {
    let (one, two) = tokio::task::spawn_blocking(|| (shared().clone(), second().clone())).await.unwrap();
    let servers = Servers::new(vec![vec![one.clone()], vec![two.clone()]]);
    for target in [&one, &two] {
        let mut sink = sink_at(target, &settings(database));
        sink.start(&log(), Position::default()).await.unwrap();
    }
    (servers, [one.client(database), two.client(database)])
}

#[tokio::test]
async fn a_range_met_again_after_a_crash_stays_on_its_shard() {
    let (servers, clients) = both("hints").await;
    let mut random = rand::rngs::StdRng::seed_from_u64(11);
    let mut from = 0;
    for _ in 0..24 {
        let records = records(from, clicks(random.random_range(1..40)));
        let mut sink = sink_of(&servers, &settings("hints"));
        let (range, batch, _) = prepare(&mut sink, &records);
        let hint = sink.hint(&log(), range);
        // A crash behind the pin, amid the write, or behind it; each life is a new sink.
        let mut lives = random.random_range(0..4);
        if random.random_bool(0.5) {
            sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
        } else if random.random_bool(0.5) {
            let half = batch_offsets(range).step_by(2).collect();
            sink.write(&log(), range, &batch, &Held::Some(half)).await.unwrap();
        } else {
            lives += 1;
        }
        for _ in 0..=lives {
            let mut next = sink_of(&servers, &settings("hints"));
            next.resume(&log(), range, hint);
            let (_, batch, _) = prepare(&mut next, &records);
            let held = next.held(&log(), range, &batch).await.unwrap();
            next.write(&log(), range, &batch, &held).await.unwrap();
        }
        from = range.to;
    }
    let (one, two) = (count(&clients[0]).await, count(&clients[1]).await);
    assert_eq!((one.0 + two.0, one.1 + two.1), (from, from));
    assert!(one.0 > 0 && two.0 > 0, "{one:?} {two:?}");
    let mut sink = sink_of(&servers, &settings("hints"));
    assert!(!sink.untouched(&log()).await.unwrap());
    let stranger = LogId { name: "ads.never".into(), partition: 3 };
    assert!(sink.untouched(&stranger).await.unwrap());
}

fn batch_offsets(range: Range) -> std::ops::Range<u64> {
    range.from..range.to
}

#[tokio::test]
async fn a_shard_that_is_named_no_more_is_said_and_nothing_is_written_elsewhere() {
    let (servers, clients) = both("gone").await;
    let mut sink = sink_of(&servers, &settings("gone"));
    let records = records(0, clicks(3));
    let (range, batch, _) = prepare(&mut sink, &records);
    sink.resume(&log(), range, 2);
    assert!(matches!(sink.held(&log(), range, &batch).await, Err(SinkError::Fatal(_))));
    assert!(matches!(sink.write(&log(), range, &batch, &Held::Nothing).await, Err(SinkError::Fatal(_))));
    assert_eq!((count(&clients[0]).await.0, count(&clients[1]).await.0), (0, 0));
}

/// A way to a server that can be shut: connections break where they are, new ones are refused.
struct Door {
    url: String,
    shut: Arc<AtomicBool>,
    broken: Arc<tokio::sync::Notify>,
}

impl Door {
    async fn to(target: &Target) -> Door {
        let address = target.url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (shut, broken) = (Arc::new(AtomicBool::new(false)), Arc::new(tokio::sync::Notify::new()));
        let (is_shut, breaks) = (shut.clone(), broken.clone());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if is_shut.load(Ordering::Relaxed) {
                    continue;
                }
                let (address, breaks) = (address.clone(), breaks.clone());
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(address).await.unwrap();
                    tokio::select! {
                        () = breaks.notified() => {}
                        _ = tokio::io::copy_bidirectional_with_sizes(&mut near, &mut far, 512, 512) => {}
                    }
                });
            }
        });
        Door { url, shut, broken }
    }

    fn shut(&self, shut: bool) {
        self.shut.store(shut, Ordering::Relaxed);
        if shut {
            self.broken.notify_waiters();
        }
    }
}

#[tokio::test]
async fn replicas_stand_in_for_each_other_and_each_row_is_there_once() {
    let one = tokio::task::spawn_blocking(|| shared().clone()).await.unwrap();
    let doors = [Door::to(&one).await, Door::to(&one).await];
    let replicas = doors.iter().map(|door| Target { url: door.url.clone(), ..one.clone() }).collect();
    let servers = Servers::new(vec![replicas]);
    let settings = StatisticsSettings { timeout: Duration::from_secs(1), ..settings("doors") };
    let mut sink = sink_of(&servers, &settings);
    sink.start(&log(), Position::default()).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let until = done.clone();
    let shutter = tokio::spawn(async move {
        let mut random = rand::rngs::StdRng::seed_from_u64(5);
        let mut shut = 0;
        while !until.load(Ordering::Relaxed) || shut < 20 {
            // One is always open: the aim is to write on without either of them.
            let (door, other) = (random.random_range(0..2), random.random_range(0..2));
            doors[1 - door].shut(false);
            tokio::time::sleep(Duration::from_micros(random.random_range(0..20_000))).await;
            doors[door].shut(true);
            shut += 1;
            tokio::time::sleep(Duration::from_micros(random.random_range(0..20_000))).await;
            doors[other].shut(false);
        }
    });
    let mut from = 0;
    for _ in 0..20 {
        let records = records(from, clicks(500));
        let (range, batch, _) = prepare(&mut sink, &records);
        sink.hint(&log(), range);
        crashes::deliver(&mut sink, range, &batch).await;
        from = range.to;
    }
    done.store(true, Ordering::Relaxed);
    shutter.await.unwrap();
    assert_eq!(count(&one.client("doors")).await, (from, from));
}

#[tokio::test]
async fn one_replica_that_is_away_costs_no_retry() {
    let (mut sink, client) = sink("away").await;
    let nobody = Target { url: "http://127.0.0.1:1".to_owned(), ..Target::default() };
    let servers = Servers::new(vec![vec![nobody.clone(), nobody.clone(), shared().clone(), nobody]]);
    for n in 0..8 {
        let records = records(n * 10, clicks(10));
        let (range, batch, _) = prepare(&mut sink, &records);
        let mut sink = sink_of(&servers, &settings("away"));
        sink.start(&log(), Position::default()).await.unwrap();
        sink.hint(&log(), range);
        assert_eq!(sink.held(&log(), range, &batch).await.unwrap(), Held::Nothing);
        sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    }
    assert_eq!(count(&client).await, (80, 80));
}
