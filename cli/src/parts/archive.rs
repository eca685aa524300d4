//! The archive: its store, opened once a process, and the sinks that write into it.

use super::Maker;
use anyhow::Context;
use futures::FutureExt;
use penstock::settings::ArchiveSettings;
use penstock::telemetry::{ArchiveMetrics, SharedRegistry};
use penstock_consumers::archive::{ArchiveSink, ArchiveStore};
use std::path::Path;
use std::sync::Arc;

/// Opens the archive below `root` for what is read from `log`.
///
/// Errors: the folder cannot be made, read or written.
pub async fn open(
    root: &Path,
    log: &Arc<str>,
    settings: &ArchiveSettings,
    registry: &SharedRegistry,
) -> anyhow::Result<ArchiveStore> {
    let metrics = registry.with(ArchiveMetrics::register);
    let (path, log, timeout) = (root.to_path_buf(), log.clone(), settings.timeout);
    let store = tokio::task::spawn_blocking(move || ArchiveStore::open(&path, &log, timeout, metrics)).await?;
    store.with_context(|| format!("the archive {} cannot be opened", root.display()))
}

/// Makes the sinks. The limits of their ranges are [`ArchiveSink::limits`].
pub fn sinks(store: ArchiveStore, settings: &ArchiveSettings) -> impl Maker<ArchiveSink> + use<> {
    let settings = settings.clone();
    move |_stop| std::future::ready(ArchiveSink::new(store.clone(), &settings).map_err(|e| e.to_string())).boxed_local()
}
