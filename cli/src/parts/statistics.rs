//! What feeds ClickHouse: the local engine, or the server that is configured.

use super::Maker;
use futures::FutureExt;
use penstock::settings::{Settings, StatisticsSettings};
use penstock::telemetry::{SharedRegistry, StatisticsMetrics};
use penstock::time::Clock;
use penstock_consumers::statistics::{Pace, Servers, StatisticsSink, Target};
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
    /// A ClickHouse elsewhere, perhaps of several servers.
    Remote(Servers),
}

impl Server {
    /// The engine of this process.
    pub fn local(engine: &Supervisor, settings: &Settings) -> Server {
        let listen = format!("http://{}", settings.engine.listen);
        Server::Local { state: engine.state(), secret: engine.secret().into(), listen }
    }

    /// The servers that are configured, if any are. Errors: the password or a file cannot be read.
    pub fn configured(settings: &StatisticsSettings) -> anyhow::Result<Option<Server>> {
        Ok(Servers::configured(settings)?.map(Server::Remote))
    }

    /// Who may write; waits until there is somebody to write to.
    ///
    /// Errors: one sentence, when `stop` comes first.
    async fn servers(&self, stop: CancellationToken) -> Result<Servers, String> {
        let (state, secret) = match self {
            Server::Remote(servers) => return Ok(servers.clone()),
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
                let (user, password) = (Some(WRITER.to_owned()), Some(secret.to_string()));
                Ok(Target { url, user, password, ..Target::default() }.into())
            }
            _ => Err("the ClickHouse engine was stopped".to_owned()),
        }
    }

    /// How the panel reads.
    pub fn reader(&self, settings: &StatisticsSettings) -> ClickHouse {
        let database = settings.database.clone();
        match self {
            Server::Local { listen, .. } => ClickHouse { url: listen.clone(), user: None, password: None, database },
            Server::Remote(servers) => {
                let Target { url, user, password, .. } = servers.all().next().cloned().unwrap_or_default();
                ClickHouse { url, user, password, database }
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
            let servers = server.servers(stop).await?;
            StatisticsSink::new(servers, &wanted, pace, clock, metrics).map_err(|e| e.to_string())
        }
        .boxed_local()
    }
}
