//! Events as they stand in a log, a sink into a ledger of their own.

use penstock::event::{Defaults, IdSource, admit};
use penstock::ledger::{Catalogue, Change, Ledger};
use penstock::log::{LogId, Range, Records};
use penstock::pipeline::{Held, Poison, Sink};
use penstock::pricing::Snapshot;
use penstock::telemetry::BalancesMetrics;
use penstock::time::{Clock, ManualClock, Micros};
use penstock_consumers::balances::BalancesSink;
use penstock_consumers::balances::ledger::sqlite::SqliteLedger;
use std::sync::Arc;
use std::time::Duration;

pub const NOON: Micros = Micros(1_767_268_800_000_000); // 2026-01-01T12:00:00Z
pub const LEAD: Duration = Duration::from_secs(2);

pub struct Desk {
    pub ledger: SqliteLedger,
    pub sink: BalancesSink<SqliteLedger>,
    pub clock: ManualClock,
    pub snapshot: Snapshot,
    pub log: LogId,
    folder: tempfile::TempDir,
}

pub fn who() -> Change {
    Change { who: "ana".into(), why: "a test".into() }
}

impl Desk {
    /// A ledger with the catalogue imported and known; the clock stands at [`NOON`].
    pub async fn with(catalogue: &Catalogue) -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(NOON.minus(Duration::from_secs(60)));
        let ledger = SqliteLedger::open(&folder.path().join("ledger.db"), Arc::new(clock.clone())).await.unwrap();
        ledger.import(catalogue, LEAD, &who()).await.unwrap();
        clock.set(NOON);
        let (_, snapshot) = ledger.load_catalogue().await.unwrap();
        let sink = BalancesSink::new(ledger.clone(), BalancesMetrics::default()).unwrap();
        let log = LogId { name: Arc::from("spool-00000000000000aa"), partition: 0 };
        Desk { ledger, sink, clock, snapshot, log, folder }
    }

    /// Prepares and writes one range, as the pipeline does.
    pub async fn write(&mut self, records: &Records, bad: &mut Vec<Poison>) {
        let range = records.range().unwrap();
        let batch = self.sink.prepare(&self.log, range, records, &self.snapshot, bad);
        let held = self.sink.held(&self.log, range, &batch).await.unwrap();
        self.sink.write(&self.log, range, &batch, &held).await.unwrap();
    }

    /// Events by `type YYYY-MM-DD HH`, from the view that people read.
    pub async fn hours(&self) -> std::collections::BTreeMap<String, u64> {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.folder.path().join("ledger.db"));
        let pool = sqlx::SqlitePool::connect_with(options.read_only(true)).await.unwrap();
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT type || ' ' || hour, sum(events) FROM ledger_hours GROUP BY type, hour")
                .fetch_all(&pool)
                .await
                .unwrap();
        rows.into_iter().map(|(hour, events)| (hour, u64::try_from(events).unwrap())).collect()
    }

    pub async fn position(&self) -> u64 {
        self.ledger.position(&self.log).await.unwrap().unwrap_or(0)
    }

    pub fn framed(&self, json: &str, ids: &mut IdSource) -> Vec<u8> {
        let received = self.clock.now();
        let max_future = Duration::from_secs(3_600);
        let defaults = Defaults { received, server: "ad-1", max_future, max_event_bytes: 64 << 10 };
        let mut frame = Vec::new();
        admit(json.as_bytes(), &defaults, ids, &mut frame).unwrap_or_else(|e| panic!("{json}: {e:?}"));
        frame
    }

    /// Lines of JSON as records from offset `from` on.
    pub fn records<'a>(&self, from: u64, lines: impl Iterator<Item = &'a str>) -> Records {
        let mut ids = IdSource::seeded(from);
        let mut records = Records::new();
        for (offset, line) in (from..).zip(lines) {
            records.push(offset, NOON, &self.framed(line, &mut ids));
        }
        records
    }
}

/// The whole of a range is there or nothing of it.
pub fn all_of(held: &Held) -> bool {
    *held == Held::All
}

pub const fn range(from: u64, to: u64) -> Range {
    Range { from, to }
}
