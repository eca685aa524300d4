//! Days of campaigns, compiled once for each database: what was spent on them, and when the next
//! ones begin.

use super::dialect::SPENT_ON_DAYS;
use super::{Connection, failed};
use crate::balances::ledger::rows::Rows;
use penstock::ledger::LedgerError;

/// Campaign, charged and adjusted nanos of these days (campaign, day), as far as there is a row.
pub(super) async fn spent(tx: &mut Connection, days: Rows) -> Result<Vec<(i64, i64, i64)>, LedgerError> {
    let mut spent = Vec::new();
    for part in days.parts() {
        let rows: Vec<(i64, i64, i64)> =
            sqlx::query_as(SPENT_ON_DAYS).bind(part).fetch_all(&mut *tx).await.map_err(failed)?;
        spent.extend(rows);
    }
    Ok(spent)
}
