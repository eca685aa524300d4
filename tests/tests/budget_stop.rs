//! A campaign that has used up its budget stops: seen from the ad server's side, under load.
//!
//! The test asserts that each of a hundred campaigns stops, and prints how long after the
//! acknowledgement of the exhausting event the sidecar said so (`make bench-stop` shows it in the
//! release build). It asserts no absolute time: machines are noisy.

#![allow(clippy::float_arithmetic, reason = "milliseconds for a person to read")]

use penstock_tests::{System, client::Client, penstock};
use std::fmt::Write as _;
use std::time::Duration;

const CAMPAIGNS: u32 = 100;

fn catalogue() -> String {
    let mut campaigns = String::new();
    for id in 1..=CAMPAIGNS {
        // Two clicks at a cent each use up a budget of two cents.
        let _ = write!(
            campaigns,
            "{}{{\"id\":{id},\"name\":\"c{id}\",\"advertiser_id\":1,\"cpc_micros\":10000,\"total_budget_micros\":20000}}",
            if id == 1 { "" } else { "," }
        );
    }
    // The load runs on a campaign without a budget.
    let _ = write!(
        campaigns,
        ",{{\"id\":9000,\"name\":\"load\",\"advertiser_id\":1,\"cpm_micros\":1000,\"cpc_micros\":1000}}"
    );
    format!(
        "{{\"advertisers\":[{{\"id\":1,\"name\":\"a\",\"currency\":\"USD\",\"balance_micros\":1000000000000}}],\
         \"campaigns\":[{campaigns}],\"tags\":{{\"load\":9000}}}}"
    )
}

fn click(campaign: u32) -> String {
    format!("{{\"type\":\"click\",\"payload\":{{\"campaign_id\":{campaign}}}}}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_a_hundred_exhausted_campaigns_stops_under_load() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("catalogue.json");
    std::fs::write(&file, catalogue()).expect("the folder is writable");
    let mut system = System::prepare(folder.path(), "");
    system.start();
    system.ready().await;
    let _ = system.expect(&["catalogue", "import", &file.display().to_string()], 0);

    let mut load = tokio::process::Command::new(penstock())
        .args(["simulate", "--rate", "5000", "--duration", "25s"])
        .env("PENSTOCK_PANEL", format!("http://{}", system.panel))
        .env("PENSTOCK_SIDECAR", format!("http://{}", system.sidecar))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the simulator starts");

    let client = Client::new(system.sidecar);
    let http = reqwest::Client::new();
    let mut waits: Vec<Duration> = Vec::new();
    for id in 1..=CAMPAIGNS {
        client.deliver(&format!("first-{id}"), click(id)).await;
        client.deliver(&format!("last-{id}"), click(id)).await;
        let acknowledged = tokio::time::Instant::now();
        let url = format!("http://{}/v1/campaigns/{id}", system.sidecar);
        loop {
            let answer = http.get(&url).send().await.expect("the sidecar answers");
            let state: serde_json::Value =
                serde_json::from_slice(&answer.bytes().await.expect("a whole answer")).expect("JSON");
            if state["serving"] == false {
                assert_eq!(state["reason"], "total_budget", "{state}");
                break;
            }
            assert!(acknowledged.elapsed() < Duration::from_secs(30), "campaign {id} was not stopped: {state}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        waits.push(acknowledged.elapsed());
    }
    waits.sort();
    let at = |n: usize| waits[n * waits.len() / 100].as_secs_f64() * 1_000.0;
    println!(
        "acknowledgement to serving:false under load: median {:.0} ms, 99 of 100 within {:.0} ms, slowest {:.0} ms",
        at(50),
        waits[98].as_secs_f64() * 1_000.0,
        waits[99].as_secs_f64() * 1_000.0
    );
    let load = load.wait().await.expect("the simulator ends");
    assert!(load.success(), "the load ended with {load}");
    let _ = system.expect(&["reconcile", "--wait", "60s"], 0);
    assert_eq!(system.stop().await, Some(0), "{}", system.log());
}
