//! The pipelines of a sink over the partitions that the consumer group assigns to this process.

use super::Feed;
use crate::parts::Maker;
use penstock::log::Limits;
use penstock::pipeline::Sink;
use penstock::pricing::Snapshot;
use std::sync::Arc;
use tokio::sync::watch;

impl Feed {
    /// Joins the group of `sink` and runs a pipeline for each partition while it is ours.
    ///
    /// Errors: the configuration cannot be used.
    pub async fn consume<S: Sink + 'static>(
        &self,
        _sink: &'static str,
        _limits: Limits,
        _catalogue: Option<watch::Receiver<Arc<Snapshot>>>,
        _make: impl Maker<S>,
    ) -> anyhow::Result<()> {
        self.role.board.waits("kafka", "this build does not read from Kafka yet");
        Ok(())
    }
}
