//! The catalogue: read from a file, imported into the ledger, handed to all sinks as snapshots.

mod feed;
mod parse;

pub use feed::{FeedError, SnapshotFeed};
pub use parse::{ParseError, parse};

use penstock::ledger::{Catalogue, Change, ImportReport, Ledger, LedgerError};
use penstock::time::Clock;
use std::time::Duration;

/// Imports a catalogue and returns when events that come in are priced by it.
///
/// `lead` must be the one that the snapshot feeds of all consumers use (`balances.known_lead`).
/// Errors: [`LedgerError::Refused`] with the first broken rule; nothing is changed then.
pub async fn import<L: Ledger>(
    ledger: &L,
    catalogue: &Catalogue,
    lead: Duration,
    change: &Change,
    clock: &dyn Clock,
) -> Result<ImportReport, LedgerError> {
    let report = ledger.import(catalogue, lead, change).await?;
    wait_known(&report, clock).await;
    Ok(report)
}

/// Waits until the prices of an import hold for events received from now on.
pub async fn wait_known(report: &ImportReport, clock: &dyn Clock) {
    let Some(known_from) = report.known_from else { return };
    loop {
        let left = known_from.since(clock.now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left).await;
    }
}
