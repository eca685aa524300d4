//! Rows of `stops`, compiled once for each database: why a campaign does not serve.

use super::dialect::STOPS_OF_CAMPAIGNS;
use super::{Connection, failed, fit};
use crate::balances::ledger::checks::{SELF, reached_note};
use penstock::ledger::{AdvertiserId, LedgerError, Reason};
use penstock::pricing::CampaignId;
use penstock::time::Micros;

/// The reasons of campaigns, a JSON list, without those of their advertisers.
pub(super) async fn held(tx: &mut Connection, campaigns: &str) -> Result<Vec<(CampaignId, Reason)>, LedgerError> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as(STOPS_OF_CAMPAIGNS).bind(campaigns).fetch_all(tx).await.map_err(failed)?;
    rows.into_iter().map(|(id, reason)| Ok((fit(id, "campaign id")?, Reason::from_name(&reason)))).collect()
}

/// Stops all campaigns of an advertiser, as one row.
pub(super) async fn exhaust(tx: &mut Connection, id: AdvertiserId, now: Micros) -> Result<(), LedgerError> {
    sqlx::query("INSERT INTO stops (advertiser_id, reason, since, who, note) VALUES (?, 'balance', ?, ?, ?)")
        .bind(id)
        .bind(now.0)
        .bind(SELF)
        .bind(reached_note(Reason::Balance))
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}

pub(super) async fn replenish(tx: &mut Connection, id: AdvertiserId) -> Result<(), LedgerError> {
    sqlx::query("DELETE FROM stops WHERE campaign_id = 0 AND advertiser_id = ? AND reason = 'balance'")
        .bind(id)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}

pub(super) async fn add_stop(
    tx: &mut Connection,
    id: CampaignId,
    reason: Reason,
    now: Micros,
    who: &str,
    note: &str,
) -> Result<(), LedgerError> {
    sqlx::query("INSERT INTO stops (campaign_id, reason, since, who, note) VALUES (?, ?, ?, ?, ?)")
        .bind(id)
        .bind(reason.name())
        .bind(now.0)
        .bind(who)
        .bind(note)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}

pub(super) async fn remove_stop(tx: &mut Connection, id: CampaignId, reason: Reason) -> Result<(), LedgerError> {
    sqlx::query("DELETE FROM stops WHERE campaign_id = ? AND advertiser_id = 0 AND reason = ?")
        .bind(id)
        .bind(reason.name())
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}
