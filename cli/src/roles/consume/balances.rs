//! `penstock consume balances`: Kafka to the ledger, and the ledger's decisions to campaign-state.
//!
//! Several may run: partitions are shared out by the group, the publisher's place by the ledger.

use super::{Feed, PUBLISHERS, TIMERS};

/// Opens what the sink needs, and joins the group.
///
/// Errors: what no waiting mends.
pub async fn start(feed: Feed) -> anyhow::Result<()> {
    let Some(books) = feed.books().await else { return Ok(()) };
    let Some(snapshots) = feed.catalogue(&books).await? else { return Ok(()) };
    feed.supervisor.add(books.keeper().stage(TIMERS)).await?;
    let _ = PUBLISHERS;
    feed.consume("balances", books.limits(), Some(snapshots), books.sinks()).await
}
