//! The queries of Grafana's business dashboard and of the runbooks, put to the real engine with a
//! reader's rights, as Grafana would: its plugin's macros are expanded here by the plugin's manual.

use super::Engine;
use penstock_consumers::statistics::schema;
use std::path::{Path, PathBuf};

/// 2017-11-06T16:00:00Z, and a day later.
const FROM: u64 = 1_509_984_000;
const TO: u64 = FROM + 86_400;

/// 20 000 events over that day; every column that is asked has values, empty ones among them.
const ROWS: &str = "INSERT INTO penstock.events (id, type, time, received, server, campaign_id, tag, variation_id, \
     site_id, user_id, ip, country, user_agent, device, os, cost_nanos, impression_id, click_id, goal, value_micros, \
     log_topic, log_partition, log_offset) \
     SELECT generateUUIDv4(number), ['impression','visit','impression','click','impression','conversion'][number % 6 + 1], \
     fromUnixTimestamp64Micro(1509984000000000 + toInt64(number * 4300000), 'UTC') AS at, \
     at + toIntervalSecond(number % 17 * number % 100000), 'ad-1', number % 7, 't', ['', 'a', 'b'][number % 3 + 1], \
     if(number % 5 = 0, '', concat('s', toString(number % 9))), concat('u', toString(number % 400)), \
     concat('10.0.0.', toString(number % 30)), ['DE', 'US', 'FR', ''][number % 4 + 1], 'agent', \
     ['mobile', 'desktop', ''][number % 3 + 1], ['Android', 'iOS', ''][number % 3 + 1], 3000000, '', '', \
     if(number % 6 = 5, 'sale', ''), if(number % 6 = 5, toInt64(number), NULL), 'spool-00000000000000aa', 0, number \
     FROM numbers(20000)";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The dashboard's queries by their panels' titles, and those of its variables.
fn dashboard() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("config/grafana/dashboards/penstock-business.json")).unwrap();
    let board: serde_json::Value = serde_json::from_str(&text).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut queries = Vec::new();
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            queries.push((text(&panel["title"]), text(&target["rawSql"])));
        }
    }
    for variable in board["templating"]["list"].as_array().unwrap().iter().filter(|v| v["type"] == "query") {
        queries.push((format!("variable {}", text(&variable["name"])), text(&variable["query"])));
    }
    queries
}

/// Blocks of SQL in the runbooks, and what stands between backticks and begins with SELECT.
fn runbooks() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for entry in std::fs::read_dir(root().join("docs/runbooks")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let blocks = text.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let inline = text.split('`').filter(|part| part.starts_with("SELECT ") && part.contains(" FROM penstock."));
        queries.extend(blocks.chain(inline).map(|sql| (path.display().to_string(), sql.to_owned())));
    }
    queries
}

/// Replaces each `$__name(…)` by what `with` makes of its arguments.
fn replace(sql: &str, name: &str, with: impl Fn(&str) -> String) -> String {
    let mut out = sql.to_owned();
    while let Some(at) = out.find(&format!("{name}(")) {
        let open = at + name.len();
        let mut depth = 0;
        let close = out[open..].find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        let close = open + close.unwrap_or_else(|| panic!("{sql}: {name} is not closed"));
        out = format!("{}{}{}", &out[..at], with(&out[open + 1..close]), &out[close + 1..]);
    }
    out
}

/// As the plugin sends it: for all campaigns and countries, or for some.
fn expanded(sql: &str, some: bool) -> String {
    let sql = replace(sql, "$__timeFilter", |c| format!("{c} >= toDateTime({FROM}) AND {c} <= toDateTime({TO})"));
    let sql = replace(&sql, "$__timeInterval", |c| format!("toStartOfInterval(toDateTime({c}), INTERVAL 3600 second)"));
    let sql = replace(&sql, "$__conditionalAll", |arguments| {
        let condition = arguments.rsplit_once(',').unwrap().0;
        if some { condition.to_owned() } else { "1=1".to_owned() }
    });
    let sql = sql.replace("${campaign:csv}", "1,2").replace("${country:sqlstring}", "'DE','US'");
    assert!(!sql.contains('$'), "not expanded: {sql}");
    sql
}

/// Rows as a reader gets them.
async fn ask(engine: &Engine, title: &str, sql: &str) -> Vec<serde_json::Value> {
    let url = format!("{}/?default_format=JSONEachRow&max_execution_time=30", engine.url);
    let answer = reqwest::Client::new().post(url).body(sql.to_owned()).send().await.unwrap();
    let ok = answer.status().is_success();
    let text = answer.text().await.unwrap();
    assert!(ok, "{title}: {sql}\n{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[actix_web::test]
async fn the_engine_answers_what_dashboards_and_runbooks_ask() {
    let engine = Engine::start().await;
    let client = clickhouse::Client::default()
        .with_url(&engine.url)
        .with_user("penstock")
        .with_password(engine.supervisor.secret());
    schema::apply(&client, &schema::Layout::of(&penstock::settings::StatisticsSettings::default())).await.unwrap();
    engine.sql(ROWS).await;

    let queries = dashboard();
    assert!(queries.len() > 20, "{} queries", queries.len());
    for (title, sql) in &queries {
        for some in [false, true] {
            let rows = ask(&engine, title, &expanded(sql, some)).await;
            // Nobody's events have no chosen campaign, so that panel does not look at the choice.
            assert!(!rows.is_empty(), "{title} shows nothing");
        }
    }
    let runbooks = runbooks();
    assert!(runbooks.len() > 5, "{} queries", runbooks.len());
    for (page, sql) in &runbooks {
        ask(&engine, page, sql).await;
    }

    // The figures at the top against plain SQL.
    let one = async |title: &str, some| {
        let (_, sql) = queries.iter().find(|(t, _)| t == title).unwrap();
        let rows = ask(&engine, title, &expanded(sql, some)).await;
        let value = &rows[0]["value"];
        value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{title}: {value}"))
    };
    assert_eq!(one("Impressions", false).await, 10_000.0);
    assert_eq!(one("Clicks", false).await, 3_333.0);
    assert_eq!(one("Spent", false).await, 60.0);
    let some = "campaign_id IN (1, 2) AND country IN ('DE', 'US')";
    let oracle = engine.sql(&format!("SELECT countIf(type = 'impression') FROM penstock.events WHERE {some}")).await;
    assert_eq!(one("Impressions", true).await, oracle.parse::<f64>().unwrap());
    let oracle = engine.sql(&format!("SELECT uniqExact(user_id) FROM penstock.events WHERE {some}")).await;
    assert_eq!(one("Users", true).await, oracle.parse::<f64>().unwrap());
    engine.supervisor.stop().await;
}
