//! Reads the source in a thread of its own and cuts it into batches.
//!
//! The queue between reader and network is bounded, so a slow server slows the reading and
//! memory stays flat on files of any size.

use super::lines::{Found, Lines};
use super::source::Source;
use super::{IngestOptions, Progress};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc;

/// Lines that travel in one request.
pub(super) struct Batch {
    /// Number of the batch from 0, a part of its `Idempotency-Key`.
    pub sequence: u64,
    /// NDJSON.
    pub body: Bytes,
    /// Line number in the file and start in `body` of each event.
    pub lines: Vec<(u64, usize)>,
    /// Lines that are not sent: number and length in bytes.
    pub too_long: Vec<(u64, u64)>,
}

/// Starts the reader. The receiver gets batches in order, then perhaps the error that ended them.
pub(super) fn start(
    source: Source,
    options: &IngestOptions,
    progress: Arc<Progress>,
) -> io::Result<mpsc::Receiver<io::Result<Batch>>> {
    let (to, from) = mpsc::channel(options.connections);
    let bounds = Bounds {
        events: options.batch_events.max(1),
        bytes: options.batch_bytes.max(1),
        line: options.max_line_bytes,
        // A pipe may stay quiet for long: what has come is sent, not held until a batch is full.
        eager: source == Source::Stdin,
    };
    // Not tokio's pool: a read of a quiet standard input would keep the runtime from ending.
    std::thread::Builder::new().name("ingest-reader".to_owned()).spawn(move || {
        if let Err(e) = read(&source, &bounds, &progress, &to) {
            // A closed receiver means that nobody wants to know.
            let _ = to.blocking_send(Err(e));
        }
    })?;
    Ok(from)
}

struct Bounds {
    events: usize,
    bytes: usize,
    line: usize,
    eager: bool,
}

fn read(
    source: &Source,
    bounds: &Bounds,
    progress: &Arc<Progress>,
    to: &mpsc::Sender<io::Result<Batch>>,
) -> io::Result<()> {
    let mut lines = Lines::new(source.open(progress)?, bounds.line);
    let mut cutter = Cutter { sequence: 0, body: Vec::new(), lines: Vec::new(), too_long: Vec::new() };
    loop {
        // What was read before an error is still sent.
        let found = lines.advance();
        let Ok(Some(found)) = found else {
            cutter.send(to);
            return found.map(|_| ());
        };
        progress.lines.fetch_add(1, Ordering::Relaxed);
        match found {
            Found::Blank => {}
            Found::TooLong(bytes) => cutter.too_long.push((lines.number(), bytes)),
            Found::Line => {
                let over = cutter.body.len() + lines.line().len() >= bounds.bytes;
                if over && !cutter.lines.is_empty() && !cutter.send(to) {
                    return Ok(());
                }
                cutter.push(lines.number(), lines.line());
            }
        }
        let full = cutter.lines.len() + cutter.too_long.len() >= bounds.events;
        if (full || (bounds.eager && lines.drained())) && !cutter.send(to) {
            return Ok(());
        }
    }
}

struct Cutter {
    sequence: u64,
    body: Vec<u8>,
    lines: Vec<(u64, usize)>,
    too_long: Vec<(u64, u64)>,
}

impl Cutter {
    fn push(&mut self, number: u64, line: &[u8]) {
        self.lines.push((number, self.body.len()));
        self.body.extend_from_slice(line);
        self.body.push(b'\n');
    }

    /// Hands over what there is; `false` when nobody takes batches any more.
    fn send(&mut self, to: &mpsc::Sender<io::Result<Batch>>) -> bool {
        if self.lines.is_empty() && self.too_long.is_empty() {
            return true;
        }
        let batch = Batch {
            sequence: self.sequence,
            body: Bytes::from(std::mem::take(&mut self.body)),
            lines: std::mem::take(&mut self.lines),
            too_long: std::mem::take(&mut self.too_long),
        };
        self.sequence += 1;
        to.blocking_send(Ok(batch)).is_ok()
    }
}
