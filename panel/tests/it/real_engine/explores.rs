//! Tables, windows and the pivot of `reconcile`.

use super::{Engine, ROWS};
use crate::support::World;
use penstock::log::LogId;
use penstock::settings::PanelSettings;
use penstock::telemetry::{PanelMetrics, SharedRegistry};
use penstock::time::SystemClock;
use penstock_panel::reconcile::{Faults, Pivot};
use penstock_panel::{Bounds, ClickHouse, Statistics};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub async fn pivot(engine: &Engine) {
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
pub async fn table(world: &World, query: &str) -> Vec<serde_json::Map<String, serde_json::Value>> {
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

pub async fn explores(engine: &Engine, world: &World) {
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

    // Nobody is known of yet, so all amounts are taken for alike.
    let whole = table(world, "measures=cost_nanos").await;
    assert_eq!(whole[0]["cost_nanos"], engine.sql("SELECT sum(cost_nanos) FROM penstock.events").await);
    by_owner(engine).await;

    let values = world.get("/api/v1/dimensions/type/values?search=CLI").await.json()["result"].clone();
    assert_eq!(values, serde_json::json!([{"value": "click", "events": 7_500}]));
    assert_eq!(world.get("/api/v1/dimensions/ip/values").await.problem().code, "not_found");
}

/// Whose campaigns are is the ledger's to say; what it says is held against lists of campaigns by hand.
async fn by_owner(engine: &Engine) {
    let world = World::with(PanelSettings::default(), Some(engine.url.clone())).await;
    // Events are of the campaigns 0 to 6, of which 0 and 6 are nobody's.
    let catalogue = serde_json::json!({
        "advertisers": [
            {"id": 1, "name": "one", "currency": "USD"}, {"id": 2, "name": "two", "currency": "USD"},
            {"id": 3, "name": "three", "currency": "EUR"},
        ],
        "campaigns": [
            {"id": 1, "name": "a", "advertiser_id": 1}, {"id": 2, "name": "b", "advertiser_id": 1},
            {"id": 3, "name": "c", "advertiser_id": 2}, {"id": 4, "name": "d", "advertiser_id": 3},
            {"id": 5, "name": "e", "advertiser_id": 3},
        ],
        "tags": {},
    });
    let imported = world.write(reqwest::Method::PUT, "/api/v1/catalogue", &catalogue.to_string()).await;
    assert!(imported.status.is_success(), "{}", imported.text);

    let of = async |campaigns: &str| {
        let from = format!("FROM penstock.events WHERE campaign_id IN ({campaigns})");
        let cost = engine.sql(&format!("SELECT sum(cost_nanos) {from}")).await;
        (cost, engine.number(&format!("SELECT count() {from}")).await)
    };
    // By the roll-up, and by the events (users are in no roll-up).
    for more in ["", ",users"] {
        let query = format!("group_by=advertiser_id,currency&measures=events,cost_nanos{more}&order_by=advertiser_id");
        let rows = table(&world, &query).await;
        let owners = [(0, "", "0,6"), (1, "USD", "1,2"), (2, "USD", "3"), (3, "EUR", "4,5")];
        assert_eq!(rows.len(), owners.len(), "{rows:?}");
        for (row, (advertiser, currency, campaigns)) in rows.iter().zip(owners) {
            let (cost, events) = of(campaigns).await;
            assert_eq!((row["advertiser_id"].as_u64(), row["currency"].as_str()), (Some(advertiser), Some(currency)));
            assert_eq!(row["cost_nanos"], cost);
            assert_eq!(i128::from(row["events"].as_u64().unwrap()), events);
        }
    }
    // Amounts of different currencies are never added; counts are.
    let both = table(&world, "group_by=country&measures=events,cost_nanos,ecpm_nanos,ecpc_nanos,value_micros").await;
    assert_eq!(both[0]["events"], 30_000);
    for amount in ["cost_nanos", "ecpm_nanos", "ecpc_nanos", "value_micros"] {
        assert!(both[0][amount].is_null(), "{amount}: {both:?}");
    }
    let alike = |op: &str, dim: &str, value: &str| {
        let filter = format!(r#"[{{"dim":"{dim}","op":"{op}","values":["{value}"]}}]"#);
        let query = [("measures", "events,cost_nanos"), ("filter", &filter)];
        reqwest::Url::parse_with_params("http://localhost", query).unwrap().query().unwrap().to_owned()
    };
    for (query, campaigns) in [
        (alike("in", "currency", "USD"), "1,2,3"),
        (alike("starts_with", "currency", "E"), "4,5"),
        (alike("in", "advertiser_id", "1"), "1,2"),
        (alike("in", "advertiser_id", "99"), "99"),
    ] {
        let (rows, (cost, events)) = (table(&world, &query).await, of(campaigns).await);
        let found = rows.first().map_or(0, |r| r["events"].as_u64().unwrap());
        assert_eq!(i128::from(found), events, "{query}");
        if events > 0 {
            assert_eq!(rows[0]["cost_nanos"], cost, "{query}");
        }
    }
    let rest = table(&world, &alike("not_in", "currency", "USD")).await;
    assert_eq!(i128::from(rest[0]["events"].as_u64().unwrap()), of("0,4,5,6").await.1);
    assert!(rest[0]["cost_nanos"].is_null(), "what is nobody's is in no currency: {rest:?}");
    let top = world.get("/api/v1/analytics/top?dimension=advertiser_id&measure=events&limit=1").await.json();
    assert_eq!(top["result"][0]["value"], 1, "{top}");
    let values = world.get("/api/v1/dimensions/currency/values?search=us").await.json()["result"].clone();
    assert_eq!(values, serde_json::json!([{"value": "USD", "events": i64::try_from(of("1,2,3").await.1).unwrap()}]));
}

pub async fn windows(engine: &Engine, world: &World) {
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
