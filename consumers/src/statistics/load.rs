//! Statistics straight from a file of JSON lines: for back-fills and clusters for tests.
//!
//! The file is a log of its own: named by its content, with line numbers for offsets. So a load that
//! was cut off goes on where it ended, and one that is repeated adds nothing. Before each range the
//! table is asked which of its lines it holds, at any time, because an event without a time of its
//! own gets that of the load.

use super::StatisticsSink;
use penstock::event::{self, Defaults, IdSource, Rejection};
use penstock::log::{LogId, Range, Records};
use penstock::pipeline::{Held, Poison, Sink, SinkError};
use penstock::pricing::Snapshot;
use penstock::time::Micros;
use std::io;
use std::time::Duration;

/// How a file is loaded.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Its name among logs, [`log_name`] or one that was given.
    pub log: LogId,
    /// The shard that gets all of it: the same in every repetition, or lines count twice.
    pub shard: u32,
    /// Lines of one insert.
    pub rows: usize,
    /// Bytes of JSON of one insert.
    pub bytes: usize,
    /// Receive time of all events.
    pub received: Micros,
    /// Server of events without one.
    pub server: String,
    /// Events further ahead of `received` are rejected.
    pub max_future: Duration,
    /// Longer events are rejected.
    pub max_event_bytes: usize,
    /// How often one range is tried, with a growing wait between.
    pub tries: u32,
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Its text.
    Text(Vec<u8>),
    /// Nothing on it.
    Blank,
    /// It has so many bytes, too many to be kept.
    TooLong(u64),
}

/// One line that did not become a row.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Refused {
    /// Line number from 1.
    pub line: u64,
    /// Stable code, as the sidecar's or that of a dead letter.
    pub code: String,
    /// The field at fault, when one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// One sentence.
    pub message: String,
}

/// What a load came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Loaded {
    /// Lines with something on them.
    pub lines: u64,
    /// Rows that this load has added.
    pub added: u64,
    /// Rows that were there from an earlier one.
    pub there: u64,
    /// Lines that became none.
    pub rejected: u64,
}

/// Why a load ended before its file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read on.
    #[error("the file cannot be read behind line {0}: {1}")]
    Read(u64, #[source] io::Error),
    /// ClickHouse does not take a range.
    #[error("ClickHouse does not take lines {0} to {1}: {2}; the same command goes on from there")]
    Write(u64, u64, #[source] SinkError),
}

/// The name of a file's log: a hash of its bytes, unpacked. Errors: the reader's.
pub fn log_name(mut file: impl io::Read) -> io::Result<String> {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(format!("file-{:016x}", hash.digest())),
            Ok(n) => hash.update(piece.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Loads all lines that `next` gives, priced by `catalogue`; `refused` hears of each that does not
/// become a row.
///
/// Errors: [`LoadError`]; what was written until then stays, and is found by the next load.
pub async fn load(
    sink: &mut StatisticsSink,
    options: &LoadOptions,
    catalogue: &Snapshot,
    mut next: impl FnMut() -> io::Result<Option<Line>>,
    mut refused: impl FnMut(Refused),
) -> Result<Loaded, LoadError> {
    let mut loaded = Loaded::default();
    let mut range = Range { from: 0, to: 0 };
    let (mut records, mut frame) = (Records::new(), Vec::new());
    let first = log_seed(&options.log);
    loop {
        let line = next().map_err(|e| LoadError::Read(range.to, e))?;
        let last = line.is_none();
        if let Some(line) = line {
            let number = range.to + 1;
            loaded.lines += u64::from(line != Line::Blank);
            frame.clear();
            match admit(&line, options, first ^ number, &mut frame) {
                Ok(true) => records.push(range.to, options.received, &frame),
                Ok(false) => {}
                Err(why) => {
                    loaded.rejected += 1;
                    refused(Refused { line: number, ..why });
                }
            }
            range.to = number;
        }
        let full = range.len() >= options.rows as u64 || records.bytes() >= options.bytes;
        if (full || last) && !range.is_empty() {
            let mut bad = Vec::new();
            let (added, there) = write(sink, options, range, &records, catalogue, &mut bad)
                .await
                .map_err(|e| LoadError::Write(range.from + 1, range.to, e))?;
            loaded.added += added;
            loaded.there += there;
            loaded.rejected += bad.len() as u64;
            bad.into_iter().map(of_poison).for_each(&mut refused);
            records.clear();
            range = Range { from: range.to, to: range.to };
        }
        if last {
            return Ok(loaded);
        }
    }
}

fn log_seed(log: &LogId) -> u64 {
    xxhash_rust::xxh3::xxh3_64(log.name.as_bytes())
}

/// Whether the line is an event; its frame is in `frame` then. The id of an event without one is a
/// function of file and line.
fn admit(line: &Line, options: &LoadOptions, seed: u64, frame: &mut Vec<u8>) -> Result<bool, Refused> {
    let text = match line {
        Line::Blank => return Ok(false),
        Line::TooLong(bytes) => {
            let message = format!("the line has {bytes} bytes, at most {} are taken", options.max_event_bytes);
            return Err(Refused { line: 0, code: "line_too_long".to_owned(), field: None, message });
        }
        Line::Text(text) => text,
    };
    let defaults = Defaults {
        received: options.received,
        server: &options.server,
        max_future: options.max_future,
        max_event_bytes: options.max_event_bytes,
    };
    let refused = |r: Rejection| Refused {
        line: 0,
        code: r.code.name().to_owned(),
        field: r.field.map(|f| f.to_string()),
        message: r.message,
    };
    event::admit(text, &defaults, &mut IdSource::seeded(seed), frame).map(|_| true).map_err(refused)
}

fn of_poison(poison: Poison) -> Refused {
    let Poison { offset, code, field, message, .. } = poison;
    Refused { line: offset + 1, code: code.name().to_owned(), field, message }
}

/// Adds what the table lacks of a range: rows added, and rows that were there.
async fn write(
    sink: &mut StatisticsSink,
    options: &LoadOptions,
    range: Range,
    records: &Records,
    catalogue: &Snapshot,
    bad: &mut Vec<Poison>,
) -> Result<(u64, u64), SinkError> {
    let log = &options.log;
    sink.resume(log, range, options.shard);
    let mut batch = sink.prepare(log, range, records, catalogue, bad);
    batch.span = None;
    let mut wait = Duration::from_millis(200);
    let mut tries = 1;
    let mut there = None;
    loop {
        let result = match sink.held(log, range, &batch).await {
            Ok(held) => {
                let rows = batch.rows() as u64;
                let first = *there.get_or_insert(match &held {
                    Held::Nothing => 0,
                    Held::All => rows,
                    Held::Some(offsets) => {
                        batch.offsets.iter().filter(|o| offsets.binary_search(o).is_ok()).count() as u64
                    }
                });
                sink.write(log, range, &batch, &held).await.map(|()| (rows - first, first))
            }
            Err(error) => Err(error),
        };
        match result {
            Err(SinkError::Retry(reason) | SinkError::Unknown(reason)) if tries < options.tries => {
                tracing::warn!(%range, reason, ?wait, "will retry");
                tokio::time::sleep(wait).await;
                (wait, tries) = ((wait * 2).min(Duration::from_secs(10)), tries + 1);
            }
            other => return other,
        }
    }
}
