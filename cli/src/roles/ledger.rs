//! The ledger of a cluster: MariaDB, waited for.

use super::board;
use super::process::Role;
use anyhow::bail;
use penstock::settings::Settings;
use penstock_consumers::balances::ledger::{AnyLedger, open};
use std::path::Path;

/// Whether the configuration names a ledger that several processes can share.
///
/// Errors: it names none, or its password cannot be read.
pub fn check(settings: &Settings) -> anyhow::Result<()> {
    if settings.ledger.url.is_none() {
        bail!("the configuration names no ledger.url: a cluster keeps its ledger in MariaDB");
    }
    settings.ledger.password.read("ledger.password")?;
    Ok(())
}

/// Opens it; waits while it is away. `None` when the process is to stop first.
pub async fn wait(role: &Role) -> Option<AnyLedger> {
    let settings = &role.settings.ledger;
    board::until(&role.board, "ledger", &role.stop, async || {
        // With a URL the file is not looked at.
        open(settings, Path::new(""), role.clock.clone()).await
    })
    .await
}
