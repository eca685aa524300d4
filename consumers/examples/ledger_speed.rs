//! How many events a second the ledger books: `cargo run --release -p penstock-consumers --example ledger_speed`.
//!
//! Transactions of 50 000 events each, every COMMIT synced to the device: impressions over 100
//! campaigns and two hours, then clicks whose ids are all new, then the same clicks again.
//!
//! With `--features cluster` and PENSTOCK_TEST_MARIADB set, the same on that server, and beside it,
//! in the same run, what a loader does that upserts a row an event, 1000 rows a statement, in
//! transactions of the same size.

use penstock::event::{Defaults, IdSource, admit};
use penstock::ledger::{Advertiser, Batch, Campaign, Catalogue, Change, Grouper, Ledger, Unique, quarter};
use penstock::log::{LogId, Range, Records};
use penstock::money::Nanos;
use penstock::pipeline::Sink;
use penstock::telemetry::BalancesMetrics;
use penstock::time::{Clock, Micros, SystemClock};
use penstock_consumers::balances::BalancesSink;
use penstock_consumers::balances::ledger::sqlite::SqliteLedger;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

const EVENTS: u64 = 50_000;
const ROUNDS: u64 = 10;

fn catalogue() -> Catalogue {
    let campaign = |id: u32| Campaign {
        id,
        name: format!("campaign {id}"),
        advertiser_id: 1 + id % 10,
        cpm_micros: Some(2_000),
        cpc_micros: Some(3_000),
        cpa_micros: None,
        total_budget_micros: Some(i64::MAX / 1_000),
        daily_budget_micros: Some(i64::MAX / 1_000),
        time_zone: "Europe/Berlin".into(),
    };
    let advertiser =
        |id| Advertiser { id, name: format!("advertiser {id}"), currency: "EUR".into(), balance_micros: None };
    Catalogue {
        advertisers: (1..=10).map(advertiser).collect(),
        campaigns: (1..=100).map(campaign).collect(),
        tags: (1..=1_000).map(|n| (format!("tag-{n}"), 1 + n % 100)).collect(),
    }
}

fn impressions(now: Micros) -> Batch {
    let mut grouper = Grouper::new();
    for n in 0..EVENTS {
        let time = now.minus(Duration::from_secs(n % 7_200));
        grouper.add(1 + (n % 100) as u32, time, "impression", Nanos(2_000), now);
    }
    grouper.finish(0)
}

fn clicks(round: u64, now: Micros) -> Batch {
    let mut grouper = Grouper::new();
    for n in 0..EVENTS {
        // Spread over the whole index, as random ids are.
        let id = (u128::from(round * EVENTS + n)).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let campaign = 1 + (n % 100) as u32;
        let (id, quarter) = (id.to_be_bytes(), quarter(now));
        grouper.add_unique(Unique { id, kind: "click", campaign, quarter, received: now, cost: Nanos(3_000_000) });
    }
    grouper.finish(0)
}

async fn book(ledger: &impl Ledger, name: &str, partition: u32, batches: &[Batch]) -> Result<u128, Box<dyn Error>> {
    let log = LogId { name: Arc::from("spool-0000000000000001"), partition };
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    for (n, batch) in (0..).zip(batches) {
        let one = Instant::now();
        ledger.apply(&log, Range { from: n * EVENTS, to: (n + 1) * EVENTS }, batch).await?;
        slowest = slowest.max(one.elapsed());
    }
    let rate = report(name, batches.len() as u64 * EVENTS, start.elapsed());
    eprintln!("    slowest transaction {slowest:?}");
    Ok(rate)
}

fn report(name: &str, events: u64, took: Duration) -> u128 {
    let rate = u128::from(events) * 1_000_000 / took.as_micros().max(1);
    eprintln!("{name}: {events} events in {took:?}, {rate} a second");
    rate
}

/// The default mix of an ad server, many times over in clicks: 99 impressions, one click.
fn mixed(round: u64, now: Micros) -> Batch {
    let mut batch = clicks(round + 1_000, now);
    batch.uniques.truncate(EVENTS as usize / 100);
    let mut grouper = Grouper::new();
    for n in 0..EVENTS - EVENTS / 100 {
        grouper.add(1 + (n % 100) as u32, now.minus(Duration::from_secs(n % 7_200)), "impression", Nanos(2_000), now);
    }
    batch.groups = grouper.finish(0).groups;
    batch
}

#[cfg(feature = "cluster")]
mod mariadb {
    use super::*;
    use penstock::settings::LedgerSettings;
    use penstock_consumers::balances::ledger::mariadb::MariaDbLedger;
    use sqlx::mysql::MySqlConnection;
    use sqlx::{AssertSqlSafe, Connection};

