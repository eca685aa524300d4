//! Replays over a real log of letters and a model of the events' log, crashed at every step.

use super::*;
use crate::dead::{DeadLetters, Filter};
use penstock::event::{self, Defaults, IdSource};
use penstock::log::LogId;
use penstock::log::spool::{RealDisk, Spool, SpoolOptions};
use penstock::pipeline::{DeadError, DeadTarget as _, Letter};
use penstock::time::ManualClock;
use std::path::Path;
use std::sync::Mutex as StdMutex;

const SINKS: [&str; 3] = ["archive", "balances", "statistics"];

fn log() -> LogId {
    LogId { name: "spool-00000000000000ff".into(), partition: 1 }
}

fn event(n: u64) -> Vec<u8> {
    let defaults = Defaults {
        received: Micros::from_secs(1_500_000_000),
        server: "s",
        max_future: Duration::from_secs(3_600),
        max_event_bytes: 1 << 20,
    };
    let json = format!(
        r#"{{"type":"click","id":"00000000-0000-4000-8000-{n:012x}","time":"2017-07-14T02:40:00Z","payload":{{"campaign_id":7}}}}"#
    );
    let mut frame = Vec::new();
    event::admit(json.as_bytes(), &defaults, &mut IdSource::seeded(1), &mut frame).unwrap();
    frame
}

/// Ends the process, as far as this test goes: nothing behind the step happens.
#[derive(Default)]
struct Fuse {
    left: StdMutex<Option<u32>>,
}

impl Fuse {
    async fn step(&self) {
        let blown = {
            let mut left = self.left.lock().unwrap();
            match left.as_mut() {
                Some(0) => true,
                Some(n) => {
                    *n -= 1;
                    false
                }
                None => false,
            }
        };
        if blown {
            std::future::pending::<()>().await;
        }
    }
}

/// A log of events; survives crashes.
#[derive(Default)]
struct Events(StdMutex<Vec<Vec<u8>>>);

struct Model<'a> {
    events: &'a Events,
    fuse: &'a Fuse,
    patience: Duration,
}

impl Target for Model<'_> {
    fn readers(&self, _: &LogId) -> Vec<&'static str> {
        SINKS.to_vec()
    }
    fn patience(&self) -> Duration {
        self.patience
    }
    async fn landing(&self, _: &Place, _: &[u8]) -> Result<Landing, TargetError> {
        Ok(Landing { log: "events".to_owned(), floors: vec![(0, self.events.0.lock().unwrap().len() as u64)] })
    }
    async fn find(&self, sought: &[OnItsWay<'_>]) -> Vec<Result<Option<Landed>, TargetError>> {
        let events = self.events.0.lock().unwrap();
        let place = |s: &OnItsWay<'_>| {
            let floor = usize::try_from(s.begun.floors[0].1).unwrap();
            let at = events.iter().enumerate().skip(floor).find(|(_, e)| *e == s.body)?.0;
            Some(Landed { log: "events".to_owned(), partition: 0, offset: Some(at as u64) })
        };
        sought.iter().map(|s| Ok(place(s))).collect()
    }
    async fn append(&self, records: &[OnItsWay<'_>]) -> Vec<Result<Landed, TargetError>> {
        let mut landed = Vec::new();
        for record in records {
            self.fuse.step().await;
            let mut events = self.events.0.lock().unwrap();
            let offset = Some(events.len() as u64);
            events.push(record.body.to_vec());
            landed.push(Ok(Landed { log: "events".to_owned(), partition: 0, offset }));
        }
        self.fuse.step().await;
        landed
    }
}

struct Fused<'a>(DeadLetters, &'a Fuse);

impl Book for Fused<'_> {
    async fn standing(&self, places: &[Place]) -> Result<Vec<Standing>, LettersError> {
        self.0.standing(places).await
    }
    async fn write(&self, marks: Vec<(Place, Mark)>) -> Result<(), DeadError> {
        self.1.step().await;
        let written = self.0.mark(marks).await;
        self.1.step().await;
        written
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Micros::from_secs(1_500_000_000)))
}

async fn open(dir: &Path) -> DeadLetters {
    let (spool, _) = Spool::open_with(RealDisk, dir, SpoolOptions::new(1, clock())).unwrap();
    DeadLetters::open(spool, clock()).await.unwrap()
}

