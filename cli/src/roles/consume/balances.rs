//! `penstock consume balances`: Kafka to the ledger, and the ledger's decisions to campaign-state.
//!
//! Several may run: partitions are shared out by the group, the publisher's place by the ledger.

use super::{Feed, PUBLISHERS, TIMERS};
use penstock_consumers::balances::KafkaStateLog;

/// Opens what the sink needs, and joins the group.
///
/// Errors: what no waiting mends.
pub async fn start(feed: Feed) -> anyhow::Result<()> {
    let Some(books) = feed.books().await else { return Ok(()) };
    let Some(snapshots) = feed.catalogue(&books).await? else { return Ok(()) };
    feed.supervisor.add(books.keeper().stage(TIMERS)).await?;
    let kafka = feed.role.settings.kafka.clone();
    let publisher = books.publisher(move || {
        let logs = KafkaStateLog::states(&kafka).and_then(|states| Ok((states, KafkaStateLog::kpis(&kafka)?)));
        logs.map_err(|e| e.to_string())
    });
    feed.supervisor.add(publisher.stage(PUBLISHERS)).await?;
    feed.consume("balances", books.limits(), Some(snapshots), books.sinks()).await
}
