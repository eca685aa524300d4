//! Many people who look at the panel at once, each as a browser with one of its pages open: the page's
//! subscription over a WebSocket, and its questions at the page's own pace. Prints how long answers took.
//!
//! usage: viewers PANEL VIEWERS SECONDS     (`127.0.0.1:7080 200 40`; `make bench-viewers`)
#![allow(clippy::float_arithmetic, clippy::print_stdout, reason = "milliseconds for a person to read")]

use hdrhistogram::Histogram;
use penstock::time::{Clock, SystemClock};
use penstock_tests::live::{Failure, Listener};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, interval_at, timeout_at};

/// What one page listens to, and asks how often.
struct Page {
    name: &'static str,
    subscription: Option<String>,
    questions: Vec<(&'static str, String, Duration)>,
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn time(ago: Duration) -> String {
    let micros = SystemClock.now().minus(ago).0;
    chrono::DateTime::from_timestamp_micros(micros).unwrap_or_default().format("%Y-%m-%dT%H:%M:00Z").to_string()
}

/// The page of the n-th viewer: most look at figures that change, a few ask large questions.
fn page(n: usize, campaigns: &[u64]) -> Page {
    let id = campaigns[n % campaigns.len()];
    let (hour, day) = (time(seconds(3_600)), time(seconds(86_400)));
    let end = time(Duration::ZERO);
    match n % 20 {
        0..8 => Page {
            name: "Now",
            subscription: Some(
                "subscription { throughput { time rates { impression visit click conversion } rejectedPerSecond \
                 ackMs { p50 p99 } stopLatencyMs { p50 p99 } deadTotal spool sinks stops roles } }"
                    .to_owned(),
            ),
            questions: vec![("GET /now", "/api/v1/now".to_owned(), seconds(30))],
        },
        8..14 => Page {
            name: "Campaign",
            subscription: Some(format!(
                "subscription {{ campaignKpis(ids: [{id}]) {{ campaignId spentNanos spentTodayNanos serving reasons \
                 kpis {{ visits impressions clicks conversions }} }} }}"
            )),
            questions: vec![
                ("GET /campaigns/{id}", format!("/api/v1/campaigns/{id}"), seconds(5)),
                (
                    "GET /campaigns/{id}/timeseries",
                    format!("/api/v1/campaigns/{id}/timeseries?start_time={hour}&end_time={end}&step=1m"),
                    seconds(5),
                ),
            ],
        },
        14..17 => Page {
            name: "Campaigns",
            subscription: Some("subscription { stops { campaignId serving reasons } }".to_owned()),
            questions: vec![("GET /campaigns", "/api/v1/campaigns?limit=1000".to_owned(), seconds(10))],
        },
        17 => Page {
            name: "Events",
            subscription: Some(
                "subscription { events { id type time received server campaignId costNanos payload log partition \
                 offset } }"
                    .to_owned(),
            ),
            questions: vec![(
                "GET /events",
                format!("/api/v1/events?start_time={hour}&order=desc&limit=50"),
                seconds(15),
            )],
        },
        18 => Page {
            name: "Data quality",
            subscription: None,
            questions: vec![
                ("GET /quality", "/api/v1/quality".to_owned(), seconds(30)),
                ("GET /windows", "/api/v1/windows?limit=200".to_owned(), seconds(5)),
            ],
        },
        _ => Page {
            name: "Explore",
            subscription: None,
            questions: vec![(
                "GET /explore",
                format!("/api/v1/explore?group_by=campaign_id,type&start_time={day}&end_time={end}"),
                seconds(10),
            )],
        },
    }
}

/// Microseconds up to a minute; a question takes at most half of one.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000, 3).unwrap_or_else(|_| unreachable!("the bounds are constants"))
}

/// What all viewers saw.
#[derive(Default)]
struct Seen {
    answers: Mutex<BTreeMap<&'static str, Histogram<u64>>>,
    told: Mutex<BTreeMap<&'static str, u64>>,
    failures: Mutex<Vec<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Seen {
    fn answer(&self, what: &'static str, took: Duration) {
        let mut answers = locked(&self.answers);
        let times = answers.entry(what).or_insert_with(histogram);
        times.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    fn failure(&self, what: impl std::fmt::Display) {
        locked(&self.failures).push(what.to_string());
    }
}

/// Asks one question at its pace until the end. The first viewers come within the first seconds.
async fn ask(
    http: reqwest::Client,
    url: String,
    what: &'static str,
    every: Duration,
    first: Instant,
    end: Instant,
    seen: Arc<Seen>,
) {
    let mut turns = interval_at(first, every);
    loop {
        if timeout_at(end, turns.tick()).await.is_err() {
            return;
        }
        let asked = Instant::now();
        let answer = async { http.get(&url).send().await?.error_for_status()?.bytes().await };
        match answer.await {
            Ok(_) => seen.answer(what, asked.elapsed()),
            Err(e) => seen.failure(format!("{what}: {e}")),
        }
    }
}

/// Listens until the end, and counts what it is told.
async fn listen(panel: SocketAddr, page: &'static str, query: &str, end: Instant, seen: &Seen) -> Result<(), Failure> {
    let mut listener = Listener::open(panel, query).await?;
    while let Ok(told) = timeout_at(end, listener.next()).await {
        let _ = told?;
        *locked(&seen.told).entry(page).or_default() += 1;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [panel, viewers, length] = arguments.as_slice() else {
        return Err("usage: viewers PANEL VIEWERS SECONDS".into());
    };
    let (panel, viewers, length): (SocketAddr, usize, u64) = (panel.parse()?, viewers.parse()?, length.parse()?);
    let base = format!("http://{panel}");
    let http = reqwest::Client::builder().timeout(seconds(30)).build()?;
    let list: Value = serde_json::from_slice(
        &http.get(format!("{base}/api/v1/campaigns?limit=1000")).send().await?.error_for_status()?.bytes().await?,
    )?;
    let campaigns: Vec<u64> =
        list["result"].as_array().into_iter().flatten().filter_map(|c| c["campaign_id"].as_u64()).collect();
    if campaigns.is_empty() {
        return Err("there are no campaigns to look at".into());
    }

    let seen = Arc::new(Seen::default());
    let start = Instant::now();
    let end = start + seconds(length);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..viewers {
        // They come over five seconds, so their questions are spread as those of people are.
        let first = start + seconds(5) * u32::try_from(n)? / u32::try_from(viewers)?;
        let page = page(n, &campaigns);
        for (what, path, every) in page.questions {
            tasks.spawn(ask(http.clone(), format!("{base}{path}"), what, every, first, end, seen.clone()));
        }
        if let Some(query) = page.subscription {
            let (seen, name) = (seen.clone(), page.name);
            tasks.spawn(async move {
                tokio::time::sleep_until(first).await;
                if let Err(e) = listen(panel, name, &query, end, &seen).await {
                    seen.failure(format!("{name}: {e}"));
                }
            });
        }
    }
    while tasks.join_next().await.is_some() {}

    let ms = |micros: u64| micros as f64 / 1_000.0;
    let mut all = histogram();
    println!("{viewers} viewers for {length} s");
    println!("{:<32} {:>8} {:>9} {:>9} {:>9}", "question", "answers", "p50 ms", "p95 ms", "p99 ms");
    let row = |what: &str, times: &Histogram<u64>| {
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|q| ms(times.value_at_quantile(q)));
        println!("{what:<32} {:>8} {p50:>9.1} {p95:>9.1} {p99:>9.1}", times.len());
    };
    for (what, times) in locked(&seen.answers).iter() {
        row(what, times);
        all.add(times)?;
    }
    row("all", &all);
    for (page, told) in locked(&seen.told).iter() {
        println!("told over sockets, {page}: {told}");
    }
    let failures = locked(&seen.failures);
    if failures.is_empty() {
        return Ok(());
    }
    Err(format!("{} failures, e.g. {:?}", failures.len(), &failures[..failures.len().min(5)]).into())
}
