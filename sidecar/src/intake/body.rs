//! Reads a request's body within its bounds: size, deadline, and the memory all bodies share.

use crate::http::problem::Problem;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use prometheus_client::metrics::gauge::Gauge;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

/// The memory that bodies may take while they arrive or wait, over all connections.
///
/// A body that comes in one piece and is handled at once is not counted: it is gone before the
/// next one is read.
#[derive(Clone, Debug)]
pub struct BodyBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    used: AtomicUsize,
    max: usize,
    gauge: Gauge,
}

/// Bytes taken from the budget; given back on drop.
#[derive(Debug)]
pub struct Held {
    budget: BodyBudget,
    bytes: usize,
}

/// A body and what it holds of the budget.
#[derive(Debug)]
pub struct Body {
    /// The bytes as they were sent.
    pub bytes: Bytes,
    held: Held,
}

impl BodyBudget {
    /// At most `max` bytes; `gauge` shows how many are taken.
    #[must_use]
    pub fn new(max: usize, gauge: Gauge) -> Self {
        Self(Arc::new(Inner { used: AtomicUsize::new(0), max, gauge }))
    }

    fn nothing(&self) -> Held {
        Held { budget: self.clone(), bytes: 0 }
    }
}

impl Held {
    /// Takes more. Errors: `overloaded` (503).
    fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        let inner = &self.budget.0;
        let before = inner.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        inner.gauge.set(i64::try_from(before + bytes).unwrap_or(i64::MAX));
        if before + bytes > inner.max {
            let detail = "too many large bodies are under way; send this one again";
            return Err(Problem::unavailable("overloaded", detail, Duration::from_secs(1)).closing());
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes > 0 {
            let before = self.budget.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
            self.budget.0.gauge.set(i64::try_from(before.saturating_sub(self.bytes)).unwrap_or(i64::MAX));
        }
    }
}

impl Body {
    /// A body that is there at once.
    #[must_use]
    pub fn whole(bytes: Bytes, budget: &BodyBudget) -> Self {
        Body { bytes, held: budget.nothing() }
    }

    /// Counts the body against the budget while it waits for something else than its sender.
    /// Errors: `overloaded` (503).
    pub fn hold(&mut self) -> Result<(), Problem> {
        let missing = self.bytes.len().saturating_sub(self.held.bytes);
        self.held.grow(missing)
    }
}

/// Reads the whole body.
///
/// `announced` is its `Content-Length`. Errors: `body_too_large` (413), `body_timeout` (408),
/// `body_incomplete` (400), `overloaded` (503). The connection is closed behind each of them.
pub async fn read(
    payload: &mut Payload,
    announced: Option<usize>,
    max: usize,
    deadline: Duration,
    budget: &BodyBudget,
) -> Result<Body, Problem> {
    if announced.is_some_and(|n| n > max) {
        return Err(too_large(max));
    }
    let mut whole = pin!(collect(payload, announced, max, budget));
    // Most bodies are there with their head; a timer is made for one that is not.
    if let Poll::Ready(result) = futures::poll!(whole.as_mut()) {
        return result;
    }
    match tokio::time::timeout(deadline, whole).await {
        Ok(result) => result,
        Err(_) => {
            let detail = format!("the body did not arrive within {deadline:?}");
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail).closing())
        }
    }
}

async fn collect(
    payload: &mut Payload,
    announced: Option<usize>,
    max: usize,
    budget: &BodyBudget,
) -> Result<Body, Problem> {
    let mut held = budget.nothing();
    let Some(first) = payload.next().await else { return Ok(Body { bytes: Bytes::new(), held }) };
    let first = first.map_err(incomplete)?;
    if announced == Some(first.len()) {
        return Ok(Body { bytes: first, held });
    }
    let mut whole = BytesMut::new();
    let mut chunk = Some(first);
    while let Some(bytes) = chunk {
        if whole.len() + bytes.len() > max {
            return Err(too_large(max));
        }
        held.grow(bytes.len())?;
        whole.extend_from_slice(&bytes);
        chunk = payload.next().await.transpose().map_err(incomplete)?;
    }
    Ok(Body { bytes: whole.freeze(), held })
}

fn too_large(max: usize) -> Problem {
    Problem::too_large("body_too_large", format!("a body may have at most {max} bytes")).closing()
}

fn incomplete(error: actix_web::error::PayloadError) -> Problem {
    Problem::bad_request("body_incomplete", format!("the body could not be read to its end: {error}")).closing()
}
