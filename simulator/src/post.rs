//! Posts batches of events to a sidecar until each is answered.
//!
//! A request without an answer (refused connection, time-out, a server that died) says nothing
//! about what was kept, so it is repeated under the same `Idempotency-Key`: the sidecar keeps
//! the key with what it appended, also over a crash, and answers the repeat from there.

use bytes::Bytes;
use rand::RngExt;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Where events go, and how long one tries.
#[derive(Clone, Debug)]
pub struct PostOptions {
    /// Base URL of the sidecar, e.g. `http://127.0.0.1:7070`.
    pub to: String,
    /// Sent as `Penstock-Key` when present.
    pub write_key: Option<String>,
    /// Sent as `Penstock-Durability` when present: `os`, `disk`, `kafka`.
    pub durability: Option<String>,
    /// Longest wait for one answer; then the request counts as unanswered.
    pub timeout: Duration,
    /// One batch is given up when it has had no answer for so long.
    pub give_up_after: Duration,
    /// Wait before the first repeat; it doubles up to 3 s.
    pub first_wait: Duration,
}

impl PostOptions {
    /// The usual bounds: 30 s for one answer, two minutes for one batch.
    #[must_use]
    pub fn new(to: impl Into<String>) -> Self {
        PostOptions {
            to: to.into(),
            write_key: None,
            durability: None,
            timeout: Duration::from_secs(30),
            give_up_after: Duration::from_secs(120),
            first_wait: Duration::from_millis(100),
        }
    }
}

/// What the sidecar says about one batch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// Events that are kept.
    pub accepted: u64,
    /// Events that are not, ascending by index.
    #[serde(default)]
    pub rejected: Vec<RejectedEvent>,
}

/// One event that the sidecar refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RejectedEvent {
    /// Index in the batch.
    pub index: usize,
    /// Stable code, e.g. `missing_field`.
    pub code: String,
    /// The field at fault, when one is.
    #[serde(default)]
    pub field: Option<String>,
    /// One sentence.
    #[serde(default)]
    pub message: String,
}

/// Why a batch was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The address cannot be used.
    #[error("{url} is not an address of a sidecar ({why}); give one like http://127.0.0.1:7070")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answered within [`PostOptions::give_up_after`].
    #[error("no answer from {url} for {waited:?} ({why}); is `penstock up` running there?")]
    Unanswered {
        /// The sidecar.
        url: String,
        /// How long it was tried.
        waited: Duration,
        /// The last attempt's failure.
        why: String,
    },
    /// The batch is larger than the sidecar takes in one request.
    #[error("the sidecar says that {bytes} bytes are too many for one request")]
    TooLarge {
        /// Size of the body.
        bytes: usize,
    },
    /// The sidecar refused the request as a whole; a repeat would be refused too.
    #[error("the sidecar refused the request with {status}: {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// From the problem document, or the beginning of the body.
        detail: String,
    },
    /// The answer does not account for each event of the batch.
    #[error("the answer accounts for {answered} of {sent} events; is {url} a sidecar of this version?")]
    Garbled {
        /// The sidecar.
        url: String,
        /// Accepted plus rejected.
        answered: u64,
        /// Events in the batch.
        sent: u64,
    },
}

/// Sends batches over pooled connections; share it between tasks.
pub struct Poster {
    http: reqwest::Client,
    url: reqwest::Url,
    options: PostOptions,
    retries: Arc<AtomicU64>,
}

enum Attempt {
    Answered(Answer),
    /// Ask again, at the earliest after this long when the server named a time.
    Again {
        why: String,
        after: Option<Duration>,
    },
    Final(PostError),
}

const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// Longest part of a refusal's body that is shown.
const SHOWN: usize = 300;

impl Poster {
    /// Prepares connections to `options.to`; repeated attempts are counted in `retries` as they
    /// happen. Errors: [`PostError::Url`].
    pub fn new(options: PostOptions, retries: Arc<AtomicU64>) -> Result<Poster, PostError> {
        let wrong = |why: String| PostError::Url { url: options.to.clone(), why };
        let base = reqwest::Url::parse(&options.to).map_err(|e| wrong(e.to_string()))?;
        if base.scheme() != "http" {
            return Err(wrong("only http is spoken here".to_owned()));
        }
        let url = base.join("/v1/events").map_err(|e| wrong(e.to_string()))?;
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(options.timeout)
            .tcp_nodelay(true)
            .build()
            .map_err(|e| wrong(e.to_string()))?;
        Ok(Poster { http, url, options, retries })
    }

