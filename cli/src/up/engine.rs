//! The ClickHouse engine as a child process of this one.

use crate::parts::data_dir::DataDir;
use anyhow::{Context, bail};
use penstock::settings::EngineSettings;
use penstock::telemetry::{EngineSupervisorMetrics, SharedRegistry};
use penstock_engine::{EngineState, Program, Supervisor};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Starts the engine's process; it becomes ready later.
///
/// Errors: this program's own path cannot be told.
pub fn start(dir: &DataDir, settings: &EngineSettings, registry: &SharedRegistry) -> anyhow::Result<Supervisor> {
    let arguments = [
        "engine".into(),
        "--data".into(),
        dir.engine().into_os_string(),
        "--settings".into(),
        serde_json::to_string(settings)?.into(),
    ];
    let program = Program::current(arguments).context("cannot find this program to start the ClickHouse engine")?;
    let metrics = registry.with(EngineSupervisorMetrics::register);
    Ok(Supervisor::start(program, settings, metrics, CancellationToken::new()))
}

/// Over what the child allows itself.
const SLACK: Duration = Duration::from_secs(10);

/// Waits for the engine's first readiness. Later deaths are mended by its supervisor; one that
/// does not even start is somebody's mistake, and said so.
///
/// Errors: why it does not start.
pub async fn ready(engine: &Supervisor, settings: &EngineSettings) -> anyhow::Result<()> {
    let mut state = engine.state();
    let decided = state.wait_for(|s| !matches!(s, EngineState::Starting(_)));
    match timeout(settings.start_timeout + SLACK, decided).await {
        Ok(Ok(state)) => match &*state {
            EngineState::Restarting { why } => bail!("the ClickHouse engine does not start: {why}"),
            EngineState::Stopped => bail!("the ClickHouse engine was stopped while it started"),
            EngineState::Ready { .. } | EngineState::Starting(_) => Ok(()),
        },
        Ok(Err(_)) => bail!("the ClickHouse engine's supervisor is gone"),
        Err(_) => bail!("the ClickHouse engine is not ready after {:?}", settings.start_timeout + SLACK),
    }
}
