//! What the ad server asks: campaigns, long polls, event streams, staleness, the snapshot.

use crate::support::{Side, send, start, start_in, start_with};
use penstock::ledger::{Heartbeat, Reason, StateChange, StateRecord};
use penstock::log::spool::{Group, GroupBuf};
use penstock::settings::SidecarSettings;
use penstock::time::{Clock, ManualClock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn change(version: u64, campaign_id: u32, reasons: &[Reason]) -> StateRecord {
    let serving = reasons.is_empty();
    let at = SystemClock.now();
    let cause_received = (!serving).then_some(at);
    StateRecord::Change(StateChange { campaign_id, version, serving, reasons: reasons.to_vec(), at, cause_received })
}

fn heartbeat(version: u64) -> StateRecord {
    StateRecord::Heartbeat(Heartbeat { version, at: SystemClock.now() })
}

/// Publishes as the ledger's publisher does.
fn publish(side: &Side, records: &[StateRecord]) {
    let spool = side.states.as_ref().unwrap();
    let mut writer = spool.writer(0).unwrap();
    let mut buf = GroupBuf::new();
    for record in records {
        record.encode(buf.begin_record()).unwrap();
        buf.end_record();
    }
    writer.append(&Group::plain(&buf)).unwrap();
    writer.flush().unwrap();
    spool.sync_now().unwrap();
}

/// Asks until the list has read what was in the log at its start.
async fn caught_up(side: &Side) {
    while side.get("/readyz").await.status != 200 {
        tokio::task::yield_now().await;
    }
}

/// Asks until the list has taken in `version`.
async fn taken(side: &Side, version: u64) {
    let mut after = 0;
    while after < version {
        let got = side.get(&format!("/v1/stopped?after={after}&wait=10s")).await.json();
        after = got["version"].as_u64().unwrap();
    }
}

#[actix_rt::test]
async fn a_stopped_campaign_is_not_served_and_a_resumed_one_is() {
    let side = start_with(|s| s.follow = true);
    caught_up(&side).await; // what lay in the log before is no measure of latency
    publish(&side, &[change(16, 7, &[]), change(17, 1002, &[Reason::TotalBudget, Reason::DailyBudget]), heartbeat(17)]);
    taken(&side, 17).await;
    let expected = json!({
        "campaign_id": 1002, "serving": false, "reason": "total_budget", "reasons": ["total_budget", "daily_budget"],
        "version": 17, "stale": false, "known": true,
    });
    assert_eq!(side.get("/v1/campaigns/1002").await.json(), expected);
    let known = side.get("/v1/campaigns/7").await.json();
    assert_eq!((&known["serving"], &known["known"], &known["reason"]), (&json!(true), &json!(true), &Value::Null));
    let unknown = side.get("/v1/campaigns/9").await.json();
    assert_eq!((&unknown["serving"], &unknown["known"], &unknown["version"]), (&json!(true), &json!(false), &json!(0)));
    publish(&side, &[change(18, 1002, &[])]);
    taken(&side, 18).await;
    assert_eq!(side.get("/v1/campaigns/1002").await.json()["serving"], true);
    // The publisher repeats itself after a crash: an older version changes nothing.
    publish(&side, &[change(17, 1002, &[Reason::TotalBudget]), change(19, 5, &[Reason::Operator])]);
    taken(&side, 19).await;
    assert_eq!(side.get("/v1/campaigns/1002").await.json()["serving"], true);
    assert_eq!(side.metric("penstock_stop_latency_seconds_count").await, 2);
    assert_eq!(side.metric("penstock_stop_list_stopped").await, 1);
    side.stop().await;
}

#[actix_rt::test]
async fn a_long_poll_wakes_with_the_change_and_ends_with_its_wait() {
    let side = start_with(|s| s.follow = true);
    publish(&side, &[change(1, 1, &[Reason::Operator])]);
    taken(&side, 1).await;
    let poll = tokio::task::spawn_local(send(side.request(Method::GET, "/v1/stopped?after=1&wait=30s")));
    while side.metric("penstock_stop_list_watchers").await == 0 {
        tokio::task::yield_now().await;
    }
    publish(&side, &[change(2, 2, &[Reason::Balance])]);
    let got = poll.await.unwrap().json();
    assert_eq!((&got["version"], &got["stopped"], &got["full"]), (&json!(2), &json!([1, 2]), &json!(false)));
    assert_eq!(got["changes"].as_array().unwrap().len(), 1);
    let one = &got["changes"][0];
    assert_eq!((&one["campaign_id"], &one["serving"], &one["reason"]), (&json!(2), &json!(false), &json!("balance")));

    let quiet = side.get("/v1/stopped?after=2&wait=50ms").await.json();
    assert_eq!((&quiet["version"], &quiet["changes"], &quiet["stopped"]), (&json!(2), &json!([]), &json!([1, 2])));
    let all = side.get("/v1/stopped").await.json();
    assert_eq!((&all["version"], &all["stopped"], &all["full"]), (&json!(2), &json!([1, 2]), &json!(true)));
    let future = side.get("/v1/stopped?after=99&wait=30s").await.json();
    assert_eq!((&future["version"], &future["full"]), (&json!(2), &json!(true)), "what cannot be served gets it all");
    side.stop().await;
}

#[actix_rt::test]
async fn a_watcher_that_is_too_far_behind_gets_the_full_set() {
    let side = start_with(|s| {
        s.follow = true;
        s.sidecar.stop_history = 16;
    });
    let many: Vec<StateRecord> = (1..=100).map(|v| change(v, v as u32, &[Reason::TotalBudget])).collect();
    publish(&side, &many);
    taken(&side, 100).await;
    let got = side.get("/v1/stopped?after=10&wait=30s").await.json();
    assert_eq!((&got["full"], got["stopped"].as_array().unwrap().len()), (&json!(true), 100));
    let near = side.get("/v1/stopped?after=90").await.json();
    assert_eq!((&near["full"], near["changes"].as_array().unwrap().len()), (&json!(false), 10));
    side.stop().await;
}

/// Reads a stream until `events` events have come; each as (event, data).
async fn read_events(response: &mut reqwest::Response, events: usize) -> Vec<(String, Value)> {
    let (mut text, mut seen) = (String::new(), Vec::new());
    while seen.len() < events {
        let chunk = response.chunk().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        while let Some(end) = text.find("\n\n") {
            let block: String = text.drain(..end + 2).collect();
            let field = |name: &str| block.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default().to_owned();
            seen.push((field("event: "), serde_json::from_str(&field("data: ")).unwrap()));
        }
    }
    seen
}

#[actix_rt::test]
async fn a_stream_begins_with_the_full_set_and_carries_every_change() {
    let side = start_with(|s| {
        s.follow = true;
        s.sidecar.stream_heartbeat = Duration::from_millis(100);
    });
    publish(&side, &[change(1, 1, &[Reason::Operator])]);
    taken(&side, 1).await;
    let open = |last: Option<u64>| {
        let request = side.request(Method::GET, "/v1/stopped").header("accept", "text/event-stream");
        match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        }
    };
    let mut response = open(None).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let first = read_events(&mut response, 1).await;
    assert_eq!(first[0].0, "full");
    assert_eq!((&first[0].1["version"], &first[0].1["stopped"]), (&json!(1), &json!([1])));
    publish(&side, &[change(2, 2, &[Reason::Balance]), change(3, 1, &[])]);
    let mut changes = Vec::new();
    let mut beats = 0;
    while changes.len() < 2 || beats == 0 {
        for (event, data) in read_events(&mut response, 1).await {
            match event.as_str() {
                "change" => changes.push((data["version"].clone(), data["campaign_id"].clone())),
                "heartbeat" => beats += 1,
                other => panic!("{other}"),
            }
        }
    }
    assert_eq!(changes, [(json!(2), json!(2)), (json!(3), json!(1))]);
    // Who comes back with the last id it saw gets the rest only.
    let mut again = open(Some(2)).send().await.unwrap();
    let events = read_events(&mut again, 2).await;
    assert_eq!((events[0].0.as_str(), events[1].0.as_str()), ("heartbeat", "change"));
    assert_eq!(events[1].1["version"], json!(3));
    drop((response, again));
    side.stop().await;
}

