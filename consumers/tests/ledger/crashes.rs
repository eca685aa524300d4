//! What MariaDB alone can do to a ledger: die, fall silent, lose an answer, deadlock; and what
//! several processes can do to each other.

use crate::conformance::books_balance;
use crate::mariadb::{Database, MariaDbOracle, open, server, settings};
use crate::proxy::{Cut, Proxy};
use crate::support::{Bench, LEAD, NOON, batch, catalogue, clicks, log, who};
use penstock::ledger::{Batch, Ledger, LedgerError, Outcome, Reason};
use penstock::log::Range;
use penstock::settings::LedgerSettings;
use penstock::time::ManualClock;
use penstock_consumers::balances::ledger::mariadb::MariaDbLedger;
use std::sync::Arc;
use std::time::Duration;

/// A ledger behind a proxy; the oracle asks the server itself.
async fn behind_a_proxy(timeout: Duration) -> (Bench<MariaDbLedger>, Proxy, String) {
    let database = Database::new().await;
    let url = database.url();
    let (user, rest) = url.strip_prefix("mysql://").unwrap().split_once('@').unwrap();
    let (host, name) = rest.split_once('/').unwrap();
    let proxy = Proxy::new(host);
    let through = format!("mysql://{user}@{}/{name}", proxy.address);
    let clock = ManualClock::at(NOON);
    let settings = LedgerSettings { timeout, ..settings(&through) };
    let ledger = MariaDbLedger::open(&settings, Arc::new(clock.clone())).await.unwrap();
    let oracle = Box::new(MariaDbOracle::new(&url, Some(database)));
    let reopen = Box::new(|| unreachable!("not in these tests"));
    (Bench { ledger, clock, oracle, reopen }, proxy, url)
}

#[tokio::test]
async fn a_commit_without_an_answer_is_resolved_by_the_position() {
    let (bench, proxy, _) = behind_a_proxy(Duration::from_secs(30)).await;
    bench.import(&catalogue()).await;
    for (round, cut) in [Cut::Before, Cut::Answer, Cut::Never, Cut::Answer, Cut::Before].into_iter().enumerate() {
        let from = 3 * round as u64;
        let mut events = batch(&[(11, "impression", 5, NOON), (21, "visit", 7, NOON)]);
        events.uniques = clicks(&[(12, round as u8, 100)], NOON).uniques;
        proxy.cut(cut);
        let applied = bench.apply(from, &events).await;
        // Whichever attempt it was that booked: this call did, and says what.
        assert_eq!((applied.outcome, applied.sums.charged.nanos), (Outcome::Booked, 112), "{cut:?}");
        let again = bench.apply(from, &events).await;
        assert_eq!(again.outcome, Outcome::AlreadyBooked);
        books_balance(&bench).await;
    }
    assert_eq!(proxy.cuts(), 4);
    assert_eq!(bench.one("SELECT sum(events) FROM ledger").await, 15);
}

#[tokio::test]
async fn what_people_change_is_changed_once_though_the_answer_is_lost() {
    let (bench, proxy, _) = behind_a_proxy(Duration::from_secs(30)).await;
    bench.import(&catalogue()).await;
    bench.apply(0, &batch(&[(11, "visit", 5_000, NOON)])).await;
    for cut in [Cut::Before, Cut::Answer] {
        proxy.cut(cut);
        assert_eq!(bench.ledger.stop(11, &who("ana")).await.unwrap().reasons, vec![Reason::Operator]);
        proxy.cut(cut);
        assert_eq!(bench.ledger.resume(11, &who("ana")).await.unwrap().reasons, vec![]);
        let mut file = catalogue();
        file.campaigns[0].cpc_micros = Some(if cut == Cut::Before { 8 } else { 9 });
        proxy.cut(cut);
        let report = bench.ledger.import(&file, LEAD, &who("ana")).await.unwrap();
        assert_eq!((report.rates_changed, report.known_from), (1, Some(NOON.plus(LEAD))), "{cut:?}");
        let refund = penstock::ledger::NewAdjustment {
            campaign_id: 11,
            kind: penstock::ledger::AdjustmentKind::Refund,
            amount_nanos: -1_000,
            day: None,
            key: format!("{cut:?}"),
        };
        proxy.cut(cut);
        assert_eq!(bench.ledger.adjust(&refund, &who("ana")).await.unwrap().made, refund);
    }
    assert_eq!(proxy.cuts(), 8);
    assert_eq!(bench.one("SELECT count(*) FROM audit WHERE action IN ('stop', 'resume', 'adjust')").await, 6);
    assert_eq!(bench.one("SELECT count(*) FROM catalogue_versions").await, 3);
    assert_eq!(bench.one("SELECT spent_nanos FROM campaigns WHERE id = 11").await, 3_000);
    books_balance(&bench).await;
}

