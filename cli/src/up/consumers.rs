//! Everything behind the spool: engine, ledger, pipelines, dead letters, timers, panel.

use super::engine;
use super::intake::Intake;
use super::pipelines::{self, Common};
use super::replay::SpoolReplay;
use super::spools::Spools;
use super::timers;
use crate::parts::access;
use crate::parts::archive;
use crate::parts::data_dir::DataDir;
use crate::parts::ledger::Books;
use crate::parts::spools::EventsView;
use crate::parts::statistics::{self, Server};
use crate::parts::views::{ArchiveView, DeadView};
use anyhow::Context;
use futures::future::join_all;
use penstock::actors::Supervisor;
use penstock::log::Log as _;
use penstock::log::spool::Spool;
use penstock::pipeline::PipelineHandle;
use penstock::settings::Settings;
use penstock::telemetry::{PipelineMetrics, SharedRegistry};
use penstock::time::Clock;
use penstock_consumers::archive::ArchiveSink;
use penstock_consumers::balances::SpoolStateLog;
use penstock_consumers::balances::ledger::sqlite::SqliteLedger;
use penstock_consumers::dead::DeadLetters;
use penstock_consumers::statistics::limits;
use penstock_panel::access::FirstAdmin;
use penstock_panel::feed::{Feed, Feeding};
use penstock_panel::{Live, Panel, PanelConfig, Running};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Where one reaches what the consumers feed.
pub struct Addresses {
    pub panel: SocketAddr,
    pub clickhouse: String,
    /// To be told once.
    pub first_admin: Option<FirstAdmin>,
}

/// What of it runs; a start that fails midway leaves the parts that have to be stopped.
#[derive(Default)]
pub struct Consumers {
    engine: Option<penstock_engine::Supervisor>,
    ledger: Option<SqliteLedger>,
    supervisor: Option<Supervisor>,
    pipelines: Vec<PipelineHandle>,
    panel: Option<(Running, CancellationToken)>,
}

/// After the pipelines: what publishes their effects.
const PUBLISHERS: u8 = 1;
/// Last: what tidies.
const TIMERS: u8 = 2;

/// Longest time for what is in the spool to be written at the end; what is left is there at the
/// next start.
const LAST_FLUSH: Duration = Duration::from_secs(10);
/// Longest time for all children to end after that.
const ENDING: Duration = Duration::from_secs(15);

impl Consumers {
    /// Starts all of it and waits until it is ready.
    ///
    /// Errors: one sentence that names the part.
    pub async fn start(
        &mut self,
        dir: &DataDir,
        settings: &Settings,
        spools: &Arc<Spools>,
        intake: &Intake,
        clock: &Arc<dyn Clock>,
        registry: &SharedRegistry,
    ) -> anyhow::Result<Addresses> {
        // The engine takes longest, so it begins first.
        let engine_is_new = !dir.engine().join("store").exists(); // the engine's own folder of tables
        let server = match Server::configured(&settings.statistics)? {
            Some(server) => server,
            None => Server::local(self.engine.insert(engine::start(dir, &settings.engine, registry)?), settings),
        };
        let clickhouse = server.reader(&settings.statistics);
        let path = dir.ledger();
        let ledger = SqliteLedger::open(&path, clock.clone())
            .await
            .with_context(|| format!("the ledger {} cannot be opened", path.display()))?;
        self.ledger = Some(ledger.clone());
        let books = Books::new(ledger, &settings.balances, clock, registry);
        let dead = DeadLetters::open(spools.dead.clone(), clock.clone()).await?;
        let supervisor = Supervisor::start(settings.pipeline.clone(), clock.now().0.unsigned_abs());
        self.supervisor = Some(supervisor.clone());
        let common = Common {
            events: spools.events.clone(),
            dead: dead.clone(),
            settings: settings.pipeline.clone(),
            clock: clock.clone(),
            metrics: registry.with(PipelineMetrics::register),
            supervisor: supervisor.clone(),
        };

        let store = archive::open(&dir.archive(), Some(common.events.log_name()), &settings.archive, registry).await?;
        let files = archive::sinks(store.clone(), &settings.archive);
        self.pipelines.extend(common.add("archive", ArchiveSink::limits(&settings.archive), None, files).await?);

        let (snapshots, feed) = books.feed().await?;
        let charging = common.add("balances", books.limits(), Some(snapshots.clone()), books.sinks());
        self.pipelines.extend(charging.await?);
        let rows = statistics::sinks(&server, &settings.statistics, clock, registry);
        let counting = common.add("statistics", limits(&settings.statistics), Some(snapshots), rows);
        self.pipelines.extend(counting.await?);
        let (states, kpis) = (spools.campaign_state.clone(), spools.campaign_kpis.clone());
        let writer = |spool: &Spool| spool.writer(0).map(SpoolStateLog::new).map_err(|e| e.to_string());
        let publisher = books.publisher(move || Ok((writer(&states)?, writer(&kpis)?)));
        supervisor.add(publisher.stage(PUBLISHERS)).await?;
        for child in [feed, books.keeper(), timers::spools(spools.clone())] {
            supervisor.add(child.stage(TIMERS)).await?;
        }

        let first = access::prepare(&books.ledger, &settings.panel, Some(&dir.panel_token())).await?;
        let replay = SpoolReplay { events: spools.events.clone(), inserter: intake.inserter() };
        let shutdown = CancellationToken::new();
        let feed = live_feed(spools, &shutdown)?;
        let panel = Panel::start(PanelConfig {
            settings: settings.panel.clone(),
            clickhouse: clickhouse.clone(),
            ledger: books.ledger,
            known_lead: settings.balances.known_lead,
            live: Arc::new(Live::new(self.pipelines.clone(), Some(Arc::new(EventsView(spools.events.clone()))))),
            archive: Arc::new(ArchiveView(store)),
            dead: Arc::new(DeadView::new(dead, replay, clock.clone())),
            feed,
            roles: vec![intake.probe()],
            registry: registry.clone(),
            clock: clock.clone(),
            shutdown: shutdown.clone(),
        })
        .with_context(|| format!("the panel cannot listen on {}", settings.panel.listen))?;
        let address = panel.address;
        self.panel = Some((panel, shutdown));

        if let Some(engine) = &self.engine
            && let Err(error) = engine::ready(engine, &settings.engine).await
        {
            // On a new folder it is somebody's mistake, to be mended before anything is relied on.
            // Where it has worked before, intake, balances and stops must not go down with it: its
            // supervisor goes on trying, and the statistics wait in the spool.
            if engine_is_new {
                return Err(error);
            }
            tracing::error!(%error, "going on without the ClickHouse engine; statistics wait in the spool");
        }
        Ok(Addresses { panel: address, clickhouse: clickhouse.url, first_admin: first })
    }

