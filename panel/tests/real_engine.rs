//! The panel's questions to the real engine; plain SQL in the same engine is the oracle.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod grafana;
mod support;

use penstock::log::LogId;
use penstock::settings::{EngineSettings, PanelSettings};
use penstock::telemetry::{EngineSupervisorMetrics, PanelMetrics, SharedRegistry};
use penstock::time::SystemClock;
use penstock_consumers::statistics::schema;
use penstock_engine::{Parent, Program, Supervisor};
use penstock_panel::api::types::{Event, Page, TimeseriesPoint};
use penstock_panel::reconcile::{Faults, Pivot};
use penstock_panel::{Bounds, ClickHouse, Statistics};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::World;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "the engine's process, started by the test"]
fn engine_child() {
    let data = std::env::var_os("PENSTOCK_TEST_DATA").unwrap();
    let settings = settings();
    let run = penstock_engine::run(&settings, Path::new(&data), Parent::Pipe, CancellationToken::new());
    tokio::runtime::Runtime::new().unwrap().block_on(run).unwrap();
}

fn settings() -> EngineSettings {
    EngineSettings { listen: ([127, 0, 0, 1], 0).into(), max_memory_bytes: 1 << 30, ..EngineSettings::default() }
}

struct Engine {
    url: String,
    supervisor: Supervisor,
    _dir: tempfile::TempDir,
}

impl Engine {
    async fn start() -> Engine {
        let dir = tempfile::tempdir().unwrap();
        let mut program =
            Program::current(["--exact", "engine_child", "--ignored", "--nocapture", "--test-threads=2"]).unwrap();
        program.envs = vec![("PENSTOCK_TEST_DATA".into(), dir.path().into())];
        let supervisor =
            Supervisor::start(program, &settings(), EngineSupervisorMetrics::default(), CancellationToken::new());
        let url = supervisor.ready(PATIENCE).await.unwrap();
        Engine { url, supervisor, _dir: dir }
    }

    /// Runs SQL with the writers' rights.
    async fn sql(&self, sql: &str) -> String {
        let request = reqwest::Client::new().post(&self.url).body(sql.to_owned());
        let request =
            request.header("X-ClickHouse-User", "penstock").header("X-ClickHouse-Key", self.supervisor.secret());
        let answer = request.send().await.unwrap();
        let ok = answer.status().is_success();
        let text = answer.text().await.unwrap();
        assert!(ok, "{sql}: {text}");
        text.trim().to_owned()
    }

    async fn number(&self, sql: &str) -> i128 {
        self.sql(sql).await.parse().unwrap()
    }
}

/// 30 000 events over three days, many at one time, some with one time and one id.
const ROWS: &str = "INSERT INTO penstock.events (id, type, time, received, server, campaign_id, tag, country, \
     cost_nanos, value_micros, extra, log_topic, log_partition, log_offset) \
     SELECT if(number % 10 = 0, toUUID('00000000-0000-0000-0000-000000000007'), generateUUIDv4(number)), \
     ['impression','visit','click','conversion'][number % 4 + 1], \
     fromUnixTimestamp64Micro(1509984000000000 + toInt64(intDiv(number, 50) * 431999123), 'UTC'), \
     fromUnixTimestamp64Micro(1509984000000000 + toInt64(number), 'UTC'), 'ad-1', number % 7, \
     if(number % 3 = 0, 't', ''), 'DE', number * 1000, if(number % 5 = 0, toInt64(number), NULL), \
     if(number % 11 = 0, map('k', 'v'), map()), 'spool-00000000000000aa', 0, number FROM numbers(30000)";

