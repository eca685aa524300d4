//! A record of a schema that nobody knew becomes a letter of every sink, and after the update that
//! knows it, it is replayed: charged, counted and archived once.
//!
//! The update is played: with the system down, its letters get the record as the sender meant it.
#![allow(clippy::panic, reason = "helpers of tests fail like tests")]

use penstock::log::LogId;
use penstock_tests::System;
use penstock_tests::letters::{Meant, foreign_records, readable_letters};
use serde_json::Value;
use std::path::Path;

const MEANT: Meant<'_> = Meant { id: "1ec762d4-93b7-4f96-bff0-2d9429c4a055", campaign: 10 };
const CATALOGUE: &str = r#"{"advertisers": [{"id": 1, "name": "a", "currency": "EUR"}],
"campaigns": [{"id": 10, "name": "c", "advertiser_id": 1, "cpc_micros": 2500}], "tags": {}}"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

async fn up(system: &mut System) {
    system.start();
    system.ready().await;
}

/// A system with the catalogue and one record that every sink has put aside; it is up.
async fn with_a_foreign_record(folder: &Path) -> (System, LogId) {
    let mut system = System::prepare(folder, "[archive]\nmax_age = \"300ms\"\n");
    up(&mut system).await;
    let catalogue = folder.join("catalogue.json");
    std::fs::write(&catalogue, CATALOGUE).expect("a temporary folder");
    let _ = system.expect(&["catalogue", "import", &catalogue.display().to_string()], 0);
    assert_eq!(system.stop().await, Some(0));
    let log = foreign_records(&system.data, 1);
    up(&mut system).await;
    let _ = system.expect(&["reconcile", "--json"], 0);
    (system, log)
}

/// The event is in the statistics once, and paid for once.
async fn taken_once(system: &System) {
    let counted = format!("SELECT count(), sum(cost_nanos) FROM penstock.events WHERE id = '{}' FORMAT TSV", MEANT.id);
    let count = ask(&format!("http://{}/", system.engine), &counted).await;
    assert_eq!(count.trim(), "1\t2500000");
    let campaign = json(&ask(&format!("http://{}/api/v1/campaigns/10", system.panel), "").await);
    assert_eq!(
        (campaign["kpis"]["clicks"].to_string().trim_matches('"'), campaign["spent_nanos"].as_str()),
        ("1", Some("2500000"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_can_be_read_now_is_replayed_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut system, log) = with_a_foreign_record(folder.path()).await;
    let letters = json(&system.expect(&["dead", "list", "--json"], 0));
    let seen: Vec<&str> = letters.as_array().into_iter().flatten().filter_map(|l| l["sink"].as_str()).collect();
    assert_eq!(seen, ["archive", "balances", "statistics"], "{letters}");
    let offset = letters[0]["offset"].as_u64().expect("an offset");
    let still = json(&system.expect(&["dead", "replay", "--all", "--json"], 3));
    assert_eq!(
        (still["refused"][2]["code"].as_str(), &still["replayed"]),
        (Some("unknown_schema"), &Value::Array(Vec::new()))
    );
    assert_eq!(system.stop().await, Some(0));

    std::fs::remove_dir_all(system.data.join("spool/dead")).expect("the letters are there");
    readable_letters(&system.data, &log, offset, MEANT).await;
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
    taken_once(&system).await;
    let audit = json(&ask(&format!("http://{}/api/v1/audit", system.panel), "").await);
    let row = audit["result"].as_array().into_iter().flatten().find(|r| r["why"] == "schema 2 is here");
    let row = row.unwrap_or_else(|| panic!("{audit}"));
    assert_eq!((row["action"].as_str(), row["after"]["ids"][0].as_str()), (Some("dead_replay"), Some(id.as_str())));
    assert_eq!(system.stop().await, Some(0));
}

/// As after an update of one consumer after the other: each sink gets the record alone, and the
/// stores agree after every step.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_replayed_to_one_sink_after_the_other() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut system, log) = with_a_foreign_record(folder.path()).await;
    let offset = json(&system.expect(&["dead", "list", "--json"], 0))[0]["offset"].as_u64().expect("an offset");
    assert_eq!(system.stop().await, Some(0));
    std::fs::remove_dir_all(system.data.join("spool/dead")).expect("the letters are there");
    readable_letters(&system.data, &log, offset, MEANT).await;
    up(&mut system).await;
    for sink in ["statistics", "archive", "balances"] {
        let done = json(&system.expect(&["dead", "replay", "--to", sink, "--json"], 0));
        assert_eq!(done["replayed"][0]["id"].as_str(), Some(&*format!("{sink}:{}:0:{offset}", log.name)), "{done}");
        let _ = system.expect(&["reconcile", "--json"], 0);
        let again = system.expect(&["dead", "replay", "--to", sink], 0);
        assert!(again.contains("0 replayed, 0 left alone"), "{again}");
    }
    system.kill();
    up(&mut system).await;
    let _ = system.expect(&["reconcile", "--json"], 0);
    taken_once(&system).await;
    let id = format!("balances:{}:0:{offset}", log.name);
    for arguments in [&["dead", "replay", &id, "--to", "balances", "--json"][..], &["dead", "replay", &id, "--json"]] {
        let again = json(&system.expect(arguments, 3));
        assert_eq!(again["refused"][0]["code"].as_str(), Some("replayed"), "{again}");
    }
    let listed = json(&system.expect(&["dead", "list", "--json"], 0));
    assert_eq!(listed.as_array().map(Vec::len), Some(3), "what others were sent is no letter of anybody: {listed}");
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
