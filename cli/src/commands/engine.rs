//! `penstock engine` (hidden): the ClickHouse engine's own process, started by `penstock up`.

use crate::exit::Verdict;
use crate::output;
use anyhow::Context;
use clap::Args;
use penstock::settings::EngineSettings;
use penstock_engine::Parent;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub struct EngineArgs {
    /// Folder of the engine's tables
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The engine's settings as JSON: those of the parent, whatever its file says by now
    #[arg(long, value_name = "JSON")]
    pub settings: String,
}

pub fn run(args: &EngineArgs) -> anyhow::Result<Verdict> {
    output::log_to_stderr(crate::up::UP_LOGS);
    let settings: EngineSettings =
        serde_json::from_str(&args.settings).context("--settings is no engine's settings")?;
    actix_rt::System::new().block_on(async {
        // Ctrl-C in a terminal reaches this process too; the parent still has rows to write then,
        // and says itself when to stop.
        let _interrupt = signal(SignalKind::interrupt())?;
        let _terminate = signal(SignalKind::terminate())?;
        let ended = penstock_engine::run(&settings, &args.data, Parent::Pipe, CancellationToken::new()).await;
        Ok(match ended {
            Ok(()) => Verdict::Good,
            // The parent was told, and says it in its own words.
            Err(error) => {
                tracing::error!(%error, "the ClickHouse engine ended");
                Verdict::Failed
            }
        })
    })
}