/// A connection that has gone without a word holds its locks on the server; they last no longer
/// than the ledger's time-out.
#[tokio::test]
async fn a_silent_network_ends_with_the_time_out_and_blocks_nobody_for_longer() {
    let (bench, proxy, url) = behind_a_proxy(Duration::from_secs(2)).await;
    bench.import(&catalogue()).await;
    let other = open(&url, &bench.clock).await;
    for (round, cut) in [Cut::Silence, Cut::Stuck].into_iter().enumerate() {
        let (from, events) = (round as u64, batch(&[(11, "impression", 5, NOON)]));
        let range = Range { from, to: from + 1 };
        proxy.cut(cut);
        let silent = bench.ledger.apply(&log(0), range, &events).await;
        assert!(matches!(silent, Err(LedgerError::Unknown(_))), "{cut:?}: {silent:?}");
        let outcome = other.apply(&log(0), range, &events).await.unwrap().outcome;
        assert_eq!(outcome, if cut == Cut::Silence { Outcome::AlreadyBooked } else { Outcome::Booked });
        assert_eq!(bench.ledger.position(&log(0)).await.unwrap(), Some(from + 1));
    }
    assert_eq!(bench.one("SELECT sum(events) FROM ledger").await, 2);
    books_balance(&bench).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_partitions_on_the_same_campaigns_add_up() {
    const PARTITIONS: u32 = 6;
    const ROUNDS: u64 = 15;
    let database = Database::new().await;
    let url = database.url();
    let clock = ManualClock::at(NOON);
    let (one, two) = (open(&url, &clock).await, open(&url, &clock).await);
    let bench = Bench {
        ledger: one.clone(),
        clock,
        oracle: Box::new(MariaDbOracle::new(&url, Some(database))),
        reopen: Box::new(|| unreachable!("not in this test")),
    };
    let mut file = catalogue();
    file.campaigns[0].total_budget_micros = Some(100);
    file.advertisers[0].balance_micros = Some(150);
    bench.import(&file).await;
    let mut tasks = Vec::new();
    for partition in 0..PARTITIONS {
        let ledger = if partition.is_multiple_of(2) { one.clone() } else { two.clone() };
        tasks.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                let events = mixed(partition, round);
                let range = Range { from: round * 6, to: round * 6 + 6 };
                // Busy after many deadlocks is an answer too: the pipeline comes again.
                while let Err(error) = ledger.apply(&log(partition), range, &events).await {
                    assert!(matches!(error, LedgerError::Busy(_)), "{error}");
                }
            }
        }));
    }
    let people = tokio::spawn(async move {
        for n in 0..20 {
            let change = who("ana");
            if n % 2 == 0 {
                two.stop(12, &change).await.unwrap()
            } else {
                two.resume(12, &change).await.unwrap()
            };
            two.roll_days().await.unwrap();
            let claimed = two.claim(100).await.unwrap();
            two.published(&claimed.iter().map(|c| c.version).collect::<Vec<_>>()).await.unwrap();
        }
    });
    for task in tasks {
        task.await.unwrap();
    }
    people.await.unwrap();
    let events = i64::from(PARTITIONS) * ROUNDS as i64;
    assert_eq!(bench.one("SELECT sum(events) FROM ledger WHERE type <> 'click'").await, 4 * events);
    // Every id is sent by all partitions and charged to one of them.
    assert_eq!(bench.one("SELECT sum(events) FROM ledger WHERE type = 'click'").await, 2 * ROUNDS as i64);
    assert_eq!(bench.one("SELECT count(*) FROM charges").await, 2 * ROUNDS as i64);
    assert_eq!(bench.one("SELECT charged_nanos FROM campaigns WHERE id = 21").await, 1_000 * events);
    assert_eq!(bench.one("SELECT count(*) FROM stops WHERE reason IN ('total_budget', 'balance')").await, 2);
    books_balance(&bench).await;
}

