//! `penstock simulate`: the publisher simulator against a running system.

use crate::args::{PanelArgs, SidecarArgs};
use crate::exit::Verdict;
use crate::output;
use crate::panel_api::{Panel, base_url, wait_until_ready};
use crate::progress;
use anyhow::Context;
use clap::Args;
use penstock::ledger::Catalogue;
use penstock::time::SystemClock;
use penstock_simulator::simulate::{Counts, Mix, Progress, SimulateOptions, SimulateReport, TYPES, simulate};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
#[command(
    after_help = "Example: penstock simulate --rate 5000 --duration 30s\n\nThe events name tags of the catalogue that holds in the running system, or of --catalogue FILE.\nExit codes: 0 all acknowledged, 3 some rejected, 1 some unanswered."
)]
pub struct SimulateArgs {
    /// Events per second
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: u64,
    /// How long
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    duration: Duration,
    #[command(flatten)]
    sidecar: SidecarArgs,
    #[command(flatten)]
    panel: PanelArgs,
    /// Take the tags from this file instead of the running system
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// Most events in one request
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    batch: u32,
    /// Requests under way at once
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// The same seed makes the same events, but for their times
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Impressions of one visit, on average
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    impressions_per_visit: u32,
    /// One click comes on so many impressions; 0 = no clicks
    #[arg(long, default_value_t = 1000)]
    impressions_per_click: u32,
    /// One conversion comes on so many clicks; 0 = no conversions
    #[arg(long, default_value_t = 50)]
    clicks_per_conversion: u32,
    /// Server name in the events
    #[arg(long, default_value = "simulator-1")]
    server: String,
    /// Print the account as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: SimulateArgs) -> anyhow::Result<Verdict> {
    let base = base_url(&args.sidecar.to, "--to", "http://127.0.0.1:7070")?;
    let tags = tags(&args).await?;
    wait_until_ready(&reqwest::Client::new(), &base, "the sidecar", args.panel.ready_timeout).await?;
    let options = options(&args);
    let (counters, stop) = (Arc::new(Progress::default()), CancellationToken::new());
    let interrupt = stop.clone();
    tokio::spawn(async move {
        // The first Ctrl-C ends the making of events; their answers and the account still come.
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupt.cancel();
        }
    });
    let work = simulate(tags, &options, Arc::new(SystemClock), &counters, stop);
    let (report, outcome) = progress::during(work, None, || (0, message(&counters))).await;
    if args.json {
        output::json(&as_json(&report))?
    } else {
        print(&report)?
    }
    outcome?;
    Ok(if report.total().rejected > 0 { Verdict::SomeRejected } else { Verdict::Good })
}

async fn tags(args: &SimulateArgs) -> anyhow::Result<Vec<String>> {
    let bytes = match &args.catalogue {
        Some(path) => std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => Panel::ready(&args.panel).await?.get_bytes("/api/v1/catalogue").await?.to_vec(),
    };
    let catalogue: Catalogue = serde_json::from_slice(&bytes).context("that is not a catalogue")?;
    Ok(catalogue.tags.into_keys().collect())
}

fn options(args: &SimulateArgs) -> SimulateOptions {
    let mut options = SimulateOptions::new(args.sidecar.post_options());
    options.rate = args.rate;
    options.duration = args.duration;
    options.batch = args.batch as usize;
    options.connections = args.connections as usize;
    options.seed = args.seed;
    options.server.clone_from(&args.server);
    options.mix = Mix {
        impressions_per_visit: args.impressions_per_visit,
        impressions_per_click: args.impressions_per_click,
        clicks_per_conversion: args.clicks_per_conversion,
    };
    options
}

fn message(counters: &Progress) -> String {
    let sum = |of: &[AtomicU64; 4]| of.iter().map(|n| n.load(Ordering::Relaxed)).sum::<u64>();
    let by_type: Vec<String> =
        TYPES.iter().zip(&counters.acknowledged).map(|(t, n)| format!("{t} {}", n.load(Ordering::Relaxed))).collect();
    format!(
        "sent {}, acknowledged {} ({}), rejected {}, repeated requests {}",
        sum(&counters.sent),
        sum(&counters.acknowledged),
        by_type.join(", "),
        sum(&counters.rejected),
        counters.retries.load(Ordering::Relaxed)
    )
}

fn print(report: &SimulateReport) -> anyhow::Result<()> {
    let mut table = output::table(&["type", "sent", "acknowledged", "rejected", "unanswered"]);
    let row = |name: &str, c: Counts| {
        [
            name.to_owned(),
            c.sent.to_string(),
            c.acknowledged.to_string(),
            c.rejected.to_string(),
            c.unanswered.to_string(),
        ]
    };
    for (name, counts) in TYPES.iter().zip(report.by_type) {
        table.add_row(row(name, counts));
    }
    table.add_row(row("total", report.total()));
    output::line(table)?;
    let [median, p99, longest] = report.answer_us.map(Duration::from_micros);
    output::line(format_args!(
        "{} events/s acknowledged over {:.1?}; requests answered in {median:.1?} (median), {p99:.1?} (99 of 100), {longest:.1?} (longest); {} repeated",
        rate(report),
        report.elapsed,
        report.retries
    ))?;
    for example in &report.examples {
        output::line(format_args!("rejected, for example: {example}"))?;
    }
    Ok(())
}

/// Acknowledged events per second over the whole run.
fn rate(report: &SimulateReport) -> u128 {
    u128::from(report.total().acknowledged) * 1_000 / report.elapsed.as_millis().max(1)
}

fn as_json(report: &SimulateReport) -> serde_json::Value {
    let by_type: serde_json::Map<_, _> =
        TYPES.iter().zip(report.by_type).map(|(t, c)| ((*t).to_owned(), serde_json::json!(c))).collect();
    let [median, p99, longest] = report.answer_us;
    serde_json::json!({
        "by_type": by_type,
        "total": report.total(),
        "retries": report.retries,
        "elapsed_ms": u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
        "events_per_second": u64::try_from(rate(report)).unwrap_or(u64::MAX),
        "answer_us": {"median": median, "p99": p99, "max": longest},
        "rejected_examples": report.examples,
    })
}
