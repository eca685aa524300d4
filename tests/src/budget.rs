//! A campaign that has used up its budget stops: measured from the ad server's side.

#![allow(clippy::float_arithmetic, reason = "milliseconds for a person to read")]

use crate::client::Client;
use crate::live::Listener;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

/// How many campaigns are exhausted, one after the other.
const CAMPAIGNS: u32 = 100;

/// A hundred campaigns that two clicks exhaust, and one without a budget for the load.
#[must_use]
pub fn catalogue() -> String {
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

/// Exhausts a hundred campaigns, the first click at one sidecar, the last at the other, and waits
/// each time until the first sidecar says that the campaign is not served any more. Prints how long
/// that took from the acknowledgement of the last click on.
///
/// # Panics
/// When a campaign is not stopped within half a minute.
pub async fn exhaust_all(first: SocketAddr, last: SocketAddr) {
    let clients = (Client::new(first), Client::new(last));
    let http = reqwest::Client::new();
    let mut waits: Vec<Duration> = Vec::new();
    for id in 1..=CAMPAIGNS {
        clients.0.deliver(&format!("first-{id}"), click(id)).await;
        clients.1.deliver(&format!("last-{id}"), click(id)).await;
        let acknowledged = tokio::time::Instant::now();
        let url = format!("http://{first}/v1/campaigns/{id}");
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
    eprintln!(
        "acknowledgement to serving:false under load: median {:.0} ms, 99 of 100 within {:.0} ms, slowest {:.0} ms",
        at(50),
        waits[98].as_secs_f64() * 1_000.0,
        waits[99].as_secs_f64() * 1_000.0
    );
}

/// Listens to the panel's stops in the background, from now on.
///
/// # Panics
/// When the panel refuses.
pub async fn watch(panel: SocketAddr) -> Watching {
    let listener = Listener::open(panel, "subscription { stops { campaignId serving reasons } }").await;
    let mut listener = listener.expect("the panel tells of stops");
    let mut missing: BTreeSet<u32> = (1..=CAMPAIGNS).collect();
    Watching(tokio::spawn(async move {
        while !missing.is_empty() {
            let told = listener.next().await.expect("the subscription goes on");
            let stop = &told["stops"];
            if stop["serving"] == false && stop["reasons"][0] == "total_budget" {
                missing.remove(&stop["campaignId"].as_u64().and_then(|id| id.try_into().ok()).unwrap_or(0));
            }
        }
    }))
}

/// Somebody in front of the panel.
pub struct Watching(tokio::task::JoinHandle<()>);

impl Watching {
    /// Waits until each of the hundred campaigns was told to be stopped.
    ///
    /// # Panics
    /// When that takes more than half a minute from here, or the subscription ended.
    pub async fn told_of_all(self) {
        let told = tokio::time::timeout(Duration::from_secs(30), self.0).await;
        told.expect("not all stops were told on the panel").expect("the subscription goes on");
    }
}

/// The simulator as a load beside it, until it ends by itself.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn load(panel: SocketAddr, sidecar: SocketAddr, rate: u32, duration: &str) -> tokio::process::Child {
    tokio::process::Command::new(crate::penstock())
        .args(["simulate", "--rate", &rate.to_string(), "--duration", duration])
        .env("PENSTOCK_PANEL", format!("http://{panel}"))
        .env("PENSTOCK_SIDECAR", format!("http://{sidecar}"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the simulator starts")
}
