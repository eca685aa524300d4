//! A log on disk of this machine, opened with what a crash may have left said in the log.

use super::data_dir::DataDir;
use anyhow::Context;
use penstock::log::spool::{RealDisk, Recovery, Retention, Spool, SpoolOptions};
use penstock::settings::{Settings, SpoolSettings};
use penstock::telemetry::SpoolMetrics;
use penstock::time::Clock;
use penstock_panel::SpoolView;
use penstock_panel::api::types::{SpoolPartition, SpoolStatus};
use std::sync::Arc;

/// Opens the spool called `name` below `dir`.
///
/// Errors: a folder in use, a disk that refuses, files of a newer version.
pub fn open(
    dir: &DataDir,
    name: &str,
    partitions: u32,
    settings: SpoolSettings,
    retention: Retention,
    clock: &Arc<dyn Clock>,
    metrics: &SpoolMetrics,
) -> anyhow::Result<Spool> {
    let counters = metrics.of(name);
    let options = SpoolOptions { settings, retention, counters, ..SpoolOptions::new(partitions, clock.clone()) };
    let (spool, recovery) = Spool::open_with(RealDisk, &dir.spool(name), options)
        .with_context(|| format!("the {name} spool cannot be opened"))?;
    log(name, &spool, &recovery);
    Ok(spool)
}

/// Opens the events' spool, with a partition for each of the sidecar's workers.
///
/// Errors: as [`open`].
pub fn events(
    dir: &DataDir,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    metrics: &SpoolMetrics,
) -> anyhow::Result<Spool> {
    let workers = u32::try_from(settings.sidecar.worker_count()).unwrap_or(u32::MAX);
    open(dir, "events", workers, settings.spool.clone(), Retention::of_intake(&settings.intake), clock, metrics)
}

fn log(name: &str, spool: &Spool, recovery: &Recovery) {
    if recovery.is_clean() {
        tracing::info!(spool = name, log = %spool.log_name(), keys = recovery.keys, "opened");
    } else {
        tracing::warn!(spool = name, log = %spool.log_name(), ?recovery, "opened after an unclean end");
    }
}

/// The events' spool as the panel shows it.
pub struct EventsView(pub Spool);

impl SpoolView for EventsView {
    fn usage(&self) -> SpoolStatus {
        let usage = self.0.usage();
        let partitions = usage.partitions.iter().map(|p| {
            let slowest = p.readers.iter().map(|r| r.lag).max().unwrap_or(0);
            SpoolPartition {
                partition: p.partition,
                start: p.start,
                end: p.written,
                synced: p.synced,
                bytes: p.bytes,
                depth: slowest,
            }
        });
        SpoolStatus {
            log: self.0.log_name().to_string(),
            bytes: usage.bytes,
            quota_bytes: usage.max_bytes,
            partitions: partitions.collect(),
        }
    }
}
