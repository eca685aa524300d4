//! `penstock up`: everything on one machine, in one process (and the ClickHouse engine in a child).
//!
//! Intake starts first and waits for nobody; the consumers follow, and what came in meanwhile is in
//! the spool. It stops in the same order: intake, a last flush of the pipelines, what carries
//! their effects on, the engine. Each file of this folder wires one part.

mod consumers;
mod engine;
mod intake;
mod pipelines;
mod replay;
mod spools;
mod timers;

use crate::exit::Verdict;
use crate::output;
use crate::parts::access;
use crate::parts::data_dir::DataDir;
use crate::parts::signals::{self, Signals};
use anyhow::Context;
use clap::Args;
use consumers::Consumers;
use intake::Intake;
use penstock::settings::{AccessMode, Settings};
use penstock::telemetry::SharedRegistry;
use penstock::time::{Clock, SystemClock};
use spools::Spools;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Args)]
#[command(
    after_help = "Example: penstock up --data ./data\n\nPrints the addresses when everything is ready. Ctrl-C or SIGTERM drains and stops, a second one ends at once."
)]
pub struct UpArgs {
    /// Folder of all data, made when it is not there [default: ./data, or what the configuration says]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Configuration (TOML); without one the defaults hold, see `penstock check-config`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What is logged when `PENSTOCK_LOG` does not say: the HTTP server tells of each of its threads.
pub const UP_LOGS: &str = "info,actix_server=warn";

pub fn run(args: UpArgs) -> anyhow::Result<Verdict> {
    output::log_to_stderr(UP_LOGS);
    let mut settings = match &args.config {
        Some(file) => Settings::load(file).with_context(|| format!("{} cannot be used", file.display()))?,
        None => Settings::default(),
    };
    settings.data = args.data.or(settings.data);
    actix_rt::System::new().block_on(until_stopped(settings))?;
    Ok(Verdict::Good)
}

async fn until_stopped(settings: Settings) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let registry = SharedRegistry::new();
    let dir = DataDir::open(&settings.data_dir())?;
    let spools = Arc::new(Spools::open(&dir, &settings, &clock, &registry)?);
    pipelines::register_readers(&spools)?;
    let intake = Intake::start(&dir, &settings, &spools, &clock, &registry)?;

    let mut consumers = Consumers::default();
    let started = tokio::select! {
        started = consumers.start(&dir, &settings, &spools, &intake, &clock, &registry) => Some(started),
        signal = signals.next() => {
            tracing::info!(signal, "stopping before everything was ready");
            None
        }
    };
    if let Some(Ok(addresses)) = &started {
        if let Err(error) = output::line(ready(&dir, &settings, &intake, addresses)) {
            tracing::warn!(%error, "the addresses could not be printed");
        }
        let signal = signals.next().await;
        tracing::info!(signal, "draining; a second signal ends at once");
    }
    let impatient = actix_rt::spawn(signals::end_at_the_next(signals));
    intake.stop().await;
    consumers.stop(&spools, matches!(started, Some(Ok(_)))).await;
    // Closing syncs, which blocks; there is nothing left here that would be kept waiting.
    spools.close();
    impatient.abort();
    match started {
        Some(Err(error)) => Err(error),
        _ => {
            tracing::info!("stopped");
            Ok(())
        }
    }
}

/// What a person wants to know first.
fn ready(dir: &DataDir, settings: &Settings, intake: &Intake, consumers: &consumers::Addresses) -> String {
    let sidecar = intake.addresses();
    let socket = sidecar.unix.as_ref().map(|p| format!(" and {}", p.display())).unwrap_or_default();
    let who = match (settings.panel.access, settings.open_to_network) {
        (AccessMode::Open, false) => "Open without login: only programs on this machine reach these addresses.",
        (AccessMode::Open, true) => {
            "Sidecar and ClickHouse are open WITHOUT LOGIN on the addresses above, as open_to_network = true asks for; the panel is open to this machine."
        }
        (AccessMode::Login, false) => {
            "The panel asks for a login; sidecar and ClickHouse are open, to programs on this machine only."
        }
        (AccessMode::Login, true) => {
            "The panel asks for a login. Sidecar and ClickHouse are open WITHOUT LOGIN on the addresses above, as open_to_network = true asks for."
        }
    };
    let first = consumers.first_admin.as_ref().map(|a| format!("{}\n", access::first_login(a))).unwrap_or_default();
    format!(
        "penstock is ready\n  sidecar     http://{}{socket}\n  panel       http://{}\n  ClickHouse  {} (any query, no change)\n  data        {}\n{first}{who} Ctrl-C drains and stops.",
        sidecar.http,
        consumers.panel,
        consumers.clickhouse,
        dir.root().display(),
    )
}
