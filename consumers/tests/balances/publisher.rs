//! The publisher: whatever it dies of, the log ends with what the ledger says.

use crate::support::{Desk, NOON, who};
use penstock::ledger::{KpiRecord, Ledger, Reason, StateRecord};
use penstock::log::spool::{RealDisk, Retention, Spool};
use penstock::log::{Limits, Log, Records};
use penstock::settings::{BalancesSettings, SpoolSettings};
use penstock::telemetry::BalancesMetrics;
use penstock_consumers::balances::{Entry, PublishError, Publisher, SpoolStateLog, StateLog, StateLogError};
use penstock_consumers::catalogue::parse;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const FILE: &str = r#"{"advertisers": [{"id": 1, "name": "a", "currency": "EUR"}],
"campaigns": [{"id": 10, "name": "c", "advertiser_id": 1, "cpc_micros": 2, "total_budget_micros": 2},
              {"id": 11, "name": "d", "advertiser_id": 1}], "tags": {"x": 10}}"#;

/// A log in memory that can fail before or after it has taken the records.
#[derive(Clone, Default)]
struct Memory {
    records: Rc<RefCell<Vec<Vec<u8>>>>,
    fail: Rc<RefCell<Option<bool>>>,
}

impl StateLog for Memory {
    async fn append(&mut self, records: &[Entry]) -> Result<(), StateLogError> {
        let fail = self.fail.borrow_mut().take();
        if fail != Some(false) {
            self.records.borrow_mut().extend(records.iter().map(|r| r.body.clone()));
        }
        fail.map_or(Ok(()), |_| Err(StateLogError::Retry("the device is away".into())))
    }
}

impl Memory {
    fn states(&self) -> Vec<StateRecord> {
        self.records.borrow().iter().map(|r| StateRecord::decode(r).unwrap()).collect()
    }

    /// What a stop list makes of the log.
    fn stopped(&self) -> BTreeMap<u32, Vec<Reason>> {
        let mut held = BTreeMap::new();
        for record in self.states() {
            let StateRecord::Change(change) = record else { continue };
            let newest = held.get(&change.campaign_id).is_none_or(|(version, _)| *version < change.version);
            if newest {
                held.insert(change.campaign_id, (change.version, change.reasons));
            }
        }
        held.into_iter().filter(|(_, (_, r))| !r.is_empty()).map(|(id, (_, r))| (id, r)).collect()
    }
}

fn publisher(desk: &Desk, log: &Memory, kpis: &Memory) -> Publisher<impl Ledger, Memory, Memory> {
    let settings = BalancesSettings::default();
    let clock = Arc::new(desk.clock.clone());
    Publisher::new(desk.ledger.clone(), log.clone(), kpis.clone(), clock, &settings, BalancesMetrics::default())
}