    /// One row an event, 1000 rows a statement, 50 000 events a transaction.
    async fn upserts(conn: &mut MySqlConnection, rounds: u64, now: Micros) -> Result<u128, Box<dyn Error>> {
        sqlx::raw_sql(
            "CREATE TABLE upserts (campaign_id BIGINT NOT NULL, hour BIGINT NOT NULL, type VARCHAR(32) NOT NULL,
                events BIGINT NOT NULL, cost_nanos BIGINT NOT NULL, PRIMARY KEY (campaign_id, hour, type))",
        )
        .execute(&mut *conn)
        .await?;
        // Made before the clock runs: building the text is no part of what the server takes.
        let rows: Vec<String> = (0..EVENTS)
            .map(|n| {
                let kind = if n % 100 == 0 { "click" } else { "impression" };
                let hour = now.minus(Duration::from_secs(n % 7_200)).0 / 3_600_000_000;
                format!("({},{hour},'{kind}',1,2000)", 1 + n % 100)
            })
            .collect();
        let statements: Vec<String> = rows
            .chunks(1_000)
            .map(|rows| {
                let values = rows.join(",");
                format!(
                    "INSERT INTO upserts VALUES {values} ON DUPLICATE KEY UPDATE
                     events = events + VALUES(events), cost_nanos = cost_nanos + VALUES(cost_nanos)"
                )
            })
            .collect();
        let start = Instant::now();
        for _ in 0..rounds {
            sqlx::raw_sql("START TRANSACTION").execute(&mut *conn).await?;
            for statement in &statements {
                sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut *conn).await?;
            }
            sqlx::raw_sql("COMMIT").execute(&mut *conn).await?;
        }
        Ok(report("a row an event, upserted", rounds * EVENTS, start.elapsed()))
    }

    pub async fn run(server: &str) -> Result<(), Box<dyn Error>> {
        let name = format!("ledger_speed_{}", std::process::id());
        let mut conn = MySqlConnection::connect(server).await?;
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}; USE {name}"))).execute(&mut conn).await?;
        let url = Some(format!("{}/{name}", server.trim_end_matches('/')));
        let ledger =
            MariaDbLedger::open(&LedgerSettings { url, ..LedgerSettings::default() }, Arc::new(SystemClock)).await?;
        let now = import(&ledger).await?;
        let many: Vec<Batch> = (0..ROUNDS).map(|_| impressions(now)).collect();
        book(&ledger, "MariaDB, impressions", 0, &many).await?;
        let many: Vec<Batch> = (0..ROUNDS).map(|round| clicks(round, now)).collect();
        book(&ledger, "MariaDB, clicks, new ids", 1, &many).await?;
        book(&ledger, "MariaDB, clicks, all repeated", 2, &many).await?;
        let many: Vec<Batch> = (0..ROUNDS).map(|round| mixed(round, now)).collect();
        let ours = book(&ledger, "MariaDB, one click in a hundred", 3, &many).await?;
        let theirs = upserts(&mut conn, ROUNDS / 2, now).await?;
        let hundredths = ours * 100 / theirs.max(1);
        eprintln!("    {}.{:02} times the rate of a row an event", hundredths / 100, hundredths % 100);
        sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {name}"))).execute(&mut conn).await?;
        Ok(())
    }
}

/// Imports the catalogue and waits until it is known.
async fn import(ledger: &impl Ledger) -> Result<Micros, Box<dyn Error>> {
    let change = Change { who: "bench".into(), why: String::new() };
    ledger.import(&catalogue(), Duration::from_millis(200), &change).await?;
    tokio::time::sleep(Duration::from_millis(250)).await;
    Ok(SystemClock.now())
}

async fn prepare(ledger: &impl Ledger, now: Micros) -> Result<(), Box<dyn Error>> {
    let mut records = Records::new();
    let mut ids = IdSource::seeded(1);
    let defaults =
        Defaults { received: now, server: "ad-1", max_future: Duration::from_secs(3_600), max_event_bytes: 64 << 10 };
    let mut frame = Vec::new();
    for n in 0..EVENTS {
        let kind = if n % 100 == 0 { "click" } else { "impression" };
        let json = format!(
            r#"{{"type":"{kind}","payload":{{"tag":"tag-{}","site_id":"ch{}","user_id":"u{n}","ip":"10.1.118.76","country":"DE"}}}}"#,
            1 + n % 1_000,
            n % 50
        );
        frame.clear();
        admit(json.as_bytes(), &defaults, &mut ids, &mut frame).map_err(|e| format!("{e:?}"))?;
        records.push(n, now, &frame);
    }
    let (_, snapshot) = ledger.load_catalogue().await?;
    let mut sink = BalancesSink::new(ledger.clone(), BalancesMetrics::default())?;
    let log = LogId { name: Arc::from("spool-0000000000000002"), partition: 0 };
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let mut bad = Vec::new();
        sink.prepare(&log, Range { from: 0, to: EVENTS }, &records, &snapshot, &mut bad)?;
        assert!(bad.is_empty());
    }
    report("decode, price and group", ROUNDS * EVENTS, start.elapsed());
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let ledger = SqliteLedger::open(&folder.path().join("ledger.db"), Arc::new(SystemClock)).await?;
    let now = import(&ledger).await?;
    let many: Vec<Batch> = (0..ROUNDS).map(|_| impressions(now)).collect();
    book(&ledger, "impressions", 0, &many).await?;
    let many: Vec<Batch> = (0..ROUNDS).map(|round| clicks(round, now)).collect();
    book(&ledger, "clicks, new ids", 1, &many).await?;
    book(&ledger, "clicks, all repeated", 2, &many).await?;
    let many: Vec<Batch> = (0..ROUNDS).map(|round| mixed(round, now)).collect();
    book(&ledger, "one click in a hundred", 3, &many).await?;
    prepare(&ledger, now).await?;
    #[cfg(feature = "cluster")]
    if let Ok(server) = std::env::var("PENSTOCK_TEST_MARIADB") {
        mariadb::run(&server).await?;
    }
    Ok(())
}
