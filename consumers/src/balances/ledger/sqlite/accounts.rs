//! Reads accounts, inside a write transaction: they hold until it ends.

use super::account::{Accounts, AdvertiserAccounts, complete};
use super::{failed, fit};
use crate::balances::ledger::found::{self, AccountRow};
use crate::balances::ledger::rows::{Rows, ints};
use penstock::ledger::{AdvertiserAccount, AdvertiserId, LedgerError};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use sqlx::SqliteConnection;
use std::collections::BTreeSet;

/// The accounts of these campaigns, as far as they exist, and of their advertisers.
pub(super) async fn of_campaigns(
    tx: &mut SqliteConnection,
    campaigns: &BTreeSet<CampaignId>,
    now: Micros,
) -> Result<(Accounts, AdvertiserAccounts), LedgerError> {
    let ids = ints(campaigns.iter().map(|id| i64::from(*id)));
    let rows: Vec<AccountRow> = sqlx::query_as(
        "SELECT c.id, c.advertiser_id, c.time_zone, c.charged_nanos, c.adjusted_nanos,
                c.total_budget_micros, c.daily_budget_micros
         FROM json_each(?1) j CROSS JOIN campaigns c ON c.id = j.value",
    )
    .bind(&ids)
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    let mut accounts = Accounts::new();
    let mut days = Rows::default();
    for row in rows {
        let (id, account) = found::account(row, now, &mut days)?;
        accounts.insert(id, account);
    }
    complete(tx, &mut accounts, days, &ids).await?;
    let payers: BTreeSet<AdvertiserId> = accounts.values().map(|a| a.advertiser).collect();
    let advertisers = advertisers(tx, &payers).await?;
    Ok((accounts, advertisers))
}

/// The accounts of these advertisers, as far as they exist.
pub(super) async fn advertisers(
    tx: &mut SqliteConnection,
    ids: &BTreeSet<AdvertiserId>,
) -> Result<AdvertiserAccounts, LedgerError> {
    let rows: Vec<(i64, i64, Option<i64>, bool)> = sqlx::query_as(
        "SELECT a.id, a.spent_nanos, a.balance_micros,
                EXISTS (SELECT 1 FROM stops s WHERE s.campaign_id = 0 AND s.advertiser_id = a.id)
         FROM json_each(?1) j CROSS JOIN advertisers a ON a.id = j.value",
    )
    .bind(ints(ids.iter().map(|id| i64::from(*id))))
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    rows.into_iter()
        .map(|(id, spent, balance, stopped)| {
            Ok((fit(id, "advertiser id")?, AdvertiserAccount { spent, balance, stopped }))
        })
        .collect()
}
