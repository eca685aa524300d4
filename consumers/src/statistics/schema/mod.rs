//! The tables of `schemas/clickhouse`: made when they are not there, compared with what is.

mod diff;
mod found;
mod layout;
mod template;

pub use diff::{Change, check};
pub use layout::{Cluster, Layout, Wanted};

use clickhouse::Client;
use clickhouse::error::Result;
use tokio::sync::Mutex;

/// The pipelines of a process start at once: one makes the tables, the others find them.
static ONE: Mutex<()> = Mutex::const_new(());

/// Makes the database and what it lacks; never changes what is there, which is
/// `penstock migrate statistics`'s to do.
///
/// Two processes may do so at once: every statement can be repeated. On a cluster, statements go to
/// all servers, but only when this one lacks something: with a server away they would wait for it.
///
/// Errors: ClickHouse's.
pub async fn apply(client: &Client, layout: &Layout) -> Result<()> {
    // The database may not be there yet, so nothing may name it as the current one.
    let client = client.clone().with_database("default");
    let _one = ONE.lock().await;
    let there: Vec<String> =
        client.query("SELECT name FROM system.tables WHERE database = ?").bind(&layout.database).fetch_all().await?;
    let wanted = layout.wanted();
    if wanted.iter().all(|w| there.iter().any(|name| name == w.name)) {
        return Ok(());
    }
    client.query_raw(&layout.create_database()).execute().await?;
    for Wanted { name, create } in wanted {
        if !there.iter().any(|n| n == name) {
            client.query_raw(&create).execute().await?;
            tracing::info!(name, database = layout.database, "made in ClickHouse");
        }
    }
    Ok(())
}
