//! Publishes the outbox: what the ledger decided, in one order, to everybody who serves ads.
//!
//! There is one publisher, whoever has the ledger's lease. It takes unpublished rows (never "id above the last one", since
//! COMMITs overtake each other), which the ledger has given versions, appends them, waits until
//! they are durable, and marks them. A crash between append and mark repeats records with the
//! same version and content, which readers drop. At start it repeats the newest state of every
//! campaign, so that the log tells all there is to know however much of it retention has taken.

use super::state_log::{Entry, Overtaken, StateLog, StateLogError};
use penstock::ledger::{Heartbeat, Ledger, LedgerError, StateChange, StateError, StateRecord};
use penstock::pricing::CampaignId;
use penstock::settings::BalancesSettings;
use penstock::telemetry::BalancesMetrics;
use penstock::time::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Records published in one go.
const STEP: u32 = 1_000;
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(5);

/// Why the publisher cannot publish.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] StateLogError),
    /// A record cannot be encoded: a fault of ours.
    #[error(transparent)]
    Encode(#[from] StateError),
}

impl PublishError {
    /// Whether the same call may work later.
    const fn may_pass(&self) -> bool {
        matches!(
            self,
            PublishError::Ledger(LedgerError::Busy(_) | LedgerError::Unknown(_))
                | PublishError::Log(StateLogError::Retry(_))
        )
    }
}

/// Moves the outbox into the campaign-state log, and changed totals into the campaign-kpis log.
pub struct Publisher<L, S, K> {
    ledger: L,
    states: S,
    kpis: K,
    clock: Arc<dyn Clock>,
    settings: BalancesSettings,
    metrics: BalancesMetrics,
    /// The newest version that is durable in the log.
    version: u64,
}

impl<L: Ledger, S: StateLog, K: StateLog> Publisher<L, S, K> {
    /// A publisher of `ledger` into the two logs.
    pub fn new(
        ledger: L,
        states: S,
        kpis: K,
        clock: Arc<dyn Clock>,
        settings: &BalancesSettings,
        metrics: BalancesMetrics,
    ) -> Self {
        Publisher { ledger, states, kpis, clock, settings: settings.clone(), metrics, version: 0 }
    }

