//! The pipelines: one a sink and partition of the events' spool, under the root supervisor.

use super::spools::Spools;
use crate::parts::Maker;
use anyhow::Context;
use penstock::actors::{Supervisor, pipeline_child};
use penstock::log::spool::Spool;
use penstock::log::{Limits, LogId};
use penstock::pipeline::{Parts, Pipeline, PipelineHandle, Sink};
use penstock::pricing::Snapshot;
use penstock::settings::PipelineSettings;
use penstock::telemetry::PipelineMetrics;
use penstock::time::Clock;
use penstock_consumers::dead::DeadLetters;
use std::sync::Arc;
use tokio::sync::watch;

/// The sinks; also the names of their readers, which hold retention back.
pub const SINKS: [&str; 3] = ["statistics", "balances", "archive"];

/// Pipelines stop first, then what carries their effects on, then what tidies.
pub const PIPELINES: u8 = 0;

/// What all pipelines of the process share.
#[derive(Clone)]
pub struct Common {
    pub events: Spool,
    pub dead: DeadLetters,
    pub settings: PipelineSettings,
    pub clock: Arc<dyn Clock>,
    pub metrics: PipelineMetrics,
    pub supervisor: Supervisor,
}

/// Registers every sink's reader, so that retention keeps for each what it has not read: also
/// for one whose pipeline starts only later, when others have read on already.
///
/// Errors: a position file that cannot be made.
pub fn register_readers(spools: &Spools) -> anyhow::Result<()> {
    for partition in spools.events.partitions() {
        for sink in SINKS {
            let reader = spools.events.reader(sink, partition);
            reader.with_context(|| format!("the position of {sink} in partition {partition} cannot be kept"))?;
        }
    }
    Ok(())
}

impl Common {
    /// Adds the pipelines of one sink, one a partition. `make` builds a sink anew for each
    /// generation, and may wait for what it writes to; its error is one sentence and is tried again.
    ///
    /// Errors: the supervisor takes no children any more.
    pub async fn add<S, M>(
        &self,
        sink: &'static str,
        limits: Limits,
        catalogue: Option<watch::Receiver<Arc<Snapshot>>>,
        make: M,
    ) -> anyhow::Result<Vec<PipelineHandle>>
    where
        S: Sink + 'static,
        M: Maker<S>,
    {
        let mut handles = Vec::new();
        for partition in self.events.partitions() {
            let log = LogId { name: self.events.log_name().clone(), partition };
            let seed = log.seed();
            let handle = PipelineHandle::new(sink, log);
            handles.push(handle.clone());
            let (common, limits, catalogue, make, outside) =
                (self.clone(), limits.clone(), catalogue.clone(), make.clone(), handle.clone());
            let child = pipeline_child(format!("{sink}/{partition}"), handle, move |life| {
                let (common, limits, catalogue, outside) =
                    (common.clone(), limits.clone(), catalogue.clone(), outside.clone());
                let made = make(life.stop.clone());
                async move {
                    Ok(Pipeline::new(Parts {
                        sink: made.await?,
                        log: common.events.reader(sink, partition).map_err(|e| e.to_string())?,
                        dead: common.dead,
                        limits,
                        catalogue,
                        settings: common.settings,
                        seed: common.clock.now().0.unsigned_abs() ^ seed,
                        clock: common.clock,
                        stop: life.stop,
                        handle: outside,
                        metrics: common.metrics,
                    }))
                }
            });
            self.supervisor.add(child.stage(PIPELINES)).await.with_context(|| format!("the {sink} pipeline"))?;
        }
        Ok(handles)
    }
}
