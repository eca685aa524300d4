//! `penstock ingest`: a file of events to a sidecar, every line accounted for.

use crate::args::SidecarArgs;
use crate::exit::Verdict;
use crate::output::{self, StdoutClosed};
use crate::panel_api::{base_url, wait_until_ready};
use crate::progress;
use anyhow::Context;
use clap::Args;
use penstock_simulator::ingest::{IngestOptions, IngestReport, Progress, RejectedLine, Source, ingest};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(
    after_help = "Example: penstock ingest events.ndjson.gz\n         zcat old/*.gz | penstock ingest - --to http://127.0.0.1:7070\n\nExit codes: 0 all accepted, 3 some rejected (each listed with its line), 1 failed."
)]
pub struct IngestArgs {
    /// NDJSON file, plain or packed with gzip or zstd; - for the standard input
    file: PathBuf,
    #[command(flatten)]
    sidecar: SidecarArgs,
    /// Events in one request
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    batch: u32,
    /// Requests under way at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,
    /// First part of each Idempotency-Key; the prefix of a load that was cut off continues it
    /// without doubles (same file, same --batch, within the sidecar's window of 10 minutes)
    #[arg(long, value_name = "TEXT")]
    key_prefix: Option<String>,
    /// Longest wait for the sidecar to become ready
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    ready_timeout: Duration,
    /// Print one JSON document: rejected lines and counts
    #[arg(long)]
    json: bool,
}

pub async fn run(args: IngestArgs) -> anyhow::Result<Verdict> {
    let source = Source::from_arg(&args.file);
    if let Source::File(path) = &source {
        // Said at once, not after waiting for a sidecar.
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    let base = base_url(&args.sidecar.to, "--to", "http://127.0.0.1:7070")?;
    wait_until_ready(&reqwest::Client::new(), &base, "the sidecar", args.ready_timeout).await?;

    let mut options = IngestOptions::new(args.sidecar.post_options());
    options.batch_events = args.batch as usize;
    options.connections = args.connections as usize;
    if let Some(prefix) = &args.key_prefix {
        options.key_prefix.clone_from(prefix);
    }
    let counters = Arc::new(Progress::default());
    let mut listing = Listing { json: args.json, started: false, unread: false };
    let length = source.size();
    let work = ingest(source, &options, &counters, |line| listing.rejected(line));
    let (report, outcome) = progress::during(work, length, || message(&counters)).await;
    listing.end(&report, outcome.is_ok())?;
    outcome.with_context(|| {
        format!(
            "{} events were accepted before this; continue without doubles with --key-prefix {}",
            report.accepted, options.key_prefix
        )
    })?;
    Ok(if report.rejected > 0 { Verdict::SomeRejected } else { Verdict::Good })
}

fn message(counters: &Progress) -> (u64, String) {
    let of = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
    let mut text = format!("{} accepted, {} rejected", of(&counters.accepted), of(&counters.rejected));
    if of(&counters.retries) > 0 {
        text = format!("{text}, {} requests repeated", of(&counters.retries));
    }
    (of(&counters.bytes), text)
}

/// Rejected lines as they come, so that a file full of them needs no memory.
struct Listing {
    json: bool,
    started: bool,
    /// Nobody reads the list any more (`| head`); the load goes on.
    unread: bool,
}

impl Listing {
    fn rejected(&mut self, line: &RejectedLine) -> io::Result<()> {
        let text = if self.json {
            let before = if self.started { "," } else { "{\"rejected_lines\":[" };
            format!("{before}\n  {}", serde_json::to_string(line)?)
        } else {
            let field = line.field.as_deref().map(|f| format!(" ({f})")).unwrap_or_default();
            format!("line {}: {}{field}: {}\n", line.line, line.code, line.message)
        };
        self.started = true;
        if self.unread {
            return Ok(());
        }
        match output::write(format_args!("{text}")) {
            Err(e) if e.is::<StdoutClosed>() => self.unread = true,
            outcome => outcome.map_err(io::Error::other)?,
        }
        Ok(())
    }

    fn end(&self, report: &IngestReport, complete: bool) -> anyhow::Result<()> {
        let IngestReport { accepted, rejected, retries } = report;
        if self.json {
            let before = if self.started { "\n" } else { "{\"rejected_lines\":[" };
            return output::line(format_args!(
                "{before}],\"accepted\":{accepted},\"rejected\":{rejected},\"retries\":{retries},\"complete\":{complete}}}"
            ));
        }
        output::line(format_args!("accepted {accepted}, rejected {rejected}"))
    }
}