/// Letters of `records` by these sinks.
async fn bury(letters: &mut DeadLetters, sinks: &[&str], records: std::ops::Range<u64>, body: impl Fn(u64) -> Vec<u8>) {
    let log = log();
    for offset in records {
        for sink in sinks {
            let body = body(offset);
            let code = "unknown_schema";
            let letter = Letter { sink, log: &log, offset, code, field: None, message: "why", body: &body };
            letters.bury(&[letter]).await.unwrap();
        }
    }
}

fn wanted(offsets: impl IntoIterator<Item = u64>) -> Wanted {
    let key = |offset| Key { sink: "statistics".into(), log: log(), offset };
    Wanted { letters: offsets.into_iter().map(key).collect(), who: "ann".to_owned(), to: None, dry_run: false }
}

fn alone(sink: &str, offsets: impl IntoIterator<Item = u64>) -> Wanted {
    Wanted { to: Some(sink.to_owned()), ..wanted(offsets) }
}

fn addressed(sink: &str, n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    frame::address(sink, &event(n), &mut out);
    out
}

fn codes(report: &Report) -> Vec<(u64, &'static str)> {
    report.refused.iter().map(|r| (r.key.offset, r.code)).collect()
}

#[tokio::test]
async fn a_record_that_every_sink_put_aside_goes_again_once() {
    let (dir, events, fuse) = (tempfile::tempdir().unwrap(), Events::default(), Fuse::default());
    let mut letters = open(dir.path()).await;
    bury(&mut letters, &SINKS, 0..3, event).await;
    let model = || Model { events: &events, fuse: &fuse, patience: Duration::ZERO };
    let replayer = Replayer::new(letters.clone(), model(), clock());
    let dry = replayer.replay(&Wanted { dry_run: true, ..wanted([1]) }).await.unwrap();
    assert_eq!((dry.replayed.len(), &dry.replayed[0].landed, dry.refused.len()), (1, &None, 0));
    assert!(events.0.lock().unwrap().is_empty(), "a dry run changes nothing");
    // All three letters of record 1 are asked for, and share what comes of it.
    let mut all = wanted([1]);
    all.letters.extend(["archive", "balances"].map(|s| Key { sink: s.into(), log: log(), offset: 1 }));
    let report = replayer.replay(&all).await.unwrap();
    let places: Vec<_> = report.replayed.iter().map(|r| r.landed.as_ref().unwrap().offset).collect();
    assert_eq!((places, report.refused.len()), (vec![Some(0); 3], 0));
    assert_eq!(*events.0.lock().unwrap(), [event(1)], "the same bytes: the same id, the same time of receipt");
    // A second one is refused, and says who did it; also after a restart.
    assert_eq!(codes(&replayer.replay(&wanted([1])).await.unwrap()), [(1, "replayed")]);
    drop((replayer, letters));
    let letters = open(dir.path()).await;
    let again = Replayer::new(letters.clone(), model(), clock()).replay(&wanted([1, 2])).await.unwrap();
    assert_eq!((codes(&again), again.replayed.len()), (vec![(1, "replayed")], 1));
    assert!(again.refused[0].why.starts_with("ann replayed it at 2017-07-14T02:40:00"), "{}", again.refused[0].why);
    assert_eq!(*events.0.lock().unwrap(), [event(1), event(2)]);
    let summary = letters.summary();
    assert_eq!((summary.total, summary.replayed, summary.unreadable), (9, 2, 0), "the letters stay");
    let left = Filter { replayable: true, limit: 10, ..Filter::default() };
    let left: Vec<u64> = letters.list(&left).await.unwrap().iter().map(|l| l.key.offset).collect();
    assert_eq!(left, [0, 0, 0]);
}

