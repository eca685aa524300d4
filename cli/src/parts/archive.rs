//! The archive: its store, opened once a process, and the sinks that write into it.

use super::Maker;
use anyhow::Context;
use futures::FutureExt;
use penstock::settings::{ArchiveLocation, ArchiveSettings};
use penstock::telemetry::{ArchiveMetrics, SharedRegistry};
#[cfg(feature = "cluster")]
use penstock_consumers::archive::compact::Compactor;
use penstock_consumers::archive::{ArchiveSink, ArchiveStore};
use std::path::Path;
use std::sync::Arc;

/// Opens the archive that the settings name, else the folder `default`. A folder is swept of what
/// an earlier process left that wrote what it read from `log`.
///
/// Errors: the folder cannot be made, read or written; settings that a remote store does not take.
pub async fn open(
    default: &Path,
    log: Option<&Arc<str>>,
    settings: &ArchiveSettings,
    registry: &SharedRegistry,
) -> anyhow::Result<ArchiveStore> {
    let metrics = registry.with(ArchiveMetrics::register);
    let (settings, default, log) = (settings.clone(), default.to_path_buf(), log.cloned());
    let opened = tokio::task::spawn_blocking(move || match (settings.location(&default), log) {
        (ArchiveLocation::Folder(root), Some(log)) => ArchiveStore::open(&root, &log, settings.timeout, metrics),
        _ => ArchiveStore::connect(&settings, &default, metrics),
    });
    opened.await?.context("the archive cannot be opened")
}

/// Connects to the archive that the settings name, else to the folder `default`, without sweeping.
///
/// Errors: as [`open`].
#[cfg(feature = "cluster")]
pub async fn connect(
    default: &Path,
    settings: &ArchiveSettings,
    metrics: ArchiveMetrics,
) -> anyhow::Result<ArchiveStore> {
    let (settings, default) = (settings.clone(), default.to_path_buf());
    let connected = tokio::task::spawn_blocking(move || ArchiveStore::connect(&settings, &default, metrics));
    connected.await?.context("the archive cannot be opened")
}

/// Makes the sinks. The limits of their ranges are [`ArchiveSink::limits`].
pub fn sinks(store: ArchiveStore, settings: &ArchiveSettings) -> impl Maker<ArchiveSink> + use<> {
    let settings = settings.clone();
    move |_stop| std::future::ready(ArchiveSink::new(store.clone(), &settings).map_err(|e| e.to_string())).boxed_local()
}

/// The housekeeper that compacts the archive; none when `archive.compact.every` says nothing.
#[cfg(feature = "cluster")]
pub fn compaction(
    store: ArchiveStore,
    settings: &ArchiveSettings,
    clock: &Arc<dyn penstock::time::Clock>,
) -> Option<penstock::actors::Child> {
    use penstock::actors::{Child, Ended, Incarnation};
    let (compact, clock) = (settings.compact.clone(), clock.clone());
    let every = compact.every?;
    Some(Child::new("archive-compaction", move |life: Incarnation| {
        let (store, compact, clock) = (store.clone(), compact.clone(), clock.clone());
        async move {
            let mut compactor = Compactor::new(store, compact, instance(clock.now()));
            loop {
                tokio::select! {
                    () = tokio::time::sleep(every) => {}
                    () = life.stop.cancelled() => return Ended::Stopped,
                }
                // A hour that is cut off is made again from its start, so the one in hand is finished.
                match compactor.pass(clock.now(), &life.stop).await {
                    Ok(report) => tracing::debug!(?report, "went over the archive"),
                    Err(error) => tracing::warn!(%error, "the archive could not be listed; the next pass tries again"),
                }
            }
        }
    }))
}

/// Tells compactions apart: process and time.
#[cfg(feature = "cluster")]
pub fn instance(now: penstock::time::Micros) -> u64 {
    now.0.unsigned_abs().rotate_left(24) ^ u64::from(std::process::id())
}