/// Two impressions, two visits, and two clicks in an order that differs between partitions.
fn mixed(partition: u32, round: u64) -> Batch {
    let mut events = batch(&[
        (11, "impression", 2_000, NOON),
        (12, "visit", 3, NOON),
        (21, "visit", 1_000, NOON),
        (0, "visit", 0, NOON),
    ]);
    events.groups.push(penstock::ledger::Group { campaign: 12, ..events.groups[0].clone() });
    events.groups.retain(|g| g.campaign != 0);
    let (a, b) = (2 * round as u8, 2 * round as u8 + 1);
    let ids = if partition.is_multiple_of(2) { [(11, a, 10), (12, b, 10)] } else { [(12, b, 10), (11, a, 10)] };
    events.uniques = clicks(&ids, NOON).uniques;
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writers_on_one_partition_each_range_is_booked_by_one() {
    let database = Database::new().await;
    let url = database.url();
    let clock = ManualClock::at(NOON);
    let (one, two) = (open(&url, &clock).await, open(&url, &clock).await);
    one.import(&catalogue(), LEAD, &who("importer")).await.unwrap();
    let events = batch(&[(11, "impression", 5, NOON)]);
    let wider = batch(&[(11, "impression", 5, NOON), (11, "impression", 5, NOON)]);
    let mut booked = 0;
    for from in 0..20 {
        let range = Range { from, to: from + 1 };
        let here = log(0);
        let (a, b) = tokio::join!(one.apply(&here, range, &events), two.apply(&here, range, &events));
        booked += [a.unwrap(), b.unwrap()].iter().filter(|applied| applied.outcome == Outcome::Booked).count();
        // One who has closed another range from the same start is not the owner any more.
        let stale = two.apply(&here, Range { from, to: from + 2 }, &wider).await;
        assert!(matches!(stale, Err(LedgerError::Fenced { .. })), "{stale:?}");
    }
    assert_eq!(booked, 20);
    let oracle = MariaDbOracle::new(&url, Some(database));
    assert_eq!(crate::support::Oracle::ask(&oracle, "SELECT sum(events) FROM ledger").await, vec![vec![20]]);
}

#[tokio::test]
async fn there_is_one_publisher_and_another_takes_over() {
    let database = Database::new().await;
    let url = database.url();
    let clock = ManualClock::at(NOON);
    let short = LedgerSettings { publisher_lease: Duration::from_secs(1), ..settings(&url) };
    let open = || MariaDbLedger::open(&short, Arc::new(clock.clone()));
    let (one, two) = (open().await.unwrap(), open().await.unwrap());
    let lease = one.lead().await.unwrap();
    let second = tokio::spawn(async move { two.lead().await });
    // Held for several times its length, with signs of life.
    let held = tokio::time::timeout(Duration::from_secs(3), lease.lost()).await;
    assert!(held.is_err() && !second.is_finished());
    drop(lease);
    let lease = second.await.unwrap().unwrap();
    // The holder's connection dies: the holder notices, and the next one comes.
    let mut conn = <sqlx::mysql::MySqlConnection as sqlx::Connection>::connect(&server()).await.unwrap();
    let holder =
        format!("SELECT IS_USED_LOCK(CONCAT('penstock.publisher.', MD5('{}')))", url.rsplit_once('/').unwrap().1);
    let id: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(holder)).fetch_one(&mut conn).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("KILL {id}"))).execute(&mut conn).await.unwrap();
    one.lead().await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), lease.lost()).await.unwrap();
    drop(database);
}