    /// Publishes until `stop`, then once more what is there; only while this process has the
    /// ledger's lease.
    ///
    /// Errors: [`PublishError`] when no retry can help; a new publisher goes on from the outbox.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), PublishError> {
        let mut wait = RETRY_FIRST;
        while !stop.is_cancelled() {
            let ledger = self.ledger.clone();
            let lease = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                lease = ledger.lead() => lease,
            };
            match lease {
                Ok(lease) => {
                    wait = RETRY_FIRST;
                    tokio::select! {
                        biased;
                        () = lease.lost() => tracing::warn!("another process may publish now; this one waits"),
                        done = self.lead(&stop) => return done,
                    }
                }
                Err(error) => self.failed(error.into(), &mut wait, &stop).await?,
            }
        }
        Ok(())
    }

    /// Publishes as the one who does.
    async fn lead(&mut self, stop: &CancellationToken) -> Result<(), PublishError> {
        let mut heartbeats = tokio::time::interval(self.settings.heartbeat);
        let mut totals = tokio::time::interval(self.settings.kpis_interval);
        let mut wait = RETRY_FIRST;
        let (mut repeated, mut again) = (false, None);
        loop {
            let retelling = again.is_some();
            let done = match (repeated, again.take()) {
                (false, _) | (_, Some(Overtaken::Everything)) => self.repeat().await,
                (true, Some(Overtaken::Campaigns(ids))) => self.tell_again(&ids).await,
                (true, None) => self.publish().await,
            };
            let (kpis, beat) = match done {
                Ok(()) => {
                    repeated = true;
                    wait = RETRY_FIRST;
                    let ledger = self.ledger.clone();
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return self.publish().await,
                        () = ledger.outbox_changed() => (false, false),
                        _ = heartbeats.tick() => (false, true),
                        _ = totals.tick() => (true, false),
                        () = tokio::time::sleep(self.settings.outbox_poll) => (false, false),
                        overtaken = self.states.overtaken() => {
                            match overtaken {
                                Ok(what) => again = Some(what),
                                Err(error) => self.failed(error.into(), &mut wait, stop).await?,
                            }
                            (false, false)
                        }
                    }
                }
                Err(error) => {
                    // What was to be told again may not have been: then everything is.
                    repeated &= !retelling;
                    self.failed(error, &mut wait, stop).await?;
                    if stop.is_cancelled() {
                        return Ok(());
                    }
                    continue;
                }
            };
            let done = match (kpis, beat) {
                (true, _) => self.publish_kpis().await,
                (_, true) => self.beat().await,
                _ => Ok(()),
            };
            if let Err(error) = done {
                self.failed(error, &mut wait, stop).await?;
            }
        }
    }

    async fn failed(
        &self,
        error: PublishError,
        wait: &mut Duration,
        stop: &CancellationToken,
    ) -> Result<(), PublishError> {
        if !error.may_pass() {
            return Err(error);
        }
        self.metrics.retry("publish");
        tracing::warn!(%error, "publishing is tried again");
        let _ = tokio::time::timeout(*wait, stop.cancelled()).await;
        *wait = (*wait * 2).min(RETRY_MOST);
        Ok(())
    }

    /// Tells the newest state of every campaign again, then what is new, then that it lives.
    ///
    /// Errors: [`PublishError`].
    pub async fn repeat(&mut self) -> Result<(), PublishError> {
        self.states.begin().await?;
        let states = self.ledger.states().await?;
        for part in states.chunks(STEP as usize) {
            self.states.append(&encoded(part)?).await?;
            self.told(part);
        }
        self.publish().await?;
        self.beat().await
    }

    /// Tells the newest states of these campaigns once more, behind older ones.
    async fn tell_again(&mut self, ids: &[CampaignId]) -> Result<(), PublishError> {
        tracing::warn!(campaigns = ids.len(), "older states were written behind newer ones; those are told again");
        let mut states = self.ledger.states().await?;
        states.retain(|state| ids.contains(&state.campaign_id));
        for part in states.chunks(STEP as usize) {
            self.states.append(&encoded(part)?).await?;
            self.told(part);
        }
        self.publish().await
    }

    /// Publishes everything that is unpublished. Errors: [`PublishError`].
    pub async fn publish(&mut self) -> Result<(), PublishError> {
        loop {
            let changes = self.ledger.claim(STEP).await?;
            if changes.is_empty() {
                return Ok(());
            }
            self.states.append(&encoded(&changes)?).await?;
            self.told(&changes);
            let now = self.clock.now();
            for received in changes.iter().filter(|c| !c.serving).filter_map(|c| c.cause_received) {
                self.metrics.publish_latency(now.since(received));
            }
            let versions: Vec<u64> = changes.iter().map(|c| c.version).collect();
            self.ledger.published(&versions).await?;
        }
    }

    fn told(&mut self, changes: &[StateChange]) {
        self.metrics.published("change", changes.len());
        self.version = changes.iter().map(|c| c.version).fold(self.version, u64::max);
    }

    /// Says that everything up to the newest version is in the log. Errors: [`PublishError`].
    pub async fn beat(&mut self) -> Result<(), PublishError> {
        let heartbeat = Heartbeat { version: self.version, at: self.clock.now() };
        self.states.append(&[Entry::record(&StateRecord::Heartbeat(heartbeat))?]).await?;
        self.metrics.published("heartbeat", 1);
        Ok(())
    }

    /// Publishes the totals of all campaigns that changed. Errors: [`PublishError`].
    pub async fn publish_kpis(&mut self) -> Result<(), PublishError> {
        loop {
            let changed = self.ledger.changed_kpis(STEP).await?;
            if changed.is_empty() {
                return Ok(());
            }
            let records = changed.iter().map(Entry::kpis).collect::<Result<Vec<_>, _>>()?;
            self.kpis.append(&records).await?;
            self.metrics.published("kpis", records.len());
            self.ledger.kpis_published(&changed).await?;
            if changed.len() < STEP as usize {
                return Ok(());
            }
        }
    }
}

fn encoded(changes: &[StateChange]) -> Result<Vec<Entry>, StateError> {
    changes.iter().map(Entry::state).collect()
}
