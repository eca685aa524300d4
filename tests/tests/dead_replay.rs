//! A record of a schema that nobody knew becomes a letter of every sink, and after the update that
//! knows it, it is replayed: charged, counted and archived once.
//!
//! The update is played: with the system down, its letters get the record as the sender meant it.
#![allow(clippy::panic, reason = "helpers of tests fail like tests")]

use penstock::event::{self, Defaults, IdSource};
use penstock::log::LogId;
use penstock::log::spool::{Group, GroupBuf, RealDisk, Spool, SpoolOptions};
use penstock::pipeline::{DeadTarget as _, Letter};
use penstock::time::{Clock, SystemClock};
use penstock_consumers::dead::DeadLetters;
use penstock_tests::System;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const ID: &str = "1ec762d4-93b7-4f96-bff0-2d9429c4a055";
const SINKS: [&str; 3] = ["archive", "balances", "statistics"];
const CATALOGUE: &str = r#"{"advertisers": [{"id": 1, "name": "a", "currency": "EUR"}],
"campaigns": [{"id": 10, "name": "c", "advertiser_id": 1, "cpc_micros": 2500}], "tags": {}}"#;

fn open(dir: &Path) -> Spool {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Spool::open_with(RealDisk, dir, SpoolOptions::new(1, clock)).expect("the system is down").0
}

/// Puts a record in the spool that no version of today can read. Returns the log's name.
fn foreign_record(data: &Path) -> LogId {
    let spool = open(&data.join("spool/events"));
    let mut writer = spool.writer(0).expect("nobody writes");
    let mut group = GroupBuf::new();
    group.push(b"\xC3\x01tomorrow and the rest of it");
    writer.append(&Group::plain(&group)).expect("there is room");
    writer.flush().expect("there is room");
    let log = LogId { name: spool.log_name().clone(), partition: 0 };
    drop(writer);
    spool.close().expect("a clean end");
    log
}

/// Letters of the same record, which is readable now.
async fn readable_letters(data: &Path, log: &LogId, offset: u64) {
    let dir = data.join("spool/dead");
    std::fs::remove_dir_all(&dir).expect("the letters are there");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let spool = open(&dir);
    let mut letters = DeadLetters::open(spool.clone(), clock.clone()).await.expect("a new log");
    let defaults = Defaults {
        received: clock.now(),
        server: "s",
        max_future: Duration::from_secs(3_600),
        max_event_bytes: 1 << 20,
    };
    let json =
        format!(r#"{{"type":"click","id":"{ID}","time":"2017-11-06T16:00:00Z","payload":{{"campaign_id":10}}}}"#);
    let mut body = Vec::new();
    event::admit(json.as_bytes(), &defaults, &mut IdSource::from_os(), &mut body).expect("a valid event");
    for sink in SINKS {
        let message = "no schema has the fingerprint";
        let letter = Letter { sink, log, offset, code: "unknown_schema", field: None, message, body: &body };
        letters.bury(&[letter]).await.expect("there is room");
    }
    drop(letters);
    spool.close().expect("a clean end");
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

async fn up(system: &mut System) {
    system.start();
    system.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_can_be_read_now_is_replayed_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut system = System::prepare(folder.path(), "[archive]\nmax_age = \"300ms\"\n");
    up(&mut system).await;
    let catalogue = folder.path().join("catalogue.json");
    std::fs::write(&catalogue, CATALOGUE).expect("a temporary folder");
    let _ = system.expect(&["catalogue", "import", &catalogue.display().to_string()], 0);
    assert_eq!(system.stop().await, Some(0));

    let log = foreign_record(&system.data);
    up(&mut system).await;
    let _ = system.expect(&["reconcile", "--json"], 0);
    let letters = json(&system.expect(&["dead", "list", "--json"], 0));
    let seen: Vec<&str> = letters.as_array().into_iter().flatten().filter_map(|l| l["sink"].as_str()).collect();
    assert_eq!(seen, SINKS, "{letters}");
    let offset = letters[0]["offset"].as_u64().expect("an offset");
    let still = json(&system.expect(&["dead", "replay", "--all", "--json"], 3));
    assert_eq!(
        (still["refused"][2]["code"].as_str(), &still["replayed"]),
        (Some("unknown_schema"), &Value::Array(Vec::new()))
    );
    assert_eq!(system.stop().await, Some(0));

    readable_letters(&system.data, &log, offset).await;
    up(&mut system).await;
    let id = format!("statistics:{}:0:{offset}", log.name);
    let dry = json(&system.expect(&["dead", "replay", "--code", "unknown_schema", "--dry-run", "--json"], 0));
    assert_eq!((dry["replayed"].as_array().map(Vec::len), &dry["replayed"][0]["offset"]), (Some(3), &Value::Null));
    let done = json(&system.expect(&["dead", "replay", &id, "--reason", "schema 2 is here", "--json"], 0));
    assert_eq!(done["replayed"][0]["log"].as_str(), Some(&*log.name), "{done}");
    let again = system.expect(&["dead", "replay", "--all"], 0);
    assert!(again.contains("0 replayed, 0 left alone"), "{again}");
    let again = json(&system.expect(&["dead", "replay", &id, "--json"], 3));
    assert_eq!(again["refused"][0]["code"].as_str(), Some("replayed"), "{again}");

    // A kill in between changes nothing, and the stores agree.
    system.kill();
    up(&mut system).await;
    let _ = system.expect(&["reconcile", "--json"], 0);
    let again = json(&system.expect(&["dead", "replay", &id, "--json"], 3));
    assert_eq!(again["refused"][0]["code"].as_str(), Some("replayed"), "{again}");
    let shown = json(&system.expect(&["dead", "show", &id, "--json"], 0));
    assert_eq!(shown["replayed"]["who"].as_str(), Some("local"), "{shown}");
    let counted = format!("SELECT count(), sum(cost_nanos) FROM penstock.events WHERE id = '{ID}' FORMAT TSV");
    let count = ask(&format!("http://{}/", system.engine), &counted).await;
    assert_eq!(count.trim(), "1\t2500000");
    let campaign = json(&ask(&format!("http://{}/api/v1/campaigns/10", system.panel), "").await);
    assert_eq!(
        (campaign["kpis"]["clicks"].to_string().trim_matches('"'), campaign["spent_nanos"].as_str()),
        ("1", Some("2500000"))
    );
    let audit = json(&ask(&format!("http://{}/api/v1/audit", system.panel), "").await);
    let row = audit["result"].as_array().into_iter().flatten().find(|r| r["why"] == "schema 2 is here");
    let row = row.unwrap_or_else(|| panic!("{audit}"));
    assert_eq!((row["action"].as_str(), row["after"]["ids"][0].as_str()), (Some("dead_replay"), Some(id.as_str())));
    assert_eq!(system.stop().await, Some(0));
}

/// What an address answers; `query` is ClickHouse's, if any.
async fn ask(base: &str, query: &str) -> String {
    let request = reqwest::Client::new().get(base);
    let request = if query.is_empty() { request } else { request.query(&[("query", query)]) };
    let answer = request.send().await.expect("it runs");
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.text().await.expect("text")
}