/// A server of this test alone, to be killed.
struct Server {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<std::process::Child>,
}

impl Server {
    fn new() -> Server {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = format!("--datadir={}", folder.path().join("data").display());
        let made = std::process::Command::new("mariadb-install-db")
            .args(["--no-defaults", &data, "--auth-root-authentication-method=normal", "--skip-test-db"])
            .output()
            .expect("mariadb-install-db is there: see `make tools`");
        assert!(made.status.success(), "{made:?}");
        let mut server = Server { folder, port, process: None };
        server.start();
        server
    }

    fn start(&mut self) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let user = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
        let process = std::process::Command::new("mariadbd")
            .args(["--no-defaults".to_owned(), format!("--datadir={}", path("data"))])
            .args([format!("--socket={}", path("socket")), format!("--pid-file={}", path("pid"))])
            .args([format!("--port={}", self.port), "--bind-address=127.0.0.1".to_owned()])
            .args([format!("--user={}", String::from_utf8(user).unwrap().trim())])
            .args(["--innodb-buffer-pool-size=64M"])
            .stderr(std::fs::File::create(path("log")).unwrap())
            .spawn()
            .expect("mariadbd is there: see `make tools`");
        self.process = Some(process);
    }

    /// SIGKILL, as a power cut of the process.
    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    async fn database(&self) -> String {
        let server = format!("mysql://root@127.0.0.1:{}", self.port);
        let made = async {
            loop {
                if let Ok(mut conn) = <sqlx::mysql::MySqlConnection as sqlx::Connection>::connect(&server).await {
                    return sqlx::raw_sql("CREATE DATABASE IF NOT EXISTS ledger").execute(&mut conn).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), made).await.expect("mariadbd answers within two minutes");
        format!("{server}/ledger")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_in_the_middle_loses_and_doubles_nothing() {
    const RANGES: u64 = 120;
    let mut server = Server::new();
    let url = server.database().await;
    let clock = ManualClock::at(NOON);
    let ledger = open(&url, &clock).await;
    ledger.import(&catalogue(), LEAD, &who("importer")).await.unwrap();
    let done = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let writer = tokio::spawn({
        let (ledger, done) = (ledger.clone(), Arc::clone(&done));
        async move {
            for from in 0..RANGES {
                let mut events = batch(&[(11, "impression", 5, NOON), (21, "visit", 7, NOON)]);
                events.uniques = clicks(&[(12, from as u8, 100)], NOON).uniques;
                let range = Range { from: 3 * from, to: 3 * from + 3 };
                while let Err(error) = ledger.apply(&log(0), range, &events).await {
                    let passes = matches!(error, LedgerError::Busy(_) | LedgerError::Unknown(_));
                    assert!(passes, "{error}");
                }
                done.store(from + 1, std::sync::atomic::Ordering::SeqCst);
            }
        }
    });
    for kill in 1..=5 {
        while done.load(std::sync::atomic::Ordering::SeqCst) < kill * RANGES / 6 {
            assert!(!writer.is_finished(), "the writer has ended before its time");
            tokio::task::yield_now().await;
        }
        server.kill();
        server.start();
    }
    writer.await.unwrap();
    let bench = Bench {
        ledger,
        clock,
        oracle: Box::new(MariaDbOracle::new(&url, None)),
        reopen: Box::new(|| unreachable!("not in this test")),
    };
    assert_eq!(bench.one("SELECT sum(events) FROM ledger").await, 3 * RANGES as i64);
    assert_eq!(bench.one("SELECT sum(cost_nanos) FROM ledger").await, 112 * RANGES as i64);
    books_balance(&bench).await;
}