    /// Stops all of it: a last flush when it had all come up, the panel, the children by their
    /// stages, the engine.
    pub async fn stop(self, spools: &Spools, flushing: bool) {
        let Consumers { engine, ledger, supervisor, pipelines, panel } = self;
        if flushing {
            flush(&pipelines, spools).await;
        }
        if let Some((panel, shutdown)) = panel {
            shutdown.cancel();
            if let Err(error) = panel.finished().await {
                tracing::warn!(%error, "the panel ended badly");
            }
        }
        if let Some(supervisor) = supervisor {
            let report = supervisor.stop(ENDING).await;
            if !report.cut.is_empty() || !report.stuck.is_empty() {
                tracing::warn!(cut = ?report.cut, stuck = ?report.stuck, "parts that did not end in time; the next start mends what they had begun");
            }
        }
        if let Some(engine) = engine {
            engine.stop().await;
        }
        if let Some(ledger) = ledger {
            ledger.close().await;
        }
    }
}

/// Follows the logs of states and figures from where they end now.
fn live_feed(spools: &Spools, stop: &CancellationToken) -> anyhow::Result<Feed> {
    let feed = Feed::default();
    for (feeding, spool) in [(Feeding::States, &spools.campaign_state), (Feeding::Kpis, &spools.campaign_kpis)] {
        let log = spool.viewer(0).with_context(|| format!("{feeding:?} cannot be followed"))?;
        let end = log.end();
        actix_rt::spawn(feed.clone().follow(feeding, log, end, stop.clone()));
    }
    Ok(feed)
}

/// Has every pipeline write what is in the spool, as far as [`LAST_FLUSH`] allows.
async fn flush(pipelines: &[PipelineHandle], spools: &Spools) {
    if let Err(error) = spools.events.sync_now() {
        tracing::error!(%error, "the events' last sync failed");
    }
    let ends = spools.events.usage().partitions;
    let waits = pipelines.iter().map(|pipeline| {
        let partition = pipeline.status().partition;
        let end = ends.iter().find(|p| p.partition == partition).map_or(0, |p| p.synced);
        pipeline.flush();
        async move { pipeline.passed(end, LAST_FLUSH).await }
    });
    let behind = join_all(waits).await.into_iter().filter(|passed| !passed).count();
    if behind > 0 {
        tracing::warn!(pipelines = behind, "stopping with events in the spool; the next start goes on with them");
    }
}

const _: () = assert!(pipelines::PIPELINES < PUBLISHERS && PUBLISHERS < TIMERS);
