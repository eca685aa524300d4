//! Days of campaigns, compiled once for each database: what was spent on them, and when the next
//! ones begin.

use super::dialect::SPENT_ON_DAYS;
use super::{Connection, failed, fit};
use crate::balances::ledger::rows::Rows;
use penstock::ledger::{LedgerError, next_day, zone};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use std::collections::BTreeSet;

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

/// The campaigns for which a new day may change something, each with its time zone.
pub(super) async fn of_campaigns(tx: &mut Connection) -> Result<Vec<(CampaignId, String)>, LedgerError> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT id, time_zone FROM campaigns c WHERE daily_budget_micros IS NOT NULL
         OR EXISTS (SELECT 1 FROM stops s WHERE s.campaign_id = c.id AND s.reason = 'daily_budget')
         ORDER BY id",
    )
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    rows.into_iter().map(|(id, zone)| Ok((fit(id, "campaign id")?, zone))).collect()
}

/// When the first of these campaigns has its next day.
pub(super) fn next_midnight(campaigns: &[(CampaignId, String)], now: Micros) -> Result<Option<Micros>, LedgerError> {
    let zones: BTreeSet<&str> = campaigns.iter().map(|(_, zone)| zone.as_str()).collect();
    let mut next = None;
    for name in zones {
        let zone = zone(name).map_err(|e| LedgerError::Fatal(e.to_string()))?;
        let midnight = next_day(now, zone);
        next = Some(next.map_or(midnight, |n: Micros| n.min(midnight)));
    }
    Ok(next)
}
