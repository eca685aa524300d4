//! `penstock consume SINK`: one sink fed from Kafka, in a process of its own.
//!
//! The process serves `/readyz` from its first moment. What it writes to is then opened, and tried
//! again for as long as it is away; only with it there does the process join its consumer group,
//! so that partitions are not taken by somebody who cannot write.

mod archive;
mod balances;
mod group;
mod statistics;

use super::args::{ConsumeArgs, SinkName};
use super::health::{self, Pipelines, Serving, Shown};
use super::process::{self, Role, Running};
use super::{board, ledger};
use crate::exit::Verdict;
use crate::parts::data_dir::DataDir;
use crate::parts::ledger::Books;
use penstock::actors::Supervisor;
use penstock::pricing::Snapshot;
use penstock::settings::Settings;
use penstock_consumers::balances::ledger::AnyLedger;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Pipelines stop first, then what publishes their effects, then what tidies.
const PUBLISHERS: u8 = 1;
const TIMERS: u8 = 2;
/// Longest time for all children to end.
const ENDING: Duration = Duration::from_secs(15);

/// A consumer that runs.
struct Consumer {
    serving: Serving,
    supervisor: Supervisor,
    /// Opens what the sink writes to, then adds the pipelines.
    starting: JoinHandle<()>,
    _dir: DataDir,
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

impl Feed {
    /// The ledger with what lives around it; waits for it. `None` when the process is to stop first.
    async fn books(&self) -> Option<Books<AnyLedger>> {
        let ledger = ledger::wait(&self.role).await?;
        Some(Books::new(ledger, &self.role.settings.balances, &self.role.clock, &self.role.registry))
    }

    /// Prices, kept fresh. `None` when the process is to stop before the ledger can be read.
    ///
    /// Errors: the supervisor takes no children any more.
    async fn catalogue(&self, books: &Books<AnyLedger>) -> anyhow::Result<Option<watch::Receiver<Arc<Snapshot>>>> {
        let fed = board::until(&self.role.board, "catalogue", &self.role.stop, async || books.feed().await);
        let Some((snapshots, feed)) = fed.await else { return Ok(None) };
        self.supervisor.add(feed.stage(TIMERS)).await?;
        Ok(Some(snapshots))
    }
}

/// What a configuration must say for a sink. Errors: one sentence.
fn check(sink: SinkName, settings: &Settings) -> anyhow::Result<()> {
    match sink {
        SinkName::Statistics => statistics::check(settings).and_then(|()| ledger::check(settings)),
        SinkName::Balances => ledger::check(settings),
        SinkName::Archive => Ok(()),
    }
}

impl Consumer {
    async fn start(role: Role, name: &'static str, sink: SinkName) -> anyhow::Result<Consumer> {
        check(sink, &role.settings)?;
        let dir = DataDir::open(&role.settings.data_dir())?;
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
        Ok(Consumer { serving, supervisor, starting, _dir: dir })
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
