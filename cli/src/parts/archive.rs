//! The archive: its store, opened once a process, and the sinks that write into it.

use super::Maker;
use anyhow::Context;
use futures::FutureExt;
use penstock::settings::{ArchiveLocation, ArchiveSettings};
use penstock::telemetry::{ArchiveMetrics, SharedRegistry};
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
