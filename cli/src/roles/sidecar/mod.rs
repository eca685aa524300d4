//! `penstock sidecar`: intake into the spool, and the spool forwarded to Kafka.
//!
//! Intake waits for nobody: brokers that are away fill the spool, and the ad server has its answer.

mod forward;

use super::process::{Role, Running};
use super::{dead, registry};
use crate::parts::data_dir::DataDir;
use crate::parts::spools;
use anyhow::Context;
pub use forward::FORWARDER;
use forward::Forwarding;
use futures::future::join_all;
use penstock::actors::{Child, Ended, Incarnation, Supervisor};
use penstock::kafka::Tail;
use penstock::log::spool::Spool;
use penstock::pipeline::PipelineHandle;
use penstock::telemetry::{ForwardMetrics, PipelineMetrics, SpoolMetrics};
use penstock_sidecar::SidecarConfig;
use penstock_sidecar::forward::Forwarder;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the spool is looked at for what everybody has read.
const TIDY: Duration = Duration::from_secs(5);
/// Longest time for what is in the spool to be forwarded at the end; what is left is there at the
/// next start.
const LAST_FLUSH: Duration = Duration::from_secs(10);
/// Longest time for all children to end after that.
const ENDING: Duration = Duration::from_secs(15);
/// The forwarder's pipelines stop before what tidies.
const PIPELINES: u8 = 0;
const TIMERS: u8 = 1;

/// A sidecar that runs.
pub struct Sidecar {
    running: penstock_sidecar::Running,
    supervisor: Supervisor,
    pipelines: Vec<PipelineHandle>,
    /// Ends what works in the background, after the pipelines.
    background: CancellationToken,
    events: Spool,
    _dir: DataDir,
}

impl Sidecar {
    /// Starts it. Errors: the data folder or the address is in use, or a setting cannot be used.
    pub async fn start(mut role: Role) -> anyhow::Result<Sidecar> {
        role.settings.sidecar.listen = role.listen.unwrap_or(role.settings.sidecar.listen);
        let dir = DataDir::open(&role.settings.data_dir())?;
        let spool_metrics = role.registry.with(SpoolMetrics::register);
        let events = spools::events(&dir, &role.settings, &role.clock, &spool_metrics)?;
        for partition in events.partitions() {
            // From the first event on, retention keeps what is not in Kafka.
            let reader = events.reader(FORWARDER, partition);
            reader.with_context(|| format!("the forwarder's position in partition {partition} cannot be kept"))?;
        }
        let background = CancellationToken::new();
        // What is read here fails at the start, not at the first event.
        let ids = registry::start(&role, dir.root())?;
        let forwarder = Forwarder::start(
            &role.settings.kafka,
            &role.settings.forward,
            dir.root().join("forward"),
            ids,
            role.registry.with(ForwardMetrics::register),
            background.clone(),
        )
        .context("the forwarder does not start")?;
        let running = penstock_sidecar::Sidecar::start(SidecarConfig {
            settings: role.settings.sidecar.clone(),
            intake: role.settings.intake.clone(),
            spool: events.clone(),
            clock: role.clock.clone(),
            forwards: true,
            stop_list: Some(Tail::new(&role.settings.kafka, &role.settings.kafka.state_topic, 0)),
            snapshot: Some(dir.stop_list()),
            registry: role.registry.clone(),
            shutdown: role.stop.clone(),
        })
        .context("the sidecar does not start")?;
        let supervisor = Supervisor::start(role.settings.pipeline.clone(), role.clock.now().0.unsigned_abs());
        let forwarding = Forwarding {
            forwarder,
            events: events.clone(),
            dead: dead::target(&role.settings.kafka, &role.clock).context("cannot write to Kafka")?,
            settings: role.settings.pipeline.clone(),
            clock: role.clock.clone(),
            metrics: role.registry.with(PipelineMetrics::register),
        };
        let pipelines = forwarding.add(&supervisor, PIPELINES).await?;
        supervisor.add(housekeeper(events.clone()).stage(TIMERS)).await?;
        Ok(Sidecar { running, supervisor, pipelines, background, events, _dir: dir })
    }

    /// Has what is in the spool forwarded, as far as [`LAST_FLUSH`] allows.
    async fn flush(&self) {
        if let Err(error) = self.events.sync_now() {
            tracing::error!(%error, "the spool's last sync failed");
        }
        let ends = self.events.usage().partitions;
        let waits = self.pipelines.iter().map(|pipeline| {
            let partition = pipeline.status().partition;
            let end = ends.iter().find(|p| p.partition == partition).map_or(0, |p| p.synced);
            pipeline.flush();
            async move { pipeline.passed(end, LAST_FLUSH).await }
        });
        if join_all(waits).await.contains(&false) {
            tracing::warn!("stopping with events in the spool; the next start forwards them");
        }
    }
}

impl Running for Sidecar {
    fn address(&self) -> String {
        let unix = self.running.addresses.unix.as_ref().map(|p| format!(" and {}", p.display())).unwrap_or_default();
        format!("http://{}{unix}", self.running.addresses.http)
    }

    async fn stop(mut self) {
        match (&mut self.running.handle).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the sidecar ended badly"),
            Err(error) => tracing::error!(%error, "the sidecar panicked while it ended"),
        }
        self.flush().await;
        let report = self.supervisor.stop(ENDING).await;
        if !report.cut.is_empty() || !report.stuck.is_empty() {
            tracing::warn!(cut = ?report.cut, stuck = ?report.stuck, "parts that did not end in time; the next start mends what they had begun");
        }
        self.background.cancel();
        if let Err(error) = self.events.close() {
            tracing::error!(%error, "the spool's last sync failed");
        }
    }
}

/// Removes from the spool what is in Kafka.
fn housekeeper(events: Spool) -> Child {
    Child::new("spool-housekeeper", move |life: Incarnation| {
        let events = events.clone();
        async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(TIDY) => {}
                    () = life.stop.cancelled() => return Ended::Stopped,
                }
                let events = events.clone();
                // It removes files and syncs folders, which blocks.
                match tokio::task::spawn_blocking(move || events.housekeep()).await {
                    Ok(Ok(_segments)) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "the spool could not be tidied"),
                    Err(error) => return Ended::Failed(error.to_string()),
                }
            }
        }
    })
}
