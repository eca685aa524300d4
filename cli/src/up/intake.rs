//! The sidecar inside `penstock up`: the first thing that runs, and the first that stops.

use super::spools::Spools;
use crate::parts::data_dir::DataDir;
use anyhow::Context;
use penstock::settings::Settings;
use penstock::telemetry::SharedRegistry;
use penstock::time::Clock;
use penstock_panel::RoleProbe;
use penstock_panel::api::types::{Health, RoleStatus};
use penstock_sidecar::intake::insert::Inserter;
use penstock_sidecar::{Addresses, Running, Sidecar, SidecarConfig};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A sidecar that takes events.
pub struct Intake {
    running: Running,
    shutdown: CancellationToken,
}

/// The stop list's reader of the campaign-state log.
const READER: &str = "sidecar";

impl Intake {
    /// Starts listening; events are taken from here on, whatever the consumers do.
    ///
    /// Errors: an address in use, a socket path in the way.
    pub fn start(
        dir: &DataDir,
        settings: &Settings,
        spools: &Spools,
        clock: &Arc<dyn Clock>,
        registry: &SharedRegistry,
    ) -> anyhow::Result<Intake> {
        let shutdown = CancellationToken::new();
        let states = spools.campaign_state.reader(READER, 0).context("the campaign-state log cannot be read")?;
        let config = SidecarConfig {
            settings: settings.sidecar.clone(),
            intake: settings.intake.clone(),
            spool: spools.events.clone(),
            clock: clock.clone(),
            forwards: false,
            stop_list: Some(states),
            snapshot: Some(dir.stop_list()),
            registry: registry.clone(),
            shutdown: shutdown.clone(),
        };
        let running = Sidecar::start(config).context("the sidecar does not start")?;
        Ok(Intake { running, shutdown })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.running.addresses
    }

    /// Takes records from inside the process.
    pub fn inserter(&self) -> Inserter {
        self.running.inserter.clone()
    }

    /// Tells the panel how it does.
    pub fn probe(&self) -> RoleProbe {
        let list = self.running.stop_list.clone();
        let draining = self.shutdown.clone();
        Arc::new(move || {
            let reason = if draining.is_cancelled() {
                Some("it drains")
            } else if list.stale() {
                Some("the stop list is stale: no sign of life from the ledger's publisher")
            } else {
                None
            };
            let health = if reason.is_some() { Health::Degraded } else { Health::Ok };
            RoleStatus { name: "sidecar".to_owned(), health, reason: reason.map(str::to_owned) }
        })
    }

    /// Takes no more events, lets open requests finish.
    pub async fn stop(self) {
        self.shutdown.cancel();
        match self.running.handle.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the sidecar ended badly"),
            Err(error) => tracing::error!(%error, "the sidecar panicked while it ended"),
        }
    }
}
