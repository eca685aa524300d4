//! `penstock consume statistics`: Kafka to ClickHouse, with prices from the ledger's catalogue.

use super::Feed;
use crate::parts::statistics::{self, Server};
use anyhow::Context;
use penstock::settings::Settings;
use penstock_consumers::statistics::limits;

/// Whether the configuration says where to write. Errors: it does not, or a secret cannot be read.
pub fn check(settings: &Settings) -> anyhow::Result<()> {
    server(settings).map(drop)
}

fn server(settings: &Settings) -> anyhow::Result<Server> {
    Server::configured(&settings.statistics)?
        .context("the configuration names neither statistics.url nor statistics.shards: a cluster keeps its statistics in ClickHouse servers")
}

/// Opens what the sink needs, and joins the group.
///
/// Errors: what no waiting mends.
pub async fn start(feed: Feed) -> anyhow::Result<()> {
    let role = &feed.role;
    let server = server(&role.settings)?;
    let Some(books) = feed.books().await else { return Ok(()) };
    let Some(snapshots) = feed.catalogue(&books).await? else { return Ok(()) };
    let rows = statistics::sinks(&server, &role.settings.statistics, &role.clock, &role.registry);
    let limits = limits(&role.settings.statistics);
    feed.consume("statistics", limits, Some(snapshots), rows).await
}