#[actix_web::test]
async fn the_panel_answers_what_the_database_itself_answers() {
    let engine = Engine::start().await;
    let world =
        World::with(PanelSettings { max_limit: 10_000, ..PanelSettings::default() }, Some(engine.url.clone())).await;
    let empty = world.get("/api/v1/events/count").await;
    assert_eq!(empty.problem().code, "statistics_unavailable", "the tables are not there yet");
    let client = clickhouse::Client::default()
        .with_url(&engine.url)
        .with_user("penstock")
        .with_password(engine.supervisor.secret());
    schema::apply(&client, &schema::Layout::of(&penstock::settings::StatisticsSettings::default())).await.unwrap();
    assert_eq!(world.get("/api/v1/events/count").await.json()["result"], 0);
    engine.sql(ROWS).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await; // an empty count may be kept for a second

    counts(&engine, &world).await;
    lists(&engine, &world).await;
    series(&engine, &world).await;
    pivot(&engine).await;

    engine.supervisor.stop().await;
    assert_eq!(world.get("/api/v1/events?limit=1").await.problem().code, "statistics_unavailable");
}

async fn counts(engine: &Engine, world: &World) {
    let spans = [
        ("", ""),
        ("2017-11-06T16:00:00Z", "2017-11-07T16:00:00Z"),
        ("2017-11-06T16:07:11.999123Z", "2017-11-08T03:04:05.000001Z"),
        ("2017-11-06T16:07:11.999123Z", "2017-11-06T16:07:11.999124Z"),
        ("2017-11-06T16:07:11.999124Z", "2017-11-06T16:08:00Z"),
        ("2017-11-06T16:07:11Z", ""),
        ("", "2017-11-07T01:02:03Z"),
        ("1900-01-01T00:00:00Z", "9999-01-01T00:00:00Z"),
        ("2018-01-01T00:00:00Z", "2018-01-01T00:00:00Z"),
    ];
    for (start, end) in spans {
        for (kind, campaign) in [("", ""), ("click", ""), ("conversion", "3"), ("", "0")] {
            let path = format!(
                "/api/v1/events/count?event_type={kind}&campaign_id={campaign}&start_time={start}&end_time={end}"
            );
            let found = world.get(&path).await.json()["result"].as_i64().unwrap_or_else(|| panic!("{path}"));
            let mut sql = "SELECT count() FROM penstock.events WHERE 1".to_owned();
            for (value, condition) in [(kind, "type = "), (campaign, "campaign_id = ")] {
                if !value.is_empty() {
                    sql += &format!(" AND {condition}'{value}'");
                }
            }
            if !start.is_empty() && !start.starts_with("1900") {
                sql += &format!(" AND time >= parseDateTime64BestEffort('{start}', 6, 'UTC')");
            }
            if !end.is_empty() && !end.starts_with("9999") {
                sql += &format!(" AND time < parseDateTime64BestEffort('{end}', 6, 'UTC')");
            }
            assert_eq!(i128::from(found), engine.number(&sql).await, "{path}");
        }
    }
}

async fn lists(engine: &Engine, world: &World) {
    // Paging with an awkward limit returns each event once, in one order.
    for filter in ["event_type=click&campaign_id=2", "start_time=2017-11-06T16:00:00Z&end_time=2017-11-06T18:00:00Z"] {
        let mut all: Vec<Event> = Vec::new();
        let mut cursor = String::new();
        loop {
            let page: Page<Event> =
                world.get(&format!("/api/v1/events?{filter}&limit=171&cursor={cursor}")).await.read();
            all.extend(page.result);
            match page.next_cursor {
                Some(next) => cursor = next,
                None => break,
            }
        }
        let offsets: BTreeSet<u64> = all.iter().map(|e| e.offset).collect();
        let whole: Page<Event> = world.get(&format!("/api/v1/events?{filter}&limit=10000")).await.read();
        assert_eq!(whole.next_cursor, None);
        assert!(all.len() > 171 && offsets.len() == all.len(), "{filter}: {} of {}", offsets.len(), all.len());
        assert_eq!(all, whole.result, "{filter}");
        assert!(all.windows(2).all(|w| w[0].time <= w[1].time));
    }
    let page: Page<Event> = world.get("/api/v1/events?limit=60").await.read();
    let event = page.result.iter().find(|e| e.offset == 33).unwrap();
    assert_eq!((event.event_type.as_str(), event.campaign_id, event.cost_nanos.0), ("visit", 5, 33_000));
    assert_eq!(event.payload["tag"], "t");
    assert_eq!(event.payload["extra"]["k"], "v");
    assert!(!event.payload.contains_key("value_micros") && !event.payload.contains_key("goal"), "{event:?}");
    assert_eq!(engine.number("SELECT count() FROM penstock.events").await, 30_000);
}

