//! The pipelines that move the spool to Kafka, one a partition.

use anyhow::Context;
use penstock::actors::{Supervisor, pipeline_child};
use penstock::log::LogId;
use penstock::log::spool::Spool;
use penstock::pipeline::{DeadTarget, Parts, Pipeline, PipelineHandle};
use penstock::registry::Registry;
use penstock::settings::PipelineSettings;
use penstock::telemetry::PipelineMetrics;
use penstock::time::Clock;
use penstock_sidecar::forward::Forwarder;
use std::sync::Arc;

/// The sink's name; also that of its reader, which holds the spool's retention back.
pub const FORWARDER: &str = "kafka";

/// What all of them share.
#[derive(Clone)]
pub struct Forwarding<D> {
    pub forwarder: Arc<Forwarder<Registry>>,
    pub events: Spool,
    pub dead: D,
    pub settings: PipelineSettings,
    pub clock: Arc<dyn Clock>,
    pub metrics: PipelineMetrics,
}

impl<D: DeadTarget + Clone + Send + 'static> Forwarding<D> {
    /// Adds the pipelines. Errors: the supervisor takes no children any more.
    pub async fn add(&self, supervisor: &Supervisor, stage: u8) -> anyhow::Result<Vec<PipelineHandle>> {
        let mut handles = Vec::new();
        for partition in self.events.partitions() {
            let log = LogId { name: self.events.log_name().clone(), partition };
            let handle = PipelineHandle::new(FORWARDER, log.clone());
            handles.push(handle.clone());
            let (shared, outside) = (self.clone(), handle.clone());
            let child = pipeline_child(format!("{FORWARDER}/{partition}"), handle, move |life| {
                let (shared, outside, log) = (shared.clone(), outside.clone(), log.clone());
                async move {
                    let marks = shared.events.watermarks(partition).map_err(|e| e.to_string())?;
                    Ok(Pipeline::new(Parts {
                        sink: shared.forwarder.sink(&log, marks, life.stop.clone()).map_err(|e| e.to_string())?,
                        log: shared.events.reader(FORWARDER, partition).map_err(|e| e.to_string())?,
                        dead: shared.dead,
                        limits: shared.forwarder.limits(),
                        catalogue: None,
                        settings: shared.settings,
                        seed: shared.clock.now().0.unsigned_abs() ^ log.seed(),
                        clock: shared.clock,
                        stop: life.stop,
                        handle: outside,
                        metrics: shared.metrics,
                    }))
                }
            });
            supervisor.add(child.stage(stage)).await.context("the forwarder")?;
        }
        Ok(handles)
    }
}
