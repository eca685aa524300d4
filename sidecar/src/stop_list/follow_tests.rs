//! The follower against a log that loses records, fails and grows by hand.

use super::*;
use penstock::ledger::{Heartbeat, Reason, StateChange};
use penstock::log::{FlushReason, LogId};
use penstock::telemetry::SidecarMetrics;
use penstock::time::{Clock, ManualClock};
use prometheus_client::registry::Registry;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::LocalSet;

#[derive(Default)]
struct Inner {
    /// `None` is a damaged record.
    records: Vec<(Micros, Option<Vec<u8>>)>,
    start: Offset,
    failures: u32,
    stored: Option<Position>,
}

/// A log in memory; clones share it.
#[derive(Clone)]
struct Script {
    id: LogId,
    inner: Rc<RefCell<Inner>>,
    grown: Rc<Notify>,
    clock: ManualClock,
}

impl Script {
    fn new() -> Self {
        let id = LogId { name: "spool-0000000000000001".into(), partition: 0 };
        let clock = ManualClock::at(Micros::from_secs(1_000));
        Script { id, inner: Rc::default(), grown: Rc::default(), clock }
    }

    fn put(&self, record: Option<StateRecord>) {
        let body = record.map(|r| {
            let mut body = Vec::new();
            r.encode(&mut body).unwrap();
            body
        });
        self.inner.borrow_mut().records.push((self.clock.now(), body));
        self.grown.notify_waiters();
    }

    fn stop(&self, version: u64, campaign_id: u32) {
        let reasons = vec![Reason::TotalBudget];
        let at = self.clock.now();
        let change = StateChange { campaign_id, version, serving: false, reasons, at, cause_received: None };
        self.put(Some(StateRecord::Change(change)));
    }

    fn beat(&self, version: u64) {
        self.put(Some(StateRecord::Heartbeat(Heartbeat { version, at: self.clock.now() })));
    }
}

impl Log for Script {
    fn id(&self) -> &LogId {
        &self.id
    }

    async fn position(&mut self) -> Result<Option<Position>, LogError> {
        Ok(self.inner.borrow().stored)
    }

    async fn read(&mut self, from: Offset, _: &Limits, out: &mut Records) -> Result<FlushReason, LogError> {
        out.clear();
        loop {
            let grown = self.grown.notified();
            {
                let mut inner = self.inner.borrow_mut();
                if inner.failures > 0 {
                    inner.failures -= 1;
                    return Err(LogError::Io { what: "read".into(), source: io::Error::other("scripted") });
                }
                if from < inner.start {
                    return Err(LogError::Gap { log: self.id.clone(), wanted: from, start: inner.start });
                }
                for (offset, (at, body)) in (0..).zip(&inner.records).skip(from as usize) {
                    match body {
                        Some(body) => out.push(offset, *at, body),
                        None => out.push_corrupt(offset, *at),
                    }
                }
            }
            if !out.is_empty() {
                return Ok(FlushReason::Age);
            }
            grown.await;
        }
    }

    async fn store(&mut self, position: Position) -> Result<(), LogError> {
        self.inner.borrow_mut().stored = Some(position);
        Ok(())
    }

    fn end(&self) -> Offset {
        self.inner.borrow().records.len() as Offset
    }
}

fn list(clock: &ManualClock) -> StopList {
    let metrics = SidecarMetrics::register(&mut Registry::default());
    StopList::new(100, Duration::from_secs(15), Arc::new(clock.clone()), metrics)
}

/// Runs the follower beside `test`, then to its end.
async fn beside(script: &Script, snapshot: Option<PathBuf>, test: impl AsyncFnOnce(StopList)) {
    let (list, stop) = (list(&script.clock), CancellationToken::new());
    let how = Following { snapshot, interval: Duration::from_secs(3600) };
    let local = LocalSet::new();
    local
        .run_until(async {
            let task = tokio::task::spawn_local(follow(list.clone(), script.clone(), how, stop.clone()));
            test(list).await;
            stop.cancel();
            task.await.unwrap();
        })
        .await;
}

/// Lets the follower run until this holds.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never came to hold");
}

#[tokio::test(start_paused = true)]
async fn what_lies_in_the_log_is_taken_in_before_answers_are_fresh() {
    let script = Script::new();
    script.stop(1, 7);
    script.beat(1);
    beside(&script, None, async |list| {
        assert!(list.stale());
        until(|| list.caught_up()).await;
        assert!(!list.stale() && !list.answer(7).serving);
    })
    .await;
    assert_eq!(script.inner.borrow().stored, None, "without a snapshot the log is needed from its start");
}

#[tokio::test(start_paused = true)]
async fn a_lost_record_makes_answers_stale_until_it_can_have_been_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stop-list");
    let script = Script::new();
    script.beat(0);
    beside(&script, Some(path.clone()), async |list| {
        until(|| list.caught_up()).await;
        script.put(None);
        until(|| list.stale()).await;
        script.stop(2, 2);
        script.beat(2);
        until(|| list.version() == 2).await;
        assert!(list.stale(), "the publisher has not started anew, it will not tell the lost one");
    })
    .await;
    // The next start does not forget it; the publisher that starts with it tells everything again.
    script.clock.advance(Duration::from_secs(5));
    beside(&script, Some(path), async |list| {
        until(|| list.version() == 2).await;
        assert!(list.stale());
        let epoch = list.epoch();
        script.stop(1, 1);
        script.stop(2, 2);
        script.beat(2);
        until(|| !list.stale()).await;
        assert!(!list.answer(1).serving && !list.answer(2).serving);
        assert_ne!(list.epoch(), epoch, "watchers have to take the full set");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_retention_has_cut_is_stale_until_the_publishers_sign_of_life() {
    let script = Script::new();
    for version in 1..=5 {
        script.stop(version, version as u32);
    }
    script.inner.borrow_mut().start = 3;
    script.clock.advance(Duration::from_secs(1));
    beside(&script, None, async |list| {
        until(|| list.version() == 5).await;
        assert!(list.stale() && list.answer(1).serving);
        (1..=5).for_each(|version| script.stop(version, version as u32));
        script.beat(5);
        until(|| !list.stale()).await;
        assert!(!list.answer(1).serving);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_log_are_outlasted() {
    let script = Script::new();
    script.inner.borrow_mut().failures = 6;
    script.stop(1, 1);
    script.beat(1);
    beside(&script, None, async |list| {
        until(|| list.version() == 1).await;
        assert!(!list.answer(1).serving);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_stands_before_the_position_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stop-list");
    let script = Script::new();
    script.stop(1, 7);
    beside(&script, Some(path.clone()), async |list| until(|| list.version() == 1).await).await;
    let saved = Snapshot::read(&path).unwrap().unwrap();
    assert_eq!((saved.next, saved.whole, saved.version), (1, true, 1));
    assert_eq!(script.inner.borrow().stored, Some(Position::at(1)));
    // A folder that cannot be written: no snapshot, so no position.
    let script = Script::new();
    script.stop(1, 7);
    let nowhere = folder.path().join("missing").join("stop-list");
    beside(&script, Some(nowhere), async |list| until(|| list.version() == 1).await).await;
    assert_eq!(script.inner.borrow().stored, None);
}