async fn series(engine: &Engine, world: &World) {
    let path = "/api/v1/campaigns/0/timeseries?step=2h&start_time=2017-11-06T16:00:00Z&end_time=2017-11-08T00:00:00Z";
    let page: Page<TimeseriesPoint> = world.get(path).await.read();
    let within = "campaign_id = 0 AND time >= '2017-11-06 16:00:00' AND time < '2017-11-08 00:00:00'";
    let cost: i128 = page.result.iter().map(|p| p.cost_nanos.0).sum();
    let clicks: u64 = page.result.iter().map(|p| p.kpis.clicks).sum();
    assert_eq!(cost, engine.number(&format!("SELECT sum(cost_nanos) FROM penstock.events WHERE {within}")).await);
    let sql = format!("SELECT count() FROM penstock.events WHERE {within} AND type = 'click'");
    assert_eq!(i128::from(clicks), engine.number(&sql).await);
    assert!(page.result.len() > 5 && page.result.windows(2).all(|w| w[0].time < w[1].time));
    assert!(page.result.iter().all(|p| p.time.0.0 % 7_200_000_000 == 0));
}

async fn pivot(engine: &Engine) {
    let at = ClickHouse { url: engine.url.clone(), user: None, password: None, database: "penstock".to_owned() };
    let bounds = Bounds { time: Duration::from_secs(20), memory: 256 << 20, rows: 1 << 20, bytes: 64 << 20 };
    let metrics = SharedRegistry::new().with(PanelMetrics::register);
    let statistics = Statistics::new(&at, bounds, Duration::ZERO, Arc::new(SystemClock), metrics);
    let log = LogId { name: "spool-00000000000000aa".into(), partition: 0 };
    let rows = statistics.counts(&log, 20_001).await.unwrap();
    assert_eq!(rows.iter().map(|r| r.events).sum::<u64>(), 20_001);
    assert_eq!(rows.iter().map(|r| r.nanos).sum::<i128>(), 1_000 * 20_000 * 20_001 / 2);
    assert_eq!(rows.len(), 28);
    assert_eq!(statistics.distinct(&log, 30_000).await.unwrap(), 30_000);
    let none = BTreeSet::new();
    assert_eq!(statistics.faults(&log, 30_000, &none, &none).await.unwrap(), Faults::default());
    let nobody = LogId { partition: 1, ..log.clone() };
    assert!(statistics.counts(&nobody, u64::MAX).await.unwrap().is_empty());

    // A row that is there twice, one behind the first block of offsets, and one that is missing.
    engine.sql("INSERT INTO penstock.events SELECT * FROM penstock.events WHERE log_offset = 17").await;
    let later = ROWS.replace(
        "fromUnixTimestamp64Micro(1509984000000000 + toInt64(intDiv",
        "fromUnixTimestamp64Micro(1509984000000001 + toInt64(intDiv",
    );
    engine
        .sql(
            &later
                .replace("0, number FROM numbers(30000)", "0, number FROM numbers(30000, 70000) WHERE number != 70007"),
        )
        .await;
    assert_eq!(statistics.distinct(&log, 100_000).await.unwrap(), 99_999);
    let dead = BTreeSet::from([80_000]);
    let surplus = statistics.at(&log, &[80_000]).await.unwrap().into_iter().map(|at| at.offset).collect();
    let faults = statistics.faults(&log, 100_000, &dead, &surplus).await.unwrap();
    assert_eq!((faults.missing, faults.doubled), (vec![70_007], vec![17]));
    let found = statistics.at(&log, &[17, 70_007, 5]).await.unwrap();
    let mut offsets: Vec<u64> = found.iter().map(|f| f.offset).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [5, 17, 17]);
}
