//! The balances sink of the cluster.

use super::Feed;

/// Opens what the sink writes to, and joins the group.
///
/// Errors: what no waiting mends.
pub async fn start(feed: Feed) -> anyhow::Result<()> {
    let Feed { role, supervisor: _, pipelines } = feed;
    pipelines.set(Vec::new());
    role.board.waits("kafka", "this build does not read from Kafka yet");
    Ok(())
}
