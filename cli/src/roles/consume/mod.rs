//! `penstock consume SINK`: one sink fed from Kafka, in a process of its own.
//!
//! The process serves `/readyz` from its first moment. What it writes to is then opened, and tried
//! again for as long as it is away; only with it there does the process join its consumer group,
//! so that partitions are not taken by somebody who cannot write.

mod archive;
mod balances;
mod statistics;

use super::args::{ConsumeArgs, SinkName};
use super::health::{self, Pipelines, Serving, Shown};
use super::process::{self, Role, Running};
use crate::exit::Verdict;
use penstock::actors::Supervisor;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Longest time for all children to end.
const ENDING: Duration = Duration::from_secs(15);

/// A consumer that runs.
struct Consumer {
    serving: Serving,
    supervisor: Supervisor,
    /// Opens what the sink writes to, then adds the pipelines.
    starting: JoinHandle<()>,
}

/// Runs the consumer that `args` names until a signal.
///
/// Errors: one sentence about the configuration or an address in use.
pub fn run(args: ConsumeArgs) -> anyhow::Result<Verdict> {
    let (sink, name) = (args.sink, args.sink.role());
    process::run(name, args.role, async move |role| Consumer::start(role, name, sink).await)
}

/// What a sink's wiring gets.
struct Feed {
    role: Role,
    supervisor: Supervisor,
    pipelines: Pipelines,
}

impl Consumer {
    async fn start(role: Role, name: &'static str, sink: SinkName) -> anyhow::Result<Consumer> {
        let configured = role.listen.or(role.settings.consume.listen);
        let listen = configured.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, port(sink))));
        let pipelines = Pipelines::default();
        let shown = Shown {
            role: name,
            board: role.board.clone(),
            pipelines: pipelines.clone(),
            registry: role.registry.clone(),
            clock: role.clock.clone(),
        };
        let serving = health::serve(listen, &role.settings.consume.allowed_hosts, shown)?;
        let supervisor = Supervisor::start(role.settings.pipeline.clone(), role.clock.now().0.unsigned_abs());
        role.board.waits("start", "what the sink writes to is being opened");
        let feed = Feed { role, supervisor: supervisor.clone(), pipelines };
        let starting = actix_rt::spawn(async move {
            let (board, stop) = (feed.role.board.clone(), feed.role.stop.clone());
            let started = match sink {
                SinkName::Statistics => statistics::start(feed).await,
                SinkName::Balances => balances::start(feed).await,
                SinkName::Archive => archive::start(feed).await,
            };
            match started {
                Ok(()) => board.has("start"),
                Err(_) if stop.is_cancelled() => {}
                Err(error) => board.waits("start", &format!("{error:#}; restart the process when that is mended")),
            }
        });
        Ok(Consumer { serving, supervisor, starting })
    }
}

/// One a sink, so that all can run on one machine without being told.
const fn port(sink: SinkName) -> u16 {
    match sink {
        SinkName::Statistics => 7071,
        SinkName::Balances => 7072,
        SinkName::Archive => 7073,
    }
}

impl Running for Consumer {
    fn address(&self) -> String {
        format!("http://{}", self.serving.address)
    }

    async fn stop(self) {
        // Its token is cancelled: whatever it waits for, it waits no longer.
        if let Err(error) = self.starting.await {
            tracing::error!(%error, "the start panicked");
        }
        let report = self.supervisor.stop(ENDING).await;
        if !report.cut.is_empty() || !report.stuck.is_empty() {
            tracing::warn!(cut = ?report.cut, stuck = ?report.stuck, "parts that did not end in time; whoever takes over mends what they had begun");
        }
        self.serving.stop().await;
    }
}
