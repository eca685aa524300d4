//! SQLite under the conformance suite.

use crate::support::{Bench, NOON, Oracle};
use penstock::time::ManualClock;
use penstock_consumers::balances::ledger::sqlite::SqliteLedger;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, Row};
use std::path::Path;
use std::sync::Arc;

struct SqliteOracle {
    pool: SqlitePool,
    _folder: Option<tempfile::TempDir>,
}

impl Oracle for SqliteOracle {
    fn ask<'a>(&'a self, sql: &'a str) -> std::pin::Pin<Box<dyn Future<Output = Vec<Vec<i64>>> + Send + 'a>> {
        Box::pin(async move {
            let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await.unwrap();
            rows.iter().map(|row| (0..row.len()).map(|i| row.get::<i64, _>(i)).collect()).collect()
        })
    }
}

pub async fn open(path: &Path, clock: &ManualClock) -> SqliteLedger {
    SqliteLedger::open(path, Arc::new(clock.clone())).await.unwrap()
}

/// A new ledger in a folder that goes with it; the clock stands at [`NOON`].
pub async fn bench() -> Bench<SqliteLedger> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let clock = ManualClock::at(NOON);
    let ledger = open(&path, &clock).await;
    let pool = SqlitePool::connect_lazy_with(SqliteConnectOptions::new().filename(&path).read_only(true));
    let reopen = {
        let (path, clock) = (path.clone(), clock.clone());
        Box::new(move || {
            let (path, clock) = (path.clone(), clock.clone());
            let opened: std::pin::Pin<Box<dyn Future<Output = SqliteLedger> + Send>> =
                Box::pin(async move { open(&path, &clock).await });
            opened
        })
    };
    Bench { ledger, clock, oracle: Box::new(SqliteOracle { pool, _folder: Some(folder) }), reopen }
}

suite!();

#[tokio::test]
async fn a_ledger_opened_again_stands_where_it_stood() {
    use penstock::ledger::Ledger;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let clock = ManualClock::at(NOON);
    let ledger = open(&path, &clock).await;
    let range = penstock::log::Range { from: 0, to: 1 };
    let poison = penstock::ledger::Batch { poison: 1, ..Default::default() };
    ledger.apply(&crate::support::log(0), range, &poison).await.unwrap();
    ledger.close().await;
    drop(ledger);
    let again = open(&path, &clock).await;
    assert_eq!(again.position(&crate::support::log(0)).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_file_that_is_no_ledger_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    std::fs::write(&path, vec![7u8; 8_192]).unwrap();
    let opened = SqliteLedger::open(&path, Arc::new(ManualClock::at(NOON))).await;
    assert!(matches!(opened.err(), Some(penstock::ledger::LedgerError::Fatal(_))));
}

#[tokio::test]
async fn the_files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder.path().join("ledger.db"), &ManualClock::at(NOON)).await;
    let mut seen = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.path().display());
        seen += 1;
    }
    assert!(seen >= 2, "the database and its log");
    ledger.close().await;
}
