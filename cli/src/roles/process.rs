//! The life of a role's process: settings, signals, start, the line that says where, drain, stop.

use super::args::RoleArgs;
use super::board::Board;
use crate::exit::{Verdict, WrongUsage};
use crate::output;
use crate::parts::signals::{self, Signals};
use anyhow::Context;
use penstock::settings::Settings;
use penstock::telemetry::{SharedRegistry, role};
use penstock::time::{Clock, SystemClock};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What every role starts from.
pub struct Role {
    pub settings: Settings,
    /// Where to listen instead of where the settings say.
    pub listen: Option<SocketAddr>,
    pub clock: Arc<dyn Clock>,
    pub registry: SharedRegistry,
    pub board: Board,
    /// Cancelled when it shall drain.
    pub stop: CancellationToken,
}

/// A role that runs.
pub trait Running {
    /// Where one reaches it, for the line on stdout: `http://…`.
    fn address(&self) -> String;
    /// Ends it: what is under way is finished within the deadlines of the settings.
    fn stop(self) -> impl Future<Output = ()>;
}

/// Runs a role until a signal. `start` returns as soon as the role answers on its address; what it
/// waits for then is on its board.
///
/// Errors: one sentence about the configuration, an address or a folder in use.
pub fn run<R: Running>(
    name: &str,
    args: RoleArgs,
    start: impl AsyncFnOnce(Role) -> anyhow::Result<R>,
) -> anyhow::Result<Verdict> {
    output::log_to_stderr(crate::up::UP_LOGS);
    let settings = settings(name, &args)?;
    actix_rt::System::new().block_on(until_stopped(name, settings, args.listen, start))?;
    Ok(Verdict::Good)
}

/// The configuration of a cluster. Errors: there is none, it cannot be used, it names no brokers.
fn settings(name: &str, args: &RoleArgs) -> anyhow::Result<Settings> {
    let Some(file) = &args.config else {
        let text = format!(
            "`penstock {name}` is one role of the cluster profile and needs its configuration: give --config FILE (config/cluster.toml explains every key); `penstock up` runs all roles on this machine"
        );
        return Err(WrongUsage(text).into());
    };
    let mut settings = Settings::load(file).with_context(|| format!("{} cannot be used", file.display()))?;
    if !settings.kafka.is_configured() {
        anyhow::bail!("{} names no kafka.brokers, which every role of the cluster profile needs", file.display());
    }
    // A secret that cannot be read would otherwise show only when it is first needed.
    penstock::kafka::client::config(&settings.kafka).with_context(|| format!("{} cannot be used", file.display()))?;
    settings.data = args.data.clone().or(settings.data);
    Ok(settings)
}

async fn until_stopped<R: Running>(
    name: &str,
    settings: Settings,
    listen: Option<SocketAddr>,
    start: impl AsyncFnOnce(Role) -> anyhow::Result<R>,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let parts = Role {
        settings,
        listen,
        clock: Arc::new(SystemClock),
        registry: SharedRegistry::new(),
        board: Board::default(),
        stop: stop.clone(),
    };
    let board = parts.board.clone();
    parts.registry.with(|registry| role::register(registry, move || board.reasons().is_empty()));
    let running = start(parts).await?;
    if let Err(error) = output::line(format_args!("penstock {name} listens on {}", running.address())) {
        tracing::warn!(%error, "the address could not be printed");
    }
    let signal = signals.next().await;
    tracing::info!(signal, "draining; a second signal ends at once");
    let impatient = actix_rt::spawn(signals::end_at_the_next(signals));
    stop.cancel();
    running.stop().await;
    impatient.abort();
    tracing::info!("stopped");
    Ok(())
}