    /// Posts `body`, NDJSON of `events` lines, under `key` until it is answered.
    ///
    /// A batch that holds nothing acceptable is an answer too. Errors: [`PostError`].
    pub async fn post(&self, body: Bytes, events: u64, key: &str) -> Result<Answer, PostError> {
        let started = Instant::now();
        let mut wait = self.options.first_wait;
        loop {
            let (why, after) = match self.attempt(body.clone(), key).await {
                Attempt::Answered(answer) => return self.checked(answer, events),
                Attempt::Final(error) => return Err(error),
                Attempt::Again { why, after } => (why, after),
            };
            let waited = started.elapsed();
            let pause = after.unwrap_or(Duration::ZERO).max(jittered(wait));
            if waited + pause > self.options.give_up_after {
                return Err(PostError::Unanswered { url: self.url.to_string(), waited, why });
            }
            tracing::debug!(key, why, ?pause, "the request is repeated");
            self.retries.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn checked(&self, answer: Answer, sent: u64) -> Result<Answer, PostError> {
        let answered = answer.accepted.saturating_add(answer.rejected.len() as u64);
        let in_range = answer.rejected.iter().all(|r| (r.index as u64) < sent);
        if answered == sent && in_range {
            return Ok(answer);
        }
        Err(PostError::Garbled { url: self.url.to_string(), answered, sent })
    }

    async fn attempt(&self, body: Bytes, key: &str) -> Attempt {
        let bytes = body.len();
        let mut request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-ndjson")
            .header("Idempotency-Key", key)
            .body(body);
        if let Some(write_key) = &self.options.write_key {
            request = request.header("Penstock-Key", write_key);
        }
        if let Some(durability) = &self.options.durability {
            request = request.header("Penstock-Durability", durability);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(e) if e.is_builder() => {
                return Attempt::Final(PostError::Url { url: self.options.to.clone(), why: root_cause(&e) });
            }
            Err(e) => return Attempt::Again { why: root_cause(&e), after: None },
        };
        let (status, after) = (response.status(), retry_after(&response));
        // Half an answer is no answer.
        let answer = match response.bytes().await {
            Ok(answer) => answer,
            Err(e) => return Attempt::Again { why: root_cause(&e), after: None },
        };
        judge(status, after, &answer, bytes)
    }
}

fn judge(status: StatusCode, after: Option<Duration>, answer: &[u8], bytes: usize) -> Attempt {
    if status == StatusCode::ACCEPTED || status == StatusCode::BAD_REQUEST {
        // 400 with a list of rejections is an answer about events; another 400 is about the request.
        if let Ok(answer) = serde_json::from_slice(answer) {
            return Attempt::Answered(answer);
        }
    }
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Attempt::Final(PostError::TooLarge { bytes });
    }
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() {
        return Attempt::Again { why: format!("{status}: {}", detail(answer)), after };
    }
    Attempt::Final(PostError::Refused { status: status.as_u16(), detail: detail(answer) })
}

/// `Retry-After` in seconds, at most a minute: a longer one would outlast any patience here.
fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let seconds: u64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(60)))
}

fn detail(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        title: Option<String>,
        detail: Option<String>,
    }
    match serde_json::from_slice::<Problem>(body) {
        Ok(Problem { detail: Some(text), .. } | Problem { title: Some(text), .. }) => text,
        _ => String::from_utf8_lossy(&body[..body.len().min(SHOWN)]).into_owned(),
    }
}

/// The innermost cause: reqwest's own text ("error sending request") does not say what happened.
fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Between half and all of `wait`, so that connections that failed together do not return together.
fn jittered(wait: Duration) -> Duration {
    let half = wait / 2;
    half + rand::rng().random_range(Duration::ZERO..=half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_no_http_url_is_refused_with_advice() {
        for url in ["127.0.0.1:7070", "https://x.example", "unix:/run/p.sock", ""] {
            let error =
                Poster::new(PostOptions::new(url), Arc::default()).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains("http://127.0.0.1:7070"), "{url}: {error}");
        }
    }

    #[test]
    fn only_requests_that_say_nothing_about_the_events_are_repeated() {
        let again = |status: StatusCode| matches!(judge(status, None, b"{}", 1), Attempt::Again { .. });
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(again(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [200, 400, 401, 403, 404, 413, 415, 422] {
            assert!(!again(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }

    #[test]
    fn a_400_about_events_is_an_answer_and_a_400_about_the_request_is_not() {
        let events = br#"{"accepted":0,"rejected":[{"index":0,"code":"bad_json","message":"no"}]}"#;
        assert!(matches!(judge(StatusCode::BAD_REQUEST, None, events, 1), Attempt::Answered(a) if a.accepted == 0));
        let request = br#"{"title":"no such durability","status":400,"code":"durability_unavailable"}"#;
        match judge(StatusCode::BAD_REQUEST, None, request, 1) {
            Attempt::Final(PostError::Refused { status: 400, detail }) => assert_eq!(detail, "no such durability"),
            _ => panic!("a refusal was expected"),
        }
    }
}
