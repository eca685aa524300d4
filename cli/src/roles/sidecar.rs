//! `penstock sidecar`: intake into the spool, and the spool forwarded to Kafka.
//!
//! Intake waits for nobody: brokers that are away fill the spool, and the ad server has its answer.

use super::process::{Role, Running};
use crate::parts::data_dir::DataDir;
use crate::parts::spools;
use anyhow::Context;
use penstock::actors::{Child, Ended, Incarnation, Supervisor};
use penstock::log::spool::{Spool, SpoolLog};
use penstock::telemetry::SpoolMetrics;
use penstock_sidecar::SidecarConfig;
use std::time::Duration;

/// The forwarder's reader of the events' spool.
const FORWARDER: &str = "kafka";
/// How often the spool is looked at for what everybody has read.
const TIDY: Duration = Duration::from_secs(5);
/// Longest time for all children to end.
const ENDING: Duration = Duration::from_secs(15);

/// A sidecar that runs.
pub struct Sidecar {
    running: penstock_sidecar::Running,
    supervisor: Supervisor,
    events: Spool,
    _dir: DataDir,
}

impl Sidecar {
    /// Starts it. Errors: the data folder or the address is in use.
    pub async fn start(role: Role) -> anyhow::Result<Sidecar> {
        let Role { mut settings, listen, clock, registry, board: _, stop } = role;
        settings.sidecar.listen = listen.unwrap_or(settings.sidecar.listen);
        let dir = DataDir::open(&settings.data_dir())?;
        let events = spools::events(&dir, &settings, &clock, &registry.with(SpoolMetrics::register))?;
        for partition in events.partitions() {
            // From the first event on, retention keeps what is not in Kafka.
            let reader = events.reader(FORWARDER, partition);
            reader.with_context(|| format!("the forwarder's position in partition {partition} cannot be kept"))?;
        }
        let running = penstock_sidecar::Sidecar::start(SidecarConfig {
            settings: settings.sidecar.clone(),
            intake: settings.intake.clone(),
            spool: events.clone(),
            clock: clock.clone(),
            // Until the forwarder's pipelines run here.
            forwards: false,
            stop_list: None::<SpoolLog>,
            snapshot: Some(dir.stop_list()),
            registry: registry.clone(),
            shutdown: stop,
        })
        .context("the sidecar does not start")?;
        let supervisor = Supervisor::start(settings.pipeline.clone(), clock.now().0.unsigned_abs());
        supervisor.add(housekeeper(events.clone())).await?;
        Ok(Sidecar { running, supervisor, events, _dir: dir })
    }
}

impl Running for Sidecar {
    fn address(&self) -> String {
        let unix = self.running.addresses.unix.as_ref().map(|p| format!(" and {}", p.display())).unwrap_or_default();
        format!("http://{}{unix}", self.running.addresses.http)
    }

    async fn stop(self) {
        match self.running.handle.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the sidecar ended badly"),
            Err(error) => tracing::error!(%error, "the sidecar panicked while it ended"),
        }
        let report = self.supervisor.stop(ENDING).await;
        if !report.cut.is_empty() || !report.stuck.is_empty() {
            tracing::warn!(cut = ?report.cut, stuck = ?report.stuck, "parts that did not end in time; the next start mends what they had begun");
        }
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
