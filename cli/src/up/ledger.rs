//! The ledger and what lives around it: the catalogue's snapshots, the outbox, the days.

use super::data_dir::DataDir;
use super::pipelines::Common;
use super::spools::Spools;
use anyhow::Context;
use penstock::actors::{Child, Ended, Incarnation};
use penstock::log::Limits;
use penstock::log::spool::Spool;
use penstock::pipeline::PipelineHandle;
use penstock::pricing::Snapshot;
use penstock::settings::{BalancesSettings, Settings};
use penstock::telemetry::{BalancesMetrics, SharedRegistry};
use penstock::time::Clock;
use penstock_consumers::balances::ledger::sqlite::SqliteLedger;
use penstock_consumers::balances::{BalancesSink, Keeper, Publisher, SpoolStateLog};
use penstock_consumers::catalogue::SnapshotFeed;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The SQLite ledger of this machine, with what every part around it needs.
#[derive(Clone)]
pub struct Books {
    pub ledger: SqliteLedger,
    settings: BalancesSettings,
    clock: Arc<dyn Clock>,
    metrics: BalancesMetrics,
}

impl Books {
    /// Opens the ledger, or makes it. Errors: the file is no ledger, or of a newer version.
    pub async fn open(
        dir: &DataDir,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        registry: &SharedRegistry,
    ) -> anyhow::Result<Books> {
        let path = dir.ledger();
        let ledger = SqliteLedger::open(&path, clock.clone())
            .await
            .with_context(|| format!("the ledger {} cannot be opened", path.display()))?;
        let metrics = registry.with(BalancesMetrics::register);
        Ok(Books { ledger, settings: settings.balances.clone(), clock: clock.clone(), metrics })
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

    /// Carries the outbox to the stop lists.
    pub fn publisher(&self, spools: &Spools) -> Child {
        let (books, states, kpis) = (self.clone(), spools.campaign_state.clone(), spools.campaign_kpis.clone());
        Child::new("publisher", move |life: Incarnation| {
            let log = |spool: &Spool| spool.writer(0).map(SpoolStateLog::new).map_err(|e| e.to_string());
            let logs = log(&states).and_then(|states| Ok((states, log(&kpis)?)));
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

    /// Adds the pipelines that charge events.
    ///
    /// Errors: the supervisor takes no children any more.
    pub async fn pipelines(
        &self,
        common: &Common,
        snapshots: watch::Receiver<Arc<Snapshot>>,
    ) -> anyhow::Result<Vec<PipelineHandle>> {
        let BalancesSettings { max_rows, max_bytes, max_age, .. } = self.settings;
        let limits = Limits { rows: max_rows, bytes: max_bytes, age: max_age, idle: super::pipelines::IDLE, end: None };
        let (ledger, metrics) = (self.ledger.clone(), self.metrics.clone());
        let make = move |_stop| {
            let made = BalancesSink::new(ledger.clone(), metrics.clone()).map_err(|e| e.to_string());
            std::future::ready(made)
        };
        common.add("balances", limits, Some(snapshots), make).await
    }
}

fn ended(outcome: Result<(), String>) -> Ended {
    outcome.map_or_else(Ended::Failed, |()| Ended::Stopped)
}
