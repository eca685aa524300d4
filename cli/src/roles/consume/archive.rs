//! `penstock consume archive`: Kafka to files in HDFS or S3.

use super::Feed;
use crate::parts::archive;
use crate::roles::board;
use penstock_consumers::archive::ArchiveSink;
use std::path::Path;

/// The stage of the housekeeper.
const AFTER_THE_PIPELINES: u8 = 1;

/// Opens what the sink needs, and joins the group.
///
/// Errors: what no waiting mends.
pub async fn start(feed: Feed) -> anyhow::Result<()> {
    let role = &feed.role;
    let settings = &role.settings.archive;
    let metrics = role.registry.with(penstock::telemetry::ArchiveMetrics::register);
    let store = board::until(&role.board, "archive", &role.stop, async || {
        archive::connect(Path::new("archive"), settings, metrics.clone()).await
    });
    let Some(store) = store.await else { return Ok(()) };
    if let Some(housekeeper) = archive::compaction(store.clone(), settings, &role.clock) {
        feed.supervisor.add(housekeeper.stage(AFTER_THE_PIPELINES)).await?;
    }
    let files = archive::sinks(store, settings);
    feed.consume("archive", ArchiveSink::limits(settings), None, files).await
}