#[actix_rt::test]
async fn answers_are_stale_without_a_log_and_without_a_heartbeat() {
    let alone = start();
    assert_eq!(alone.get("/v1/campaigns/1").await.json()["stale"], true, "nothing is followed");
    alone.stop().await;

    let clock = ManualClock::at(SystemClock.now());
    let hand = clock.clone();
    let side = start_with(move |s| {
        s.follow = true;
        s.clock = Arc::new(hand);
        s.sidecar.stale_after = Duration::from_secs(15);
    });
    publish(&side, &[change(1, 1, &[]), heartbeat(1)]);
    taken(&side, 1).await;
    assert_eq!(side.get("/v1/campaigns/1").await.json()["stale"], false);
    assert_eq!(side.get("/readyz").await.json()["warnings"], json!([]));
    clock.advance(Duration::from_secs(16));
    assert_eq!(side.get("/v1/campaigns/1").await.json()["stale"], true);
    assert_eq!(side.metric("penstock_stop_list_stale").await, 1);
    let ready = side.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["warnings"][0]["code"]), (200, &json!("stop_list_stale")));
    publish(&side, &[change(2, 1, &[])]);
    taken(&side, 2).await;
    assert_eq!(side.get("/v1/campaigns/1").await.json()["stale"], false, "a sign of life again");
    side.stop().await;
}

