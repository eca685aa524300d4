//! The simulator: the same seed the same events, the promised ratios, and an account that adds up.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a failure is the test's")]

#[path = "support/mod.rs"]
mod support;

use penstock::time::{ManualClock, Micros, SystemClock};
use penstock_simulator::post::PostOptions;
use penstock_simulator::simulate::{Kind, Mix, Progress, Publisher, SimulateOptions, TYPES, simulate};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use support::{Mood, sidecar};
use tokio_util::sync::CancellationToken;

fn tags() -> Vec<String> {
    (0..50).map(|n| format!("news-top-{n:04}")).collect()
}

fn stream(seed: u64, mix: Mix, events: usize) -> Vec<u8> {
    let mut publisher = Publisher::new(tags(), mix, "ad-1".to_owned(), seed);
    let mut out = Vec::new();
    for n in 0..events {
        publisher.next(Micros::from_secs(1_700_000_000 + n as i64), &mut out).unwrap();
    }
    out
}

fn parsed(stream: &[u8]) -> Vec<Value> {
    stream.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect()
}

#[test]
fn the_same_seed_makes_the_same_events_and_another_seed_others() {
    assert!(stream(1, Mix::default(), 2_000) == stream(1, Mix::default(), 2_000));
    assert!(stream(1, Mix::default(), 2_000) != stream(2, Mix::default(), 2_000));
}

#[test]
fn clicks_and_conversions_come_in_the_promised_ratios() {
    let mix = Mix { impressions_per_visit: 4, impressions_per_click: 20, clicks_per_conversion: 5 };
    let mut publisher = Publisher::new(tags(), mix, "ad-1".to_owned(), 3);
    let (mut counts, mut out) = ([0_u64; 4], Vec::new());
    for _ in 0..200_000 {
        out.clear();
        counts[publisher.next(Micros(0), &mut out).unwrap() as usize] += 1;
    }
    let [visits, impressions, clicks, conversions] = counts;
    // Within a tenth: thousands of independent draws stay well inside of that.
    let near = |expected: u64, is: u64| is.abs_diff(expected) * 10 <= expected;
    assert!(near(impressions / 4, visits), "{counts:?}");
    assert!(near(impressions / 20, clicks), "{counts:?}");
    assert!(near(clicks / 5, conversions), "{counts:?}");
}

#[test]
fn the_default_is_one_click_in_a_thousand_impressions_and_one_conversion_in_fifty_clicks() {
    let mix = Mix::default();
    assert_eq!((mix.impressions_per_click, mix.clicks_per_conversion), (1_000, 50));
    let no_clicks = Mix { impressions_per_click: 0, ..mix };
    assert!(parsed(&stream(1, no_clicks, 5_000)).iter().all(|e| e["type"] != "click"));
}

#[test]
fn a_click_refers_to_an_earlier_impression_and_a_conversion_to_an_earlier_click() {
    let mix = Mix { impressions_per_visit: 3, impressions_per_click: 10, clicks_per_conversion: 3 };
    let events = parsed(&stream(5, mix, 20_000));
    let mut earlier: HashMap<&str, &Value> = HashMap::new();
    let (mut ids, mut followed) = (HashSet::new(), 0);
    for event in &events {
        assert!(ids.insert(event["id"].as_str().unwrap()), "an id came twice");
        let refers = match event["type"].as_str().unwrap() {
            "click" => Some(("impression", &event["payload"]["impression_id"])),
            "conversion" => Some(("click", &event["payload"]["click_id"])),
            _ => None,
        };
        if let Some((kind, id)) = refers {
            let origin = earlier[id.as_str().unwrap()];
            assert_eq!(origin["type"], kind);
            for field in ["tag", "user_id", "country", "user_agent", "ip"] {
                assert_eq!(origin["payload"][field], event["payload"][field], "{field}");
            }
            followed += 1;
        }
        earlier.insert(event["id"].as_str().unwrap(), event);
    }
    assert!(followed > 1_000);
}

fn options(url: &str) -> SimulateOptions {
    let mut options = SimulateOptions::new(PostOptions::new(url));
    options.rate = 4_000;
    options.duration = Duration::from_millis(500);
    options.batch = 50;
    options.post.first_wait = Duration::from_millis(2);
    options
}

#[tokio::test]
async fn what_was_sent_is_what_was_acknowledged_though_answers_get_lost() {
    let server = sidecar(|n| if n % 3 == 1 { Mood::DropAfter } else { Mood::Good }).await;
    let progress = Arc::new(Progress::default());
    let (report, outcome) =
        simulate(tags(), &options(&server.url), Arc::new(SystemClock), &progress, CancellationToken::new()).await;
    outcome.unwrap();
    let total = report.total();
    assert_eq!(total.sent, 2_000);
    assert_eq!((total.acknowledged, total.rejected, total.unanswered), (2_000, 0, 0));
    assert!(report.retries > 0);
    let seen = server.seen.lock().unwrap();
    let mut by_type = [0; 4];
    for line in &seen.kept {
        let event: Value = serde_json::from_str(line).unwrap();
        by_type[TYPES.iter().position(|t| event["type"] == *t).unwrap()] += 1;
    }
    assert_eq!(by_type, report.by_type.map(|c| c.acknowledged));
}

#[tokio::test]
async fn a_server_that_is_gone_ends_the_run_with_its_account() {
    let server = sidecar(|n| if n < 4 { Mood::Good } else { Mood::DropBefore }).await;
    let mut options = options(&server.url);
    options.post.give_up_after = Duration::from_millis(200);
    options.connections = 2;
    let progress = Arc::new(Progress::default());
    let clock = Arc::new(ManualClock::at(Micros::from_secs(1_700_000_000)));
    let (report, outcome) = simulate(tags(), &options, clock, &progress, CancellationToken::new()).await;
    assert!(outcome.unwrap_err().to_string().contains("no answer from"));
    let total = report.total();
    assert_eq!(total.acknowledged, 4 * 50);
    assert_eq!(total.sent, total.acknowledged + total.unanswered);
    assert!(total.unanswered > 0);
}

#[tokio::test]
async fn an_empty_catalogue_and_a_rate_of_zero_are_refused() {
    let progress = Arc::new(Progress::default());
    let clock = Arc::new(SystemClock);
    let mut options = options("http://127.0.0.1:9");
    let (_, outcome) = simulate(Vec::new(), &options, clock.clone(), &progress, CancellationToken::new()).await;
    assert!(outcome.unwrap_err().to_string().contains("penstock seed"));
    options.rate = 0;
    let (_, outcome) = simulate(tags(), &options, clock, &progress, CancellationToken::new()).await;
    assert_eq!(outcome.unwrap_err().to_string(), "the rate must be above 0");
}

#[tokio::test]
async fn a_stop_ends_the_run_early_and_waits_for_its_answers() {
    let server = sidecar(|_| Mood::Good).await;
    let mut options = options(&server.url);
    options.duration = Duration::from_secs(3600);
    let (progress, stop) = (Arc::new(Progress::default()), CancellationToken::new());
    let running = {
        let (progress, stop) = (progress.clone(), stop.clone());
        tokio::spawn(async move { simulate(tags(), &options, Arc::new(SystemClock), &progress, stop).await })
    };
    while progress.acknowledged[Kind::Impression as usize].load(std::sync::atomic::Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    let (report, outcome) = running.await.unwrap();
    outcome.unwrap();
    assert_eq!(report.total().sent, report.total().acknowledged);
}
