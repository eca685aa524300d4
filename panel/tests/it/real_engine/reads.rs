//! Counts, lists, series, searches and tails: the same rows that SQL gives.

use super::Engine;
use crate::support::World;
use penstock::log::LogId;
use penstock::telemetry::{PanelMetrics, SharedRegistry};
use penstock::time::SystemClock;
use penstock_panel::api::types::{Event, Page, TimeseriesPoint};
use penstock_panel::{Bounds, ClickHouse, Statistics, TailFilter};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub async fn counts(engine: &Engine, world: &World) {
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

pub async fn lists(engine: &Engine, world: &World) {
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

pub async fn series(engine: &Engine, world: &World) {
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

/// Newest first is oldest first turned round, and one event is found by its id.
pub async fn searches(world: &World) {
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

pub async fn qualities(engine: &Engine, world: &World) {
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

/// Events are told as they are written, each once, by where the statistics stand.
pub async fn tails(engine: &Engine) {
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