#[actix_rt::test]
async fn a_restarted_sidecar_knows_what_was_stopped() {
    let side = start_with(|s| s.follow = true);
    publish(&side, &[change(1, 1, &[Reason::TotalBudget]), change(2, 2, &[Reason::Operator]), heartbeat(2)]);
    taken(&side, 2).await;
    let dir = side.stop().await;
    let saved = penstock_sidecar::stop_list::snapshot::Snapshot::read(&dir.path().join("stop-list")).unwrap().unwrap();
    assert_eq!((saved.version, saved.next, saved.campaigns.len()), (2, 3, 2));

    let side = start_in(Arc::clone(&dir), |s| s.follow = true);
    taken(&side, 2).await;
    assert_eq!(side.get("/v1/stopped").await.json()["stopped"], json!([1, 2]));
    publish(&side, &[change(3, 1, &[])]);
    taken(&side, 3).await;
    assert_eq!(side.get("/v1/stopped").await.json()["stopped"], json!([2]));
    let dir = side.stop().await;

    // A damaged snapshot costs nothing but the reading of the log.
    std::fs::write(dir.path().join("stop-list"), b"nonsense").unwrap();
    let side = start_in(dir, |s| s.follow = true);
    taken(&side, 3).await;
    assert_eq!(side.get("/v1/stopped").await.json()["stopped"], json!([2]));
    side.stop().await;
}

#[actix_rt::test]
async fn another_logs_snapshot_is_not_believed() {
    let side = start_with(|s| s.follow = true);
    publish(&side, &[change(50, 1, &[Reason::TotalBudget])]);
    taken(&side, 50).await;
    let dir = side.stop().await;
    std::fs::remove_dir_all(dir.path().join("campaign-state")).unwrap();
    let side = start_in(dir, |s| s.follow = true);
    publish(&side, &[change(1, 2, &[Reason::Operator])]);
    taken(&side, 1).await;
    assert_eq!(side.get("/v1/stopped").await.json()["stopped"], json!([2]));
    side.stop().await;
}

#[actix_rt::test]
async fn a_wait_is_cut_to_the_longest_allowed() {
    let side = start_with(|s| s.sidecar.max_wait = Duration::from_secs(1));
    assert_eq!(SidecarSettings::default().max_wait, Duration::from_secs(60));
    let got = side.get("/v1/stopped?after=0&wait=1h").await;
    assert_eq!((got.status, got.json()["version"].clone()), (200, json!(0)));
    side.stop().await;
}
