//! `GET /v1/stopped`: the set of stopped campaigns, as a long poll or an event stream.
//!
//! A watcher is a version it knows and a wake-up; what changed is pulled from the stop list's
//! bounded history when the connection can take it. So a slow watcher holds no memory here, and
//! one that has fallen out of the history gets the full set again.

use super::Shared;
use super::problem::Problem;
use crate::stop_list::{Change, Since, StopList};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures::Stream;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use std::convert::Infallible;
use std::fmt::Write;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Most changes in one answer or one piece of a stream.
const MOST_CHANGES: usize = 1_000;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    after: Option<u64>,
    wait: Option<String>,
}

/// The stopped campaigns now (no `after`), when something has changed (`after` and `wait`), or as
/// a stream (`Accept: text/event-stream`).
///
/// Errors: `invalid_query` (400).
pub async fn stopped(request: HttpRequest, shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    let asked = web::Query::<Asked>::from_query(request.query_string());
    let asked = asked.map_err(|e| invalid(e.to_string()))?.into_inner();
    let wait = asked.wait.as_deref().map(duration).transpose()?.unwrap_or(Duration::ZERO);
    let accept = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if accept.contains("text/event-stream") {
        let last = request.headers().get("last-event-id").and_then(|v| v.to_str().ok()?.trim().parse().ok());
        return Ok(HttpResponse::Ok()
            .content_type("text/event-stream")
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header(("x-accel-buffering", "no"))
            .streaming(stream(&shared, last.or(asked.after))));
    }
    let body = poll(&shared, asked.after, wait.min(shared.settings.max_wait)).await;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(body))
}

/// Waits for a change after `after`, at most `wait`; the answer's JSON.
async fn poll(shared: &Shared, after: Option<u64>, wait: Duration) -> String {
    let list = &shared.stop_list;
    let Some(after) = after else { return answer(list, None) };
    let (mut changed, epoch) = (list.watch(), list.epoch());
    let _watching = Watching::new(&shared.intake.metrics.watchers);
    let deadline = tokio::time::sleep(wait);
    tokio::pin!(deadline);
    loop {
        changed.borrow_and_update();
        if list.epoch() != epoch {
            return answer(list, None);
        }
        match list.since(after, MOST_CHANGES) {
            Since::Gone => return answer(list, None),
            Since::Changes { version, changes } if !changes.is_empty() => {
                return answer(list, Some((version, changes)));
            }
            Since::Changes { version, changes } => {
                tokio::select! {
                    biased;
                    () = shared.draining.cancelled() => return answer(list, Some((version, changes))),
                    () = &mut deadline => return answer(list, Some((version, changes))),
                    _ = changed.changed() => {}
                }
            }
        }
    }
}

/// `stopped` is always the full set; `full` says that `changes` does not tell how it came about.
fn answer(list: &StopList, since: Option<(u64, Vec<Change>)>) -> String {
    let stale = list.stale();
    let full = since.is_none();
    let (newest, stopped) = list.full();
    let (version, changes) = since.unwrap_or((newest, Vec::new()));
    let changes = json(&changes);
    format!(r#"{{"version":{version},"stopped":{stopped},"changes":{changes},"full":{full},"stale":{stale}}}"#)
}

fn json(value: &impl serde::Serialize) -> String {
    // Integers, enums and strings into memory: serde_json has no reason to refuse.
    serde_json::to_string(value).unwrap_or_else(|error| {
        tracing::error!(%error, "a change of the stop list could not be written");
        "null".to_owned()
    })
}

struct Watcher {
    list: StopList,
    changed: watch::Receiver<u64>,
    /// What the client knows; `None` before it has got anything.
    knows: Option<u64>,
    opened: bool,
    epoch: u64,
    heartbeat: Duration,
    draining: CancellationToken,
    resyncs: Counter,
    _watching: Watching,
}

fn stream(shared: &Shared, after: Option<u64>) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let watcher = Watcher {
        list: shared.stop_list.clone(),
        changed: shared.stop_list.watch(),
        knows: after,
        opened: false,
        epoch: shared.stop_list.epoch(),
        heartbeat: shared.settings.stream_heartbeat,
        draining: shared.draining.clone(),
        resyncs: shared.intake.metrics.resyncs.clone(),
        _watching: Watching::new(&shared.intake.metrics.watchers),
    };
    futures::stream::unfold(watcher, |mut watcher| async move {
        let piece = watcher.next().await?;
        Some((Ok(Bytes::from(piece)), watcher))
    })
}

impl Watcher {
    /// The next piece of the stream; `None` when the sidecar drains.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.draining.is_cancelled() {
                return None;
            }
            self.changed.borrow_and_update();
            let Some(knows) = self.knows else { return Some(self.full()) };
            if self.list.epoch() != self.epoch {
                self.resyncs.inc();
                return Some(self.full());
            }
            match self.list.since(knows, MOST_CHANGES) {
                Since::Gone => {
                    if self.opened {
                        self.resyncs.inc();
                    }
                    return Some(self.full());
                }
                Since::Changes { version, changes } => {
                    self.knows = Some(version);
                    if !changes.is_empty() || !self.opened {
                        return Some(self.pieces(&changes));
                    }
                }
            }
            let silent = tokio::select! {
                biased;
                () = self.draining.cancelled() => return None,
                changed = self.changed.changed() => { changed.ok()?; false }
                () = tokio::time::sleep(self.heartbeat) => true,
            };
            if silent {
                return Some(self.beat());
            }
        }
    }

    fn full(&mut self) -> String {
        let stale = self.list.stale();
        // Before the set: a change in between is then told again, not missed.
        self.epoch = self.list.epoch();
        let (version, stopped) = self.list.full();
        (self.knows, self.opened) = (Some(version), true);
        let data = format!(r#"{{"version":{version},"stopped":{stopped},"stale":{stale}}}"#);
        format!("id: {version}\nevent: full\ndata: {data}\n\n")
    }

    fn pieces(&mut self, changes: &[Change]) -> String {
        let mut out = String::new();
        if !std::mem::replace(&mut self.opened, true) {
            out = self.beat();
        }
        for change in changes {
            // Writing into a String cannot fail.
            let _ = write!(out, "id: {}\nevent: change\ndata: {}\n\n", change.version, json(change));
        }
        out
    }

    fn beat(&self) -> String {
        let (version, stale) = (self.knows.unwrap_or_default(), self.list.stale());
        format!("event: heartbeat\ndata: {{\"version\":{version},\"stale\":{stale}}}\n\n")
    }
}

/// Counts an open watcher.
struct Watching(Gauge);

impl Watching {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Watching(gauge.clone())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// `30s`, `500ms`, `1m`, or whole seconds as a bare number.
fn duration(text: &str) -> Result<Duration, Problem> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(text).map_err(|_| invalid("wait takes a duration such as 30s or 500ms"))
}

fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::bad_request("invalid_query", detail)
}
