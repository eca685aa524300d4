//! What feeds ClickHouse: the local engine, or the server that is configured.

use super::Maker;
use anyhow::Context;
use futures::FutureExt;
use penstock::settings::{Settings, StatisticsSettings};
use penstock::telemetry::{SharedRegistry, StatisticsMetrics};
use penstock::time::Clock;
use penstock_consumers::statistics::{Pace, StatisticsSink, Target};
use penstock_engine::{EngineState, Supervisor, WRITER};
use penstock_panel::ClickHouse;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Where statistics are written and asked.
#[derive(Clone)]
pub enum Server {
    /// The engine of this process, as soon as it serves.
    Local { state: watch::Receiver<EngineState>, secret: Arc<str>, listen: String },
    /// A ClickHouse elsewhere.
    Remote(Target),
}

impl Server {
    /// The engine of this process.
    pub fn local(engine: &Supervisor, settings: &Settings) -> Server {
        let listen = format!("http://{}", settings.engine.listen);
        Server::Local { state: engine.state(), secret: engine.secret().into(), listen }
    }

    /// The server that is configured, if one is. Errors: its password's variable is not set.
    pub fn configured(settings: &StatisticsSettings) -> anyhow::Result<Option<Server>> {
        let Some(url) = settings.url.clone() else { return Ok(None) };
        let password = match &settings.password_env {
            None => None,
            Some(name) => Some(std::env::var(name).with_context(|| {
                format!("statistics.password_env names {name}, which is not set in the environment")
            })?),
        };
        Ok(Some(Server::Remote(Target { url, user: settings.user.clone(), password })))
    }

    /// Who may write; waits until there is somebody to write to.
    ///
    /// Errors: one sentence, when `stop` comes first.
    async fn target(&self, stop: CancellationToken) -> Result<Target, String> {
        let (state, secret) = match self {
            Server::Remote(target) => return Ok(target.clone()),
            Server::Local { state, secret, .. } => (state, secret),
        };
        let mut state = state.clone();
        let serves = async {
            let seen = state.wait_for(|s| matches!(s, EngineState::Ready { .. } | EngineState::Stopped)).await;
            seen.map(|s| s.clone()).unwrap_or(EngineState::Stopped)
        };
        let seen = tokio::select! {
            seen = serves => seen,
            () = stop.cancelled() => EngineState::Stopped,
        };
        match seen {
            EngineState::Ready { url, .. } => {
                Ok(Target { url, user: Some(WRITER.to_owned()), password: Some(secret.to_string()) })
            }
            _ => Err("the ClickHouse engine was stopped".to_owned()),
        }
    }

    /// How the panel reads.
    pub fn reader(&self, settings: &StatisticsSettings) -> ClickHouse {
        let database = settings.database.clone();
        match self {
            Server::Local { listen, .. } => ClickHouse { url: listen.clone(), user: None, password: None, database },
            Server::Remote(Target { url, user, password }) => {
                ClickHouse { url: url.clone(), user: user.clone(), password: password.clone(), database }
            }
        }
    }
}

/// Makes the sinks that write to `server`. The limits of their ranges are
/// [`limits`](penstock_consumers::statistics::limits).
pub fn sinks(
    server: &Server,
    settings: &StatisticsSettings,
    clock: &Arc<dyn Clock>,
    registry: &SharedRegistry,
) -> impl Maker<StatisticsSink> + use<> {
    let metrics = registry.with(StatisticsMetrics::register);
    let (pace, clock) = (Pace::new(settings.max_inserts_per_second), clock.clone());
    let (server, wanted) = (server.clone(), settings.clone());
    move |stop| {
        let (server, wanted) = (server.clone(), wanted.clone());
        let (pace, clock, metrics) = (pace.clone(), clock.clone(), metrics.clone());
        async move {
            let target = server.target(stop).await?;
            StatisticsSink::new(&target, &wanted, pace, clock, metrics).map_err(|e| e.to_string())
        }
        .boxed_local()
    }
}
