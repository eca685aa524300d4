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
use penstock_panel::{Bounds, ClickHouse, Statistics, TailFilter};
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
    explores(&engine, &world).await;
    windows(&engine, &world).await;
    searches(&world).await;
    qualities(&engine, &world).await;
    analytics(&engine, &world).await;
    tails(&engine).await;
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

/// Rows of one question with the names of their columns.
async fn table(world: &World, query: &str) -> Vec<serde_json::Map<String, serde_json::Value>> {
    let result = world.get(&format!("/api/v1/explore?{query}")).await.json()["result"].clone();
    let names: Vec<String> = result["columns"]
        .as_array()
        .unwrap_or_else(|| panic!("{query}: {result}"))
        .iter()
        .map(|c| c["name"].as_str().unwrap().to_owned())
        .collect();
    let rows = result["rows"].as_array().unwrap().iter();
    rows.map(|row| names.iter().cloned().zip(row.as_array().unwrap().iter().cloned()).collect()).collect()
}

async fn explores(engine: &Engine, world: &World) {
    // The same question answered by the roll-up, by the events (a cut minute), and by plain SQL.
    let whole = "start_time=2017-11-06T16:00:00Z&end_time=2017-11-07T16:00:00Z";
    let cut = "start_time=2017-11-06T16:00:00.000001Z&end_time=2017-11-07T16:00:00Z";
    let measures = "measures=events,clicks,impressions,cost_nanos,ctr,ecpm_nanos,ecpc_nanos";
    for (span, since) in [(whole, "2017-11-06 16:00:00"), (cut, "2017-11-06 16:00:00.000001")] {
        let rows =
            table(world, &format!("{span}&group_by=campaign_id,country&{measures}&order_by=campaign_id&limit=1000"))
                .await;
        let within = format!("time >= toDateTime64('{since}', 6, 'UTC') AND time < '2017-11-07 16:00:00'");
        assert_eq!(rows.len(), 7, "{span}");
        for row in &rows {
            let id = row["campaign_id"].as_u64().unwrap();
            let of = format!("FROM penstock.events WHERE campaign_id = {id} AND {within}");
            let clicks = engine.number(&format!("SELECT count() {of} AND type = 'click'")).await;
            let impressions = engine.number(&format!("SELECT count() {of} AND type = 'impression'")).await;
            let cost = engine.number(&format!("SELECT sum(cost_nanos) {of}")).await;
            assert_eq!(i128::from(row["clicks"].as_u64().unwrap()), clicks);
            assert_eq!(row["cost_nanos"], cost.to_string());
            assert_eq!(row["ecpm_nanos"], (cost * 1_000 / impressions).to_string());
            assert_eq!(row["ecpc_nanos"], (cost / clicks).to_string());
            assert_eq!(row["country"], "DE");
        }
    }
    // Steps, order, filters, and a table that is longer than it may be.
    let rows = table(world, &format!("{whole}&step=6h&measures=events&limit=10")).await;
    let times: Vec<&str> = rows.iter().map(|r| r["time"].as_str().unwrap()).collect();
    assert_eq!(
        times,
        [
            "2017-11-06T12:00:00Z",
            "2017-11-06T18:00:00Z",
            "2017-11-07T00:00:00Z",
            "2017-11-07T06:00:00Z",
            "2017-11-07T12:00:00Z"
        ]
    );
    let filter = "filter=%5B%7B%22dim%22%3A%22tag%22%2C%22op%22%3A%22starts_with%22%2C%22values%22%3A%5B%22t%22%5D%7D%2C%7B%22dim%22%3A%22campaign_id%22%2C%22op%22%3A%22not_in%22%2C%22values%22%3A%5B0%2C1%5D%7D%5D";
    let found = table(world, &format!("{filter}&measures=events")).await[0]["events"].as_u64().unwrap();
    let sql = "SELECT count() FROM penstock.events WHERE tag = 't' AND campaign_id > 1";
    assert_eq!(i128::from(found), engine.number(sql).await);
    let reply =
        world.get("/api/v1/explore?group_by=hour,campaign_id,type&measures=events&order_by=-events&limit=3").await;
    assert_eq!(
        (reply.json()["result"]["truncated"].as_bool(), reply.json()["result"]["rows"].as_array().unwrap().len()),
        (Some(true), 3)
    );
    assert_eq!(world.get("/api/v1/explore?group_by=cost_nanos").await.problem().field.as_deref(), Some("group_by"));
    assert_eq!(
        world.get("/api/v1/explore?group_by=type&order_by=clicks").await.problem().field.as_deref(),
        Some("order_by")
    );

    let csv =
        world.get("/api/v1/explore/export?group_by=type&measures=events,cost_nanos&order_by=type&format=csv").await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    let own = engine.sql("SELECT type, count() AS events, toString(sum(cost_nanos)) AS cost_nanos FROM penstock.events GROUP BY type ORDER BY type FORMAT CSVWithNames").await;
    assert_eq!(csv.text.trim(), own);
    let parquet = world
        .request(reqwest::Method::GET, "/api/v1/explore/export?group_by=type&format=parquet")
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert_eq!((&parquet[..4], &parquet[parquet.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));

    let values = world.get("/api/v1/dimensions/type/values?search=CLI").await.json()["result"].clone();
    assert_eq!(values, serde_json::json!([{"value": "click", "events": 7_500}]));
    assert_eq!(world.get("/api/v1/dimensions/ip/values").await.problem().code, "not_found");
}

async fn windows(engine: &Engine, world: &World) {
    let path = "/api/v1/windows?start_time=2017-11-06T16:00:00Z&end_time=2017-11-06T17:00:00Z";
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.get(&format!("{path}&limit=7&cursor={cursor}")).await.json();
        all.extend(page["result"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(all, *world.get(&format!("{path}&limit=1000")).await.json()["result"].as_array().unwrap());
    let own = engine
        .sql("SELECT formatDateTime(toStartOfInterval(time, INTERVAL 10 SECOND), '%Y-%m-%dT%H:%i:%SZ') AS window_start, type, count() AS count \
              FROM penstock.events WHERE time >= '2017-11-06 16:00:00' AND time < '2017-11-06 17:00:00' \
              GROUP BY 1, 2 ORDER BY 1 DESC, 2 FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0")
        .await;
    let own: Vec<serde_json::Value> = own.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(own.len() > 20);
    assert_eq!(all, own);
}

/// Newest first is oldest first turned round, and one event is found by its id.
async fn searches(world: &World) {
    let path = "/api/v1/events?start_time=2017-11-06T16:00:00Z&end_time=2017-11-06T17:00:00Z&tag=t&limit=1000";
    let oldest: Page<Event> = world.get(path).await.read();
    let mut newest: Vec<Event> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page: Page<Event> =
            world.get(&format!("{path}&order=desc&cursor={cursor}").replace("limit=1000", "limit=31")).await.read();
        newest.extend(page.result);
        match page.next_cursor {
            Some(next) => cursor = next,
            None => break,
        }
    }
    newest.reverse();
    assert!(newest.len() > 100);
    assert_eq!(newest, oldest.result);
    let one = &oldest.result.iter().find(|e| e.offset % 10 != 0).unwrap();
    let found = world.get(&format!("/api/v1/events/{}", one.id)).await.json()["result"].clone();
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!((&found[0]["offset"], &found[0]["place"]["offset"]), (&one.offset.into(), &one.offset.into()));
    assert_eq!(found[0]["place"]["archive"]["found"], true);
    assert_eq!(
        world.get("/api/v1/events/00000000-0000-0000-0000-0000000000ff").await.problem().code,
        "event_not_found"
    );
    assert_eq!(world.get("/api/v1/events/x").await.problem().code, "bad_parameter");
    assert_eq!(world.get("/api/v1/events/count?id=x").await.problem().code, "unknown_parameter");
}

async fn qualities(engine: &Engine, world: &World) {
    let quality = world
        .get("/api/v1/quality?start_time=2017-11-06T00:00:00Z&end_time=2017-11-10T00:00:00Z")
        .await
        .json()["result"]
        .clone();
    let number = async |sql: &str| engine.number(&format!("SELECT {sql} FROM penstock.events")).await;
    assert_eq!(i128::from(quality["future_events"].as_u64().unwrap()), number("countIf(received < time)").await);
    let late: Vec<i128> =
        quality["late"].as_array().unwrap().iter().map(|l| i128::from(l["events"].as_u64().unwrap())).collect();
    assert_eq!(late.iter().sum::<i128>(), number("countIf(received >= time)").await);
    assert_eq!(late[0], number("countIf(received >= time AND received < time + INTERVAL 1 MINUTE)").await);
    assert_eq!(i128::from(quality["delivered_twice"].as_u64().unwrap()), number("count() - uniqExact(id)").await);
    assert_eq!(quality["dead"], serde_json::json!([{"sink": "statistics", "code": "bad_body", "count": 1}]));
}

/// People whose ways were drawn by hand: who did what, and what that makes.
async fn analytics(engine: &Engine, world: &World) {
    let mut rows = Vec::new();
    let mut row = |user: &str, kind: &str, time: &str, variation: &str| {
        rows.push(format!(
            "(generateUUIDv4(), '{kind}', '{time}', '{time}', 'ad', 900, '{user}', '{variation}', 'hand', 0, {})",
            rows.len()
        ));
    };
    // Four see the ad; `a` and `b` click within the hour, `c` after it; `a` buys, `d` clicked before.
    for (user, kind, time) in [
        ("a", "impression", "2020-05-04 10:00:00"),
        ("a", "click", "2020-05-04 10:30:00"),
        ("a", "conversion", "2020-05-04 10:59:59"),
        ("b", "impression", "2020-05-04 10:00:00"),
        ("b", "click", "2020-05-04 11:00:00"),
        ("c", "impression", "2020-05-04 10:00:00"),
        ("c", "click", "2020-05-04 11:00:01"),
        ("d", "click", "2020-05-04 09:00:00"),
        ("d", "impression", "2020-05-04 10:00:00"),
        ("", "impression", "2020-05-04 10:00:00"),
    ] {
        row(user, kind, time, "");
    }
    // Visits by day: a cohort of three on Monday, one on Tuesday.
    for (user, days) in [("a", &[4, 5, 7][..]), ("b", &[4, 5]), ("c", &[4]), ("d", &[5, 6])] {
        for day in days {
            row(user, "visit", &format!("2020-05-0{day} 12:00:00"), "");
        }
    }
    // 1 000 impressions each; 100 clicks and 140.
    for (variation, clicks) in [("A", 100), ("B", 140)] {
        for n in 0..1_000 + clicks {
            row("", if n < 1_000 { "impression" } else { "click" }, "2020-06-01 00:00:00", variation);
        }
    }
    let columns =
        "(id, type, time, received, server, campaign_id, user_id, variation_id, log_topic, log_partition, log_offset)";
    engine.sql(&format!("INSERT INTO penstock.events {columns} VALUES {}", rows.join(","))).await;

    let may = "start_time=2020-05-01T00:00:00Z&end_time=2020-05-31T00:00:00Z";
    let funnel = world
        .get(&format!("/api/v1/analytics/funnel?{may}&steps=impression,click,conversion&window=1h&by=server"))
        .await
        .json()["result"]
        .clone();
    let users = |steps: &serde_json::Value| {
        steps.as_array().unwrap().iter().map(|s| s["users"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(users(&funnel["steps"]), [4, 2, 1]);
    assert_eq!((&funnel["steps"][1]["from_first"], &funnel["steps"][2]["from_previous"]), (&0.5.into(), &0.5.into()));
    assert_eq!((&funnel["groups"][0]["value"], users(&funnel["groups"][0]["steps"])), (&"ad".into(), vec![4, 2, 1]));

    let cohorts = world
        .get(&format!("/api/v1/analytics/retention?{may}&first=visit&return=visit&unit=day&periods=4"))
        .await
        .json()["result"]["cohorts"]
        .clone();
    assert_eq!(
        cohorts,
        serde_json::json!([
            {"start": "2020-05-04", "users": 3, "returned": [3, 2, 0, 1]},
            {"start": "2020-05-05", "users": 1, "returned": [1, 1, 0, 0]}
        ])
    );
    for (unit, start) in [("week", "2020-05-04"), ("month", "2020-05-01")] {
        let cohorts = world.get(&format!("/api/v1/analytics/retention?{may}&unit={unit}&periods=1")).await.json()["result"]["cohorts"].clone();
        assert_eq!(cohorts, serde_json::json!([{"start": start, "users": 4, "returned": [4]}]), "{unit}");
    }

    let unique = world.get(&format!("/api/v1/analytics/users?{may}&step=1d")).await.json()["result"].clone();
    assert_eq!(unique["total"], 4);
    assert_eq!(
        unique["rows"].as_array().unwrap().iter().map(|r| r["users"].as_u64().unwrap()).collect::<Vec<_>>(),
        [4, 3, 1, 1]
    );

    // Computed with Python's math.erfc and the formulas of the textbook.
    let june = "start_time=2020-06-01T00:00:00Z&end_time=2020-06-02T00:00:00Z";
    let ab =
        world.get(&format!("/api/v1/analytics/ab?{june}&campaign_id=900&control=A")).await.json()["result"].clone();
    #[expect(clippy::float_arithmetic, reason = "ratios and their intervals, no money")]
    let near = |value: &serde_json::Value, want: f64| {
        assert!((value.as_f64().unwrap() - want).abs() < 1e-9, "{value} is not {want}")
    };
    let compared = &ab["comparisons"][0];
    assert_eq!(
        (&ab["control"], &compared["variation_id"], &compared["significant"]),
        (&"A".into(), &"B".into(), &true.into())
    );
    near(&compared["z"], 2.757_637_165_698_669);
    near(&compared["p_value"], 0.005_822_078_137_343_653);
    near(&compared["interval"][0], 0.011_570_386_286_936);
    near(&ab["variations"][0]["interval"][0], 0.082_909_443_593_096);
    near(&ab["variations"][1]["interval"][0], 0.119_868_574_625_977);
    let refused = world.get(&format!("/api/v1/analytics/ab?{june}&control=C")).await;
    assert_eq!(refused.problem().field.as_deref(), Some("control"));

    let top =
        world.get(&format!("/api/v1/analytics/top?{june}&dimension=variation_id&measure=clicks&limit=1")).await.json()
            ["result"]
            .clone();
    assert_eq!(top, serde_json::json!([{"value": "B", "measure": 140}]));
}

/// Events are told as they are written, each once, by where the statistics stand.
async fn tails(engine: &Engine) {
    let at = ClickHouse { url: engine.url.clone(), user: None, password: None, database: "penstock".to_owned() };
    let bounds = Bounds { time: Duration::from_secs(20), memory: 256 << 20, rows: 1 << 20, bytes: 64 << 20 };
    let metrics = SharedRegistry::new().with(PanelMetrics::register);
    let statistics = Statistics::new(&at, bounds, Duration::ZERO, Arc::new(SystemClock), metrics);
    let log = LogId { name: "spool-00000000000000aa".into(), partition: 0 };
    let hand = LogId { name: "hand".into(), partition: 0 };
    let filter =
        TailFilter { ranges: [(log, (100, 200)), (hand, (3, 5))].into(), limit: 1_000, ..TailFilter::default() };
    let found = statistics.tail(&filter).await.unwrap();
    let places: BTreeSet<(String, u64)> = found.iter().map(|e| (e.log.clone(), e.offset)).collect();
    assert_eq!((found.len(), places.len()), (102, 102));
    let clicks = TailFilter { types: vec!["click".to_owned()], search: Some("B".to_owned()), ..filter };
    let found = statistics.tail(&clicks).await.unwrap();
    assert!(found.iter().all(|e| e.event_type == "click"));
}
