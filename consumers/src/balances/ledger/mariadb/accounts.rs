//! Locks accounts and reads them, in the order of locks.

use super::account::{Accounts, AdvertiserAccounts, complete};
use super::{failed, fit};
use crate::balances::ledger::found::{self, AccountRow};
use crate::balances::ledger::rows::{Rows, ints};
use penstock::ledger::{AdvertiserAccount, AdvertiserId, LedgerError};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use sqlx::MySqlConnection;
use std::collections::{BTreeMap, BTreeSet};

/// Who pays for a campaign.
pub(super) type Payers = BTreeMap<CampaignId, AdvertiserId>;

fn list<'a>(ids: impl IntoIterator<Item = &'a u32>) -> String {
    ints(ids.into_iter().map(|id| i64::from(*id)))
}

/// Who pays for these campaigns, as far as they exist. Takes no lock: a campaign that exists stays,
/// and that it moved to another advertiser meanwhile is seen by [`accounts`].
pub(super) async fn payers(tx: &mut MySqlConnection, campaigns: &BTreeSet<CampaignId>) -> Result<Payers, LedgerError> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT c.id, c.advertiser_id FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) j
         STRAIGHT_JOIN campaigns c FORCE INDEX (PRIMARY) ON c.id = j.id",
    )
    .bind(list(campaigns))
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    rows.into_iter().map(|(id, payer)| Ok((fit(id, "campaign id")?, fit(payer, "advertiser_id")?))).collect()
}

/// Locks these campaigns and their advertisers, and reads their accounts.
pub(super) async fn accounts(
    tx: &mut MySqlConnection,
    payers: &Payers,
    now: Micros,
) -> Result<(Accounts, AdvertiserAccounts), LedgerError> {
    let advertisers = advertisers(tx, &payers.values().copied().collect()).await?;
    let ids = list(payers.keys());
    let rows: Vec<AccountRow> = sqlx::query_as(
        "SELECT c.id, c.advertiser_id, c.time_zone, c.charged_nanos, c.adjusted_nanos,
                c.total_budget_micros, c.daily_budget_micros
         FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) j
         STRAIGHT_JOIN campaigns c FORCE INDEX (PRIMARY) ON c.id = j.id FOR UPDATE",
    )
    .bind(&ids)
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    let mut accounts = Accounts::new();
    let mut days = Rows::default();
    for row in rows {
        let (id, account) = found::account(row, now, &mut days)?;
        if payers.get(&id) != Some(&account.advertiser) {
            return Err(LedgerError::Busy(format!(
                "campaign {id} has just moved to advertiser {}",
                account.advertiser
            )));
        }
        accounts.insert(id, account);
    }
    complete(tx, &mut accounts, days, &ids).await?;
    Ok((accounts, advertisers))
}

/// Locks and reads the accounts of these campaigns, as far as they exist, and of their advertisers.
pub(super) async fn of_campaigns(
    tx: &mut MySqlConnection,
    campaigns: &BTreeSet<CampaignId>,
    now: Micros,
) -> Result<(Accounts, AdvertiserAccounts), LedgerError> {
    let payers = payers(tx, campaigns).await?;
    accounts(tx, &payers, now).await
}

/// Locks these advertisers, as far as they exist, and reads their accounts.
pub(super) async fn advertisers(
    tx: &mut MySqlConnection,
    ids: &BTreeSet<AdvertiserId>,
) -> Result<AdvertiserAccounts, LedgerError> {
    let ids = list(ids);
    let rows: Vec<(i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT a.id, a.spent_nanos, a.balance_micros
         FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) j
         STRAIGHT_JOIN advertisers a FORCE INDEX (PRIMARY) ON a.id = j.id FOR UPDATE",
    )
    .bind(&ids)
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    // A statement of its own: one that waits for a lock would show the stops of before the wait.
    let stopped: Vec<i64> = sqlx::query_scalar(
        "SELECT s.advertiser_id FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) j
         STRAIGHT_JOIN stops s FORCE INDEX (PRIMARY) ON s.campaign_id = 0 AND s.advertiser_id = j.id",
    )
    .bind(&ids)
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    rows.into_iter()
        .map(|(id, spent, balance)| {
            let stopped = stopped.contains(&id);
            Ok((fit(id, "advertiser id")?, AdvertiserAccount { spent, balance, stopped }))
        })
        .collect()
}
