//! Loads an NDJSON file into a sidecar and accounts for each of its lines.
//!
//! A line ends up accepted or rejected, or the load fails and says how far it came. Batches are
//! answered in file order, so the rejected lines come out in order too and none is collected in
//! memory.

mod lines;
mod reader;
mod source;

pub use lines::{Found, Lines};
pub use source::Source;

use crate::post::{Answer, PostError, PostOptions, Poster};
use bytes::Bytes;
use futures::StreamExt;
use reader::Batch;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a file is loaded.
#[derive(Clone, Debug)]
pub struct IngestOptions {
    /// The sidecar, and how long one tries.
    pub post: PostOptions,
    /// Most events of one request.
    pub batch_events: usize,
    /// Most bytes of one request; a single longer line goes alone.
    pub batch_bytes: usize,
    /// A longer line is not sent but listed as rejected, `line_too_long`.
    pub max_line_bytes: usize,
    /// Requests under way at once, at least 1.
    pub connections: usize,
    /// The first part of each `Idempotency-Key`. The same prefix for the same file, with the
    /// same batch sizes and within the sidecar's window, continues a load that was cut off.
    pub key_prefix: String,
}

impl IngestOptions {
    /// 1 000 events or 1 MiB a request, four requests at once, a key prefix that nobody else has.
    #[must_use]
    pub fn new(post: PostOptions) -> Self {
        IngestOptions {
            post,
            batch_events: 1_000,
            batch_bytes: 1 << 20,
            max_line_bytes: 1 << 20,
            connections: 4,
            key_prefix: format!("ingest-{}", uuid::Uuid::from_bytes(rand::random())),
        }
    }
}

/// Counters that move while the load is under way.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes read of the file as it lies on disk.
    pub bytes: AtomicU64,
    /// Lines read.
    pub lines: AtomicU64,
    /// Events accepted.
    pub accepted: AtomicU64,
    /// Lines rejected.
    pub rejected: AtomicU64,
    /// Requests repeated.
    pub retries: Arc<AtomicU64>,
}

/// One line that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RejectedLine {
    /// Line number from 1.
    pub line: u64,
    /// Stable code, e.g. `missing_field`, `line_too_long`.
    pub code: String,
    /// The field at fault, when one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// One sentence.
    pub message: String,
}

/// What became of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct IngestReport {
    /// Events that are kept.
    pub accepted: u64,
    /// Lines that were refused.
    pub rejected: u64,
    /// Requests that were repeated because nobody had answered them.
    pub retries: u64,
}

/// Why a load ended early. Everything before was accounted for in the report.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The source cannot be opened or read, or is not what its name says.
    #[error("cannot read {name}: {source}")]
    Read {
        /// The source.
        name: String,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// A batch was not taken in.
    #[error("lines {first} to {last} were not taken in: {source}")]
    Post {
        /// First line of the batch.
        first: u64,
        /// Last line of the batch.
        last: u64,
        /// Why.
        #[source]
        source: PostError,
    },
    /// The address is wrong.
    #[error(transparent)]
    Address(#[from] PostError),
    /// The caller could not take a rejected line.
    #[error("cannot write the list of rejected lines: {0}")]
    Listing(io::Error),
}

/// Loads `source`; `rejected` is called for each refused line in file order.
///
/// The report stands whether or not an error ended the load.
pub async fn ingest(
    source: Source,
    options: &IngestOptions,
    progress: &Arc<Progress>,
    mut rejected: impl FnMut(&RejectedLine) -> io::Result<()>,
) -> (IngestReport, Result<(), IngestError>) {
    let mut report = IngestReport::default();
    let outcome = run(source, options, progress, &mut report, &mut rejected).await;
    report.retries = progress.retries.load(Ordering::Relaxed);
    (report, outcome)
}

async fn run(
    source: Source,
    options: &IngestOptions,
    progress: &Arc<Progress>,
    report: &mut IngestReport,
    rejected: &mut impl FnMut(&RejectedLine) -> io::Result<()>,
) -> Result<(), IngestError> {
    let name = source.name();
    let unread = |source: io::Error| IngestError::Read { name: name.clone(), source };
    let poster = Poster::new(options.post.clone(), progress.retries.clone())?;
    let batches = reader::start(source, options, progress.clone()).map_err(unread)?;
    let batches = futures::stream::unfold(batches, async |mut from| Some((from.recv().await?, from)));
    let poster = &poster;
    let answers = batches
        .map(async |batch| match batch {
            Ok(batch) => Ok(send(poster, batch, &options.key_prefix).await),
            Err(e) => Err(e),
        })
        .buffered(options.connections.max(1));
    let mut answers = std::pin::pin!(answers);
    while let Some(answer) = answers.next().await {
        let (lines, outcome) = answer.map_err(unread)?;
        report.accepted += lines.accepted;
        progress.accepted.fetch_add(lines.accepted, Ordering::Relaxed);
        for line in &lines.rejected {
            report.rejected += 1;
            progress.rejected.fetch_add(1, Ordering::Relaxed);
            rejected(line).map_err(IngestError::Listing)?;
        }
        outcome?;
    }
    Ok(())
}

#[derive(Default)]
struct Outcome {
    accepted: u64,
    rejected: Vec<RejectedLine>,
}

/// Sends one batch, in halves when the sidecar takes less at once than we thought.
async fn send(poster: &Poster, batch: Batch, prefix: &str) -> (Outcome, Result<(), IngestError>) {
    let mut outcome = Outcome::default();
    outcome.rejected.extend(batch.too_long.iter().map(|&(line, bytes)| too_long(line, bytes)));
    let mut parts = vec![(0..batch.lines.len(), format!("{prefix}-{}", batch.sequence))];
    while let Some((part, key)) = parts.pop() {
        let lines = &batch.lines[part.clone()];
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { continue };
        let end = batch.lines.get(part.end).map_or(batch.body.len(), |next| next.1);
        let body: Bytes = batch.body.slice(first.1..end);
        match poster.post(body, lines.len() as u64, &key).await {
            Ok(answer) => outcome.take(answer, lines),
            Err(PostError::TooLarge { bytes }) if lines.len() == 1 => {
                outcome.rejected.push(too_long(first.0, bytes as u64));
            }
            Err(PostError::TooLarge { .. }) => {
                let middle = part.start + lines.len() / 2;
                parts.push((middle..part.end, format!("{key}b")));
                parts.push((part.start..middle, format!("{key}a")));
            }
            Err(source) => {
                outcome.rejected.sort_by_key(|r| r.line);
                return (outcome, Err(IngestError::Post { first: first.0, last: last.0, source }));
            }
        }
    }
    outcome.rejected.sort_by_key(|r| r.line);
    (outcome, Ok(()))
}

impl Outcome {
    fn take(&mut self, answer: Answer, lines: &[(u64, usize)]) {
        self.accepted += answer.accepted;
        self.rejected.extend(answer.rejected.into_iter().map(|r| RejectedLine {
            line: lines[r.index].0,
            code: r.code,
            field: r.field,
            message: r.message,
        }));
    }
}

fn too_long(line: u64, bytes: u64) -> RejectedLine {
    RejectedLine {
        line,
        code: "line_too_long".to_owned(),
        field: None,
        message: format!("the line has {bytes} bytes, more than is sent as one event"),
    }
}
