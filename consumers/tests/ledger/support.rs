//! What every test of a ledger needs: a catalogue, batches, and a way to ask the database.

use penstock::ledger::{Advertiser, Batch, Campaign, Catalogue, Change, Grouper, Ledger, Unique};
use penstock::log::{LogId, Range};
use penstock::money::Nanos;
use penstock::time::{ManualClock, Micros};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A ledger under test, its clock, and the oracle: the database's own SQL.
pub struct Bench<L> {
    pub ledger: L,
    pub clock: ManualClock,
    pub oracle: Box<dyn Oracle>,
    /// Opens the same database anew, as a process does that was killed.
    pub reopen: Box<dyn Fn() -> Pin<Box<dyn Future<Output = L> + Send>> + Send + Sync>,
}

/// Asks the database directly, past the implementation.
pub trait Oracle: Send + Sync {
    /// Rows of integers.
    fn ask<'a>(&'a self, sql: &'a str) -> Pin<Box<dyn Future<Output = Vec<Vec<i64>>> + Send + 'a>>;
}

impl<L: Ledger> Bench<L> {
    pub async fn one(&self, sql: &str) -> i64 {
        let rows = self.oracle.ask(sql).await;
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0][0]
    }

    /// Nothing that `sql` looks for is there.
    pub async fn none(&self, promise: &str, sql: &str) {
        let rows = self.oracle.ask(sql).await;
        assert!(rows.is_empty(), "{promise}: {rows:?}");
    }

    pub async fn import(&self, catalogue: &Catalogue) {
        self.ledger.import(catalogue, LEAD, &who("importer")).await.unwrap();
    }

    pub async fn apply(&self, from: u64, batch: &Batch) -> penstock::ledger::Applied {
        let range = Range { from, to: from + batch.events() + batch.poison };
        self.ledger.apply(&log(0), range, batch).await.unwrap()
    }
}

pub const LEAD: Duration = Duration::from_secs(2);
pub const NOON: Micros = Micros(1_767_268_800_000_000); // 2026-01-01T12:00:00Z

pub fn who(name: &str) -> Change {
    Change { who: name.into(), why: "a test".into() }
}

pub fn log(partition: u32) -> LogId {
    LogId { name: Arc::from("spool-0123456789abcdef"), partition }
}

/// Advertisers 1 and 2 without limits; campaigns 11 and 12 of the first, 21 of the second.
pub fn catalogue() -> Catalogue {
    let advertiser =
        |id| Advertiser { id, name: format!("advertiser {id}"), currency: "EUR".into(), balance_micros: None };
    let campaign = |id: u32| Campaign {
        id,
        name: format!("campaign {id}"),
        advertiser_id: id / 10,
        cpm_micros: Some(2_000),
        cpc_micros: Some(3_000),
        cpa_micros: Some(250_000),
        total_budget_micros: None,
        daily_budget_micros: None,
        time_zone: "UTC".into(),
    };
    Catalogue {
        advertisers: vec![advertiser(1), advertiser(2)],
        campaigns: vec![campaign(11), campaign(12), campaign(21)],
        tags: [("a".to_owned(), 11), ("b".to_owned(), 12), ("c".to_owned(), 21)].into(),
    }
}

/// A batch of events that need no id.
pub fn batch(events: &[(u32, &'static str, i64, Micros)]) -> Batch {
    let mut grouper = Grouper::new();
    for (campaign, kind, cost, time) in events {
        grouper.add(*campaign, *time, kind, Nanos(*cost), *time);
    }
    grouper.finish(0)
}

/// A batch of clicks, each `(campaign, id, cost)`, at `time`.
pub fn clicks(events: &[(u32, u8, i64)], time: Micros) -> Batch {
    let mut grouper = Grouper::new();
    for (campaign, id, cost) in events {
        grouper.add_unique(click(*campaign, *id, *cost, time));
    }
    grouper.finish(0)
}

pub fn click(campaign: u32, id: u8, cost: i64, time: Micros) -> Unique {
    let quarter = penstock::ledger::quarter(time);
    Unique { id: [id; 16], kind: "click", campaign, quarter, received: time, cost: Nanos(cost) }
}
