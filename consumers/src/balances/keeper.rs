//! Does for the ledger what time asks for: days begin and old rows go.

use penstock::ledger::{Ledger, LedgerError};
use penstock::settings::BalancesSettings;
use penstock::telemetry::BalancesMetrics;
use penstock::time::{Clock, Micros};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The days are looked at no later than this, for a clock that was set or a new budget.
const LOOK: Duration = Duration::from_secs(10);

/// Rolls days at the campaigns' midnights and keeps house at an interval.
pub struct Keeper<L> {
    ledger: L,
    clock: Arc<dyn Clock>,
    settings: BalancesSettings,
    metrics: BalancesMetrics,
}

impl<L: Ledger> Keeper<L> {
    /// A keeper of `ledger`.
    pub fn new(ledger: L, clock: Arc<dyn Clock>, settings: &BalancesSettings, metrics: BalancesMetrics) -> Self {
        Keeper { ledger, clock, settings: settings.clone(), metrics }
    }

    /// Runs until `stop`. Errors: [`LedgerError`] when no retry can help.
    pub async fn run(self, stop: CancellationToken) -> Result<(), LedgerError> {
        let mut housekeeping = tokio::time::interval(self.settings.housekeeping_interval);
        housekeeping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let next_day = self.retried(self.ledger.roll_days().await)?.flatten();
            let wait = next_day.map_or(LOOK, |at: Micros| at.since(self.clock.now()).min(LOOK));
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = housekeeping.tick() => {
                    if let Some(kept) = self.retried(self.ledger.housekeep(&self.settings.horizons()).await)? {
                        self.metrics.housekept(&kept);
                    }
                }
                () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => {}
            }
        }
    }

    fn retried<T>(&self, result: Result<T, LedgerError>) -> Result<Option<T>, LedgerError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error @ (LedgerError::Busy(_) | LedgerError::Unknown(_))) => {
                self.metrics.retry("keep");
                tracing::warn!(%error, "the ledger is kept later");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