async fn click(desk: &mut Desk) {
    let from = desk.position().await;
    let records = desk.records(from, [r#"{"type":"click","payload":{"tag":"x"}}"#].into_iter());
    desk.write(&records, &mut Vec::new()).await;
}

#[tokio::test]
async fn a_crash_between_append_and_mark_changes_nothing_for_a_reader() {
    for (appended, seed) in [(true, 1), (false, 2)] {
        let mut desk = Desk::with(&parse(FILE).unwrap()).await;
        let (log, kpis) = (Memory::default(), Memory::default());
        publisher(&desk, &log, &kpis).repeat().await.unwrap();
        click(&mut desk).await;
        *log.fail.borrow_mut() = Some(appended);
        let died = publisher(&desk, &log, &kpis).publish().await;
        assert!(matches!(died, Err(PublishError::Log(_))), "{seed}");
        desk.ledger.stop(11, &who()).await.unwrap();
        publisher(&desk, &log, &kpis).repeat().await.unwrap();
        let expected = BTreeMap::from([(10, vec![Reason::TotalBudget]), (11, vec![Reason::Operator])]);
        assert_eq!(log.stopped(), expected);
        let newest = log.states().iter().map(StateRecord::version).max();
        assert_eq!(log.states().last().map(StateRecord::version), newest, "a heartbeat closes it");
    }
}

#[tokio::test]
async fn a_log_that_has_lost_its_past_is_told_everything_again() {
    let mut desk = Desk::with(&parse(FILE).unwrap()).await;
    let (log, kpis) = (Memory::default(), Memory::default());
    click(&mut desk).await;
    publisher(&desk, &log, &kpis).publish().await.unwrap();
    log.records.borrow_mut().clear();
    publisher(&desk, &log, &kpis).repeat().await.unwrap();
    assert_eq!(log.stopped(), BTreeMap::from([(10, vec![Reason::TotalBudget])]));
    let stop = log.states().into_iter().find_map(|r| match r {
        StateRecord::Change(c) if c.campaign_id == 10 => Some(c),
        _ => None,
    });
    assert_eq!(stop.unwrap().cause_received, Some(NOON));
}

#[tokio::test]
async fn totals_are_told_when_they_have_changed() {
    let mut desk = Desk::with(&parse(FILE).unwrap()).await;
    let (log, kpis) = (Memory::default(), Memory::default());
    click(&mut desk).await;
    *kpis.fail.borrow_mut() = Some(true);
    assert!(publisher(&desk, &log, &kpis).publish_kpis().await.is_err());
    publisher(&desk, &log, &kpis).publish_kpis().await.unwrap();
    publisher(&desk, &log, &kpis).publish_kpis().await.unwrap();
    let told: Vec<_> = kpis.records.borrow().iter().map(|r| KpiRecord::decode(r).unwrap()).collect();
    assert_eq!(told.len(), 2, "once too often after the failure, and never again");
    assert!(told.iter().all(|k| (k.campaign_id, k.clicks, k.spent_nanos) == (10, 1, 2_000)));
}

#[tokio::test]
async fn a_stop_comes_out_of_the_spool() {
    let mut desk = Desk::with(&parse(FILE).unwrap()).await;
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let clock = Arc::new(penstock::time::SystemClock);
        let (dir, settings) = (folder.path().join(name), SpoolSettings::default());
        Spool::open(RealDisk, &dir, 1, &settings, Retention::default(), clock).unwrap().0
    };
    let (states, totals) = (open("campaign-state"), open("campaign-kpis"));
    let settings = BalancesSettings {
        outbox_poll: Duration::from_secs(10), // only the ledger's own call wakes it
        heartbeat: Duration::from_secs(60),
        ..BalancesSettings::default()
    };
    let clock = Arc::new(desk.clock.clone());
    let publisher = Publisher::new(
        desk.ledger.clone(),
        SpoolStateLog::new(states.writer(0).unwrap()),
        SpoolStateLog::new(totals.writer(0).unwrap()),
        clock,
        &settings,
        BalancesMetrics::default(),
    );
    let stop = CancellationToken::new();
    let mut reader = states.reader("stop-list", 0).unwrap();
    let limits = Limits { rows: 1, bytes: 1 << 20, age: Duration::ZERO, idle: Duration::from_secs(30), end: None };
    let follow = async {
        click(&mut desk).await;
        let (mut next, mut records) = (0, Records::new());
        loop {
            reader.read(next, &limits, &mut records).await.unwrap();
            let record = records.get(0).expect("something within half a minute");
            next = record.offset + 1;
            match StateRecord::decode(record.body.unwrap()).unwrap() {
                StateRecord::Change(c) if !c.serving => break c,
                _ => {}
            }
        }
    };
    let (done, stopped) = tokio::join!(publisher.run(stop.clone()), async {
        let stopped = follow.await;
        stop.cancel();
        stopped
    });
    done.unwrap();
    assert_eq!((stopped.campaign_id, stopped.reasons), (10, vec![Reason::TotalBudget]));
    assert_eq!(stopped.cause_received, Some(NOON));
}