#[tokio::test]
async fn what_a_sink_may_hold_or_what_is_still_poison_is_left_alone() {
    let (dir, events, fuse) = (tempfile::tempdir().unwrap(), Events::default(), Fuse::default());
    let mut letters = open(dir.path()).await;
    bury(&mut letters, &["statistics", "balances"], 0..1, event).await;
    bury(&mut letters, &SINKS, 1..2, |_| b"\xC3\x01nobody's".to_vec()).await;
    bury(&mut letters, &SINKS, 2..3, |n| [&event(n)[..], b"!"].concat()).await;
    bury(&mut letters, &SINKS, 3..4, |_| Vec::new()).await;
    let log = log();
    let gap = Letter { sink: "statistics", log: &log, offset: 4, code: GAP, field: None, message: "gone", body: &[] };
    letters.bury(&[gap]).await.unwrap();
    let model = Model { events: &events, fuse: &fuse, patience: Duration::ZERO };
    let report = Replayer::new(letters, model, clock()).replay(&wanted(0..6)).await.unwrap();
    let expected = [
        (0, "not_everywhere"),
        (1, "unknown_schema"),
        (2, "bad_body"),
        (3, "body_lost"),
        (4, "gap"),
        (5, "dead_letter_not_found"),
    ];
    assert_eq!((codes(&report), report.replayed.len()), (expected.to_vec(), 0));
    assert!(report.refused[0].why.contains("archive"));
    assert!(events.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_one_sink_put_aside_goes_to_it_alone_once() {
    let (dir, events, fuse) = (tempfile::tempdir().unwrap(), Events::default(), Fuse::default());
    let mut letters = open(dir.path()).await;
    // Statistics was of an older version than the others, which hold the records.
    bury(&mut letters, &["statistics"], 0..2, event).await;
    bury(&mut letters, &["statistics"], 2..3, |_| b"\xC3\x01nobody's".to_vec()).await;
    let model = || Model { events: &events, fuse: &fuse, patience: Duration::ZERO };
    let replayer = Replayer::new(letters.clone(), model(), clock());
    assert_eq!(codes(&replayer.replay(&wanted([0])).await.unwrap()), [(0, "not_everywhere")]);
    for nobody in ["archive", "kafka"] {
        assert_eq!(codes(&replayer.replay(&alone(nobody, [0])).await.unwrap()), [(0, "not_put_aside")]);
    }
    let report = replayer.replay(&alone("statistics", [0, 2])).await.unwrap();
    assert_eq!((report.replayed.len(), codes(&report)), (1, vec![(2, "unknown_schema")]));
    assert_eq!(*events.0.lock().unwrap(), [addressed("statistics", 0)]);
    drop((replayer, letters));
    let letters = open(dir.path()).await;
    let replayer = Replayer::new(letters.clone(), model(), clock());
    let again = replayer.replay(&alone("statistics", [0])).await.unwrap();
    assert_eq!(codes(&again), [(0, "replayed")]);
    assert!(again.refused[0].why.contains("to statistics alone"), "{}", again.refused[0].why);
    let left = Filter { replayable: true, limit: 10, ..Filter::default() };
    let left: Vec<u64> = letters.list(&left).await.unwrap().iter().map(|l| l.key.offset).collect();
    assert_eq!((left, letters.summary().replayed), (vec![1, 2], 1));
}

#[tokio::test]
async fn a_record_goes_to_all_or_to_some_alone_and_never_to_a_sink_twice() {
    let (dir, events, fuse) = (tempfile::tempdir().unwrap(), Events::default(), Fuse::default());
    let mut letters = open(dir.path()).await;
    bury(&mut letters, &SINKS, 0..2, event).await;
    let model = Model { events: &events, fuse: &fuse, patience: Duration::ZERO };
    let replayer = Replayer::new(letters.clone(), model, clock());
    assert_eq!(replayer.replay(&wanted([0])).await.unwrap().replayed.len(), 1);
    assert_eq!(codes(&replayer.replay(&alone("archive", [0])).await.unwrap()), [(0, "replayed")]);
    assert_eq!(replayer.replay(&alone("archive", [1])).await.unwrap().replayed.len(), 1);
    assert_eq!(codes(&replayer.replay(&wanted([1])).await.unwrap()), [(1, "replayed")], "archive would have it twice");
    // The others can still have it, each alone.
    assert_eq!(replayer.replay(&alone("balances", [1])).await.unwrap().replayed.len(), 1);
    let expected = [event(0), addressed("archive", 1), addressed("balances", 1)];
    assert_eq!(*events.0.lock().unwrap(), expected);
    // What went to one alone and is put aside once more, by it and by the others, goes to it alone.
    let log = log();
    for (sink, code) in [("archive", "unknown_schema"), ("balances", "elsewhere"), ("statistics", "elsewhere")] {
        let body = addressed("archive", 1);
        let letter = Letter { sink, log: &log, offset: 9, code, field: None, message: "why", body: &body };
        letters.bury(&[letter]).await.unwrap();
    }
    for refused in [wanted([9]), alone("statistics", [9])] {
        assert_eq!(codes(&replayer.replay(&refused).await.unwrap()), [(9, "elsewhere")]);
    }
    assert_eq!(replayer.replay(&alone("archive", [9])).await.unwrap().replayed.len(), 1);
    assert_eq!(events.0.lock().unwrap().last(), Some(&addressed("archive", 1)), "in one cover, not in two");
    let listed = letters.list(&Filter { limit: 20, ..Filter::default() }).await.unwrap();
    assert!(listed.iter().all(|l| l.code != "elsewhere"), "nothing is lost with those");
}

#[tokio::test]
async fn a_crash_at_any_step_leaves_each_record_in_the_log_once() {
    for crash in 0..20 {
        // To all, and to one sink alone.
        let to = (crash >= 10).then(|| "statistics".to_owned());
        let (crash, wanted) = (crash % 10, |offsets| Wanted { to: to.clone(), ..wanted(offsets) });
        let body = |n| if to.is_some() { addressed("statistics", n) } else { event(n) };
        let (dir, events) = (tempfile::tempdir().unwrap(), Events::default());
        let mut letters = open(dir.path()).await;
        bury(&mut letters, &SINKS, 0..4, event).await;
        let fuse = Fuse { left: StdMutex::new(Some(crash)) };
        let model = Model { events: &events, fuse: &fuse, patience: Duration::ZERO };
        let replayer = Replayer::new(Fused(letters.clone(), &fuse), model, clock());
        let ended = tokio::time::timeout(Duration::from_millis(300), replayer.replay(&wanted(0..4))).await;
        assert_eq!(ended.is_ok(), crash == 9, "{crash}: nine steps");
        drop((replayer, letters));
        // The next life goes on where that one ended.
        let fuse = Fuse::default();
        let letters = open(dir.path()).await;
        let model = Model { events: &events, fuse: &fuse, patience: Duration::ZERO };
        let replayer = Replayer::new(letters.clone(), model, clock());
        let report = replayer.replay(&wanted(0..4)).await.unwrap();
        assert!(report.refused.iter().all(|r| r.code == "replayed"), "{crash}: {report:?}");
        assert_eq!(codes(&replayer.replay(&wanted(0..4)).await.unwrap()).len(), 4);
        let mut held = events.0.lock().unwrap().clone();
        held.sort();
        let mut once: Vec<Vec<u8>> = (0..4).map(body).collect();
        once.sort();
        assert_eq!(held, once, "after a crash at step {crash}");
        assert_eq!(letters.summary().replayed, 4);
    }
}

#[tokio::test]
async fn of_two_replays_that_begin_together_one_takes_the_record() {
    let (dir, events, fuse) = (tempfile::tempdir().unwrap(), Events::default(), Fuse::default());
    let mut letters = open(dir.path()).await;
    bury(&mut letters, &SINKS, 0..2, event).await;
    let model = || Model { events: &events, fuse: &fuse, patience: Duration::from_secs(300) };
    let (one, two) =
        (Replayer::new(letters.clone(), model(), clock()), Replayer::new(letters.clone(), model(), clock()));
    // Also when one is for a sink alone.
    for (offset, other) in [(0, wanted([0])), (1, alone("statistics", [1]))] {
        let asked = wanted([offset]);
        let (one, two) = tokio::join!(one.replay(&asked), two.replay(&other));
        let outcomes = [one.unwrap(), two.unwrap()].map(|r| r.replayed.len());
        assert_eq!(outcomes.iter().sum::<usize>(), 1, "{outcomes:?}");
        assert_eq!(events.0.lock().unwrap().len() as u64, offset + 1);
    }
}

#[tokio::test]
async fn what_another_process_has_begun_is_left_to_it_for_a_while() {
    let (dir, events) = (tempfile::tempdir().unwrap(), Events::default());
    let mut letters = open(dir.path()).await;
    bury(&mut letters, &SINKS, 0..1, event).await;
    let fuse = Fuse { left: StdMutex::new(Some(2)) };
    let patience = Duration::from_secs(300);
    let clock = clock();
    let dies = Model { events: &events, fuse: &fuse, patience };
    let dying = Replayer::new(Fused(letters.clone(), &fuse), dies, clock.clone());
    let ended = tokio::time::timeout(Duration::from_millis(300), dying.replay(&wanted([0]))).await;
    assert!(ended.is_err());
    let fuse = Fuse::default();
    let lives = Replayer::new(letters, Model { events: &events, fuse: &fuse, patience }, clock.clone());
    assert_eq!(codes(&lives.replay(&wanted([0])).await.unwrap()), [(0, "under_way")]);
    clock.advance(patience);
    assert_eq!(lives.replay(&wanted([0])).await.unwrap().replayed.len(), 1);
    assert_eq!(events.0.lock().unwrap().len(), 1);
}
