//! MariaDB under the conformance suite, each test with a database of its own.

use crate::support::{Bench, NOON, Oracle};
use penstock::settings::LedgerSettings;
use penstock::time::ManualClock;
use penstock_consumers::balances::ledger::mariadb::MariaDbLedger;
use sqlx::mysql::{MySqlConnection, MySqlPool, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Row};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// `mysql://USER@HOST:PORT` of the server.
pub fn server() -> String {
    std::env::var("PENSTOCK_TEST_MARIADB")
        .expect("PENSTOCK_TEST_MARIADB is not set: start the parts with `make cluster` and use the variables it prints")
        .trim_end_matches('/')
        .to_owned()
}

/// Files in schemas/mariadb.
const MIGRATIONS: i64 = 3;

/// A database that goes when it is dropped.
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    pub async fn new() -> Database {
        let (server, name) = (server(), format!("ledger_{:016x}", rand::random::<u64>()));
        let mut conn = MySqlConnection::connect(&server).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut conn).await.unwrap();
        Database { server, name }
    }

    pub fn url(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, drop) = (self.server.clone(), format!("DROP DATABASE IF EXISTS {}", self.name));
        // A runtime of its own: the test's may be the one that is going down.
        let gone = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut conn = MySqlConnection::connect(&server).await?;
                sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut conn).await.map(|_| ())
            })
        });
        if !matches!(gone.join(), Ok(Ok(()))) {
            eprintln!("the database {} was left behind", self.name);
        }
    }
}

pub fn settings(url: &str) -> LedgerSettings {
    LedgerSettings { url: Some(url.to_owned()), connections: 8, ..LedgerSettings::default() }
}

pub async fn open(url: &str, clock: &ManualClock) -> MariaDbLedger {
    MariaDbLedger::open(&settings(url), Arc::new(clock.clone())).await.unwrap()
}

pub struct MariaDbOracle {
    pool: MySqlPool,
    _database: Option<Database>,
}

impl MariaDbOracle {
    pub fn new(url: &str, database: Option<Database>) -> MariaDbOracle {
        let pool = MySqlPoolOptions::new().max_connections(2).connect_lazy(url).unwrap();
        MariaDbOracle { pool, _database: database }
    }
}

impl Oracle for MariaDbOracle {
    fn ask<'a>(&'a self, sql: &'a str) -> Pin<Box<dyn Future<Output = Vec<Vec<i64>>> + Send + 'a>> {
        Box::pin(async move {
            // The text protocol: a sum is a DECIMAL there, and its digits are read here.
            let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&self.pool).await.unwrap();
            let number = |row: &sqlx::mysql::MySqlRow, i| row.get_unchecked::<String, _>(i).parse::<i64>().unwrap();
            rows.iter().map(|row| (0..row.len()).map(|i| number(row, i)).collect()).collect()
        })
    }
}

/// A new ledger in a database that goes with it; the clock stands at [`NOON`].
pub async fn bench() -> Bench<MariaDbLedger> {
    let database = Database::new().await;
    let url = database.url();
    let clock = ManualClock::at(NOON);
    let ledger = open(&url, &clock).await;
    let oracle = Box::new(MariaDbOracle::new(&url, Some(database)));
    let reopen = {
        let clock = clock.clone();
        Box::new(move || {
            let (url, clock) = (url.clone(), clock.clone());
            let opened: Pin<Box<dyn Future<Output = MariaDbLedger> + Send>> =
                Box::pin(async move { open(&url, &clock).await });
            opened
        })
    };
    Bench { ledger, clock, oracle, reopen }
}

suite!();

/// Every way that a process may come to a new database at once with others.
#[tokio::test]
async fn many_processes_may_open_a_new_ledger_at_once() {
    let database = Database::new().await;
    let url = database.url();
    let clock = ManualClock::at(NOON);
    let opened = futures::future::join_all((0..6).map(|_| open(&url, &clock))).await;
    let oracle = MariaDbOracle::new(&url, Some(database));
    assert_eq!(oracle.ask("SELECT count(*) FROM _sqlx_migrations WHERE success").await, vec![vec![MIGRATIONS]]);
    assert_eq!(oracle.ask("SELECT count(*) FROM counters").await, vec![vec![4]]);
    drop(opened);
}

/// DDL commits statement by statement, so a kill leaves a part of a migration behind.
#[tokio::test]
async fn a_migration_that_was_cut_off_is_finished() {
    let database = Database::new().await;
    let url = database.url();
    let clock = ManualClock::at(NOON);
    open(&url, &clock).await.close().await;
    let mut conn = MySqlConnection::connect(&url).await.unwrap();
    for spoil in ["DROP VIEW ledger_hours", "DROP TABLE outbox", "UPDATE _sqlx_migrations SET success = FALSE"] {
        sqlx::raw_sql(spoil).execute(&mut conn).await.unwrap();
    }
    open(&url, &clock).await.close().await;
    let oracle = MariaDbOracle::new(&url, Some(database));
    assert_eq!(oracle.ask("SELECT count(*) FROM outbox").await, vec![vec![0]]);
    assert_eq!(oracle.ask("SELECT count(*) FROM ledger_hours").await, vec![vec![0]]);
    assert_eq!(oracle.ask("SELECT count(*) FROM _sqlx_migrations WHERE success").await, vec![vec![MIGRATIONS]]);
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused() {
    let database = Database::new().await;
    let url = database.url();
    let clock = ManualClock::at(NOON);
    open(&url, &clock).await.close().await;
    let mut conn = MySqlConnection::connect(&url).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'of the future', TRUE, '', 0)";
    sqlx::raw_sql(newer).execute(&mut conn).await.unwrap();
    let refused = MariaDbLedger::open(&settings(&url), Arc::new(clock)).await;
    assert!(matches!(refused.err(), Some(penstock::ledger::LedgerError::Fatal(why)) if why.contains("9999")));
}

#[tokio::test]
async fn a_server_that_is_away_is_told_as_busy() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings =
        LedgerSettings { timeout: Duration::from_secs(1), ..settings(&format!("mysql://penstock@{gone}/penstock")) };
    let opened = MariaDbLedger::open(&settings, Arc::new(ManualClock::at(NOON))).await;
    assert!(matches!(opened.err(), Some(penstock::ledger::LedgerError::Busy(_))));
}
