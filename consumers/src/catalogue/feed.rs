//! Keeps the newest snapshot of the catalogue at hand for every sink of the process.
//!
//! A snapshot read at time t knows every version with a `known_from` up to t + lead/2 (see the
//! import in the ledger), so with `snapshot_interval` below half of the lead the newest one is
//! always complete through now and no batch waits. Mostly only that time moves: rates and tags
//! are loaded again when the catalogue's version has changed.

use penstock::ledger::{Ledger, LedgerError};
use penstock::pricing::Snapshot;
use penstock::settings::BalancesSettings;
use penstock::telemetry::BalancesMetrics;
use penstock::time::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Why the feed ended: only by an error that no retry can help.
#[derive(Debug, thiserror::Error)]
#[error("the catalogue cannot be loaded: {0}")]
pub struct FeedError(#[from] pub LedgerError);

/// Loads snapshots and hands them on.
pub struct SnapshotFeed<L> {
    ledger: L,
    clock: Arc<dyn Clock>,
    lead: Duration,
    interval: Duration,
    version: Option<u64>,
    newest: watch::Sender<Arc<Snapshot>>,
    metrics: BalancesMetrics,
}

impl<L: Ledger> SnapshotFeed<L> {
    /// A feed whose first snapshot knows nothing and is complete through no time.
    pub fn new(ledger: L, clock: Arc<dyn Clock>, settings: &BalancesSettings, metrics: BalancesMetrics) -> Self {
        let newest = watch::Sender::new(Arc::new(Snapshot::default()));
        let (lead, interval) = (settings.known_lead, settings.snapshot_interval);
        SnapshotFeed { ledger, clock, lead, interval, version: None, newest, metrics }
    }

    /// Where the snapshots come out; any number of receivers.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.newest.subscribe()
    }

    /// Loads what is newer than the last time. Errors: [`LedgerError`].
    pub async fn refresh(&mut self) -> Result<(), LedgerError> {
        // Before the read: a COMMIT that the read misses comes after this moment.
        let complete_through = self.clock.now().plus(self.lead / 2);
        let version = self.ledger.catalogue_version().await?;
        let snapshot = if self.version == Some(version) {
            let held = self.newest.borrow();
            // Never backwards, also when the clock is set back.
            Snapshot { complete_through: complete_through.max(held.complete_through), ..Snapshot::clone(&held) }
        } else {
            let (version, loaded) = self.ledger.load_catalogue().await?;
            self.version = Some(version);
            self.metrics.catalogue(version, loaded.rates.len(), loaded.tags.len());
            tracing::info!(version, campaigns = loaded.rates.len(), tags = loaded.tags.len(), "catalogue loaded");
            Snapshot { complete_through, ..loaded }
        };
        self.newest.send_replace(Arc::new(snapshot));
        Ok(())
    }

    /// Refreshes each interval until `stop`. A busy ledger is asked again.
    ///
    /// Errors: [`FeedError`] when no retry can help.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), FeedError> {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            match self.refresh().await {
                Ok(()) => {}
                Err(error @ (LedgerError::Busy(_) | LedgerError::Unknown(_))) => {
                    self.metrics.retry("snapshot");
                    tracing::warn!(%error, "the catalogue is loaded later");
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
