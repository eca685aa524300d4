//! The ledger and what lives around it: the catalogue's snapshots, the outbox, the days.

use super::Maker;
use anyhow::Context;
use futures::FutureExt;
use penstock::actors::{Child, Ended, Incarnation};
use penstock::ledger::Ledger;
use penstock::log::Limits;
use penstock::pricing::Snapshot;
use penstock::settings::BalancesSettings;
use penstock::telemetry::{BalancesMetrics, SharedRegistry};
use penstock::time::Clock;
use penstock_consumers::balances::{BalancesSink, Keeper, Publisher, StateLog};
use penstock_consumers::catalogue::SnapshotFeed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How old a pipeline's status may get when nothing comes in.
const IDLE: Duration = Duration::from_secs(1);

/// A ledger, with what every part around it needs.
#[derive(Clone)]
pub struct Books<L> {
    pub ledger: L,
    settings: BalancesSettings,
    clock: Arc<dyn Clock>,
    metrics: BalancesMetrics,
}

impl<L: Ledger> Books<L> {
    /// Around an open ledger. Call it once a process: it registers the metrics.
    pub fn new(ledger: L, settings: &BalancesSettings, clock: &Arc<dyn Clock>, registry: &SharedRegistry) -> Books<L> {
        let metrics = registry.with(BalancesMetrics::register);
        Books { ledger, settings: settings.clone(), clock: clock.clone(), metrics }
    }

    /// Loads the catalogue once, so that the first batch does not wait, and keeps it fresh.
    ///
    /// Errors: the ledger cannot be read.
    pub async fn feed(&self) -> anyhow::Result<(watch::Receiver<Arc<Snapshot>>, Child)> {
        let mut feed = SnapshotFeed::new(self.ledger.clone(), self.clock.clone(), &self.settings, self.metrics.clone());
        feed.refresh().await.context("the catalogue cannot be loaded")?;
        let snapshots = feed.subscribe();
        // The sinks hold on to this one feed, so it has one life: what ends it, no new one would mend.
        let only = Mutex::new(Some(feed));
        let child = Child::new("catalogue", move |life: Incarnation| {
            let feed = only.lock().unwrap_or_else(PoisonError::into_inner).take();
            async move {
                match feed {
                    None => Ended::Final("the catalogue's feed ended before; restart penstock".to_owned()),
                    Some(feed) => ended(feed.run(life.stop).await.map_err(|e| e.to_string())),
                }
            }
        });
        Ok((snapshots, child))
    }

    /// Carries the outbox to the stop lists; `logs` opens the logs of states and of figures anew
    /// for each life, its error is one sentence.
    pub fn publisher<S, K, F>(&self, logs: F) -> Child
    where
        S: StateLog + 'static,
        K: StateLog + 'static,
        F: Fn() -> Result<(S, K), String> + Send + 'static,
    {
        let books = self.clone();
        Child::new("publisher", move |life: Incarnation| {
            let logs = logs();
            let books = books.clone();
            async move {
                let (states, kpis) = match logs {
                    Ok(logs) => logs,
                    Err(reason) => return Ended::Failed(reason),
                };
                let Books { ledger, settings, clock, metrics } = books;
                let publisher = Publisher::new(ledger, states, kpis, clock, &settings, metrics);
                ended(publisher.run(life.stop).await.map_err(|e| e.to_string()))
            }
        })
    }

    /// Begins the campaigns' days, purges and folds.
    pub fn keeper(&self) -> Child {
        let books = self.clone();
        Child::new("ledger-keeper", move |life: Incarnation| {
            let Books { ledger, settings, clock, metrics } = books.clone();
            let keeper = Keeper::new(ledger, clock, &settings, metrics);
            async move { ended(keeper.run(life.stop).await.map_err(|e| e.to_string())) }
        })
    }

    /// When a range of balances is closed.
    pub fn limits(&self) -> Limits {
        let BalancesSettings { max_rows, max_bytes, max_age, .. } = self.settings;
        Limits { rows: max_rows, bytes: max_bytes, age: max_age, idle: IDLE, end: None }
    }

    /// Makes the sinks that charge events.
    pub fn sinks(&self) -> impl Maker<BalancesSink<L>> + use<L> {
        let (ledger, metrics) = (self.ledger.clone(), self.metrics.clone());
        move |_stop| {
            let made = BalancesSink::new(ledger.clone(), metrics.clone()).map_err(|e| e.to_string());
            std::future::ready(made).boxed_local()
        }
    }
}

fn ended(outcome: Result<(), String>) -> Ended {
    outcome.map_or_else(Ended::Failed, |()| Ended::Stopped)
}
