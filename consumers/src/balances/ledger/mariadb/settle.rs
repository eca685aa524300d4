//! Locks and reads accounts, and brings the budget reasons of campaigns and advertisers in line
//! with them.

use super::{failed, fit};
use crate::balances::ledger::checks::{SELF, reached_note};
use crate::balances::ledger::found::{self, AccountRow};
use crate::balances::ledger::rows::{Rows, ints};
use penstock::ledger::{Account, AdvertiserAccount, AdvertiserId, DayAccount, LedgerError, Reason};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use sqlx::MySqlConnection;
use std::collections::{BTreeMap, BTreeSet};

pub(super) type Accounts = BTreeMap<CampaignId, Account>;
pub(super) type AdvertiserAccounts = BTreeMap<AdvertiserId, AdvertiserAccount>;
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
    today(tx, days, &mut accounts).await?;
    let reasons: Vec<(i64, String)> = sqlx::query_as(
        "SELECT s.campaign_id, s.reason FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) j
         STRAIGHT_JOIN stops s FORCE INDEX (PRIMARY) ON s.campaign_id = j.id AND s.advertiser_id = 0",
    )
    .bind(&ids)
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    for (id, reason) in reasons {
        if let Some(account) = accounts.get_mut(&fit(id, "campaign id")?) {
            account.reasons.insert(Reason::from_name(&reason));
        }
    }
    Ok((accounts, advertisers))
}

async fn today(tx: &mut MySqlConnection, days: Rows, accounts: &mut Accounts) -> Result<(), LedgerError> {
    for part in days.parts() {
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
            "SELECT d.campaign_id, d.charged_nanos, d.adjusted_nanos
             FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$[0]', day VARCHAR(16) PATH '$[1]')) j
             STRAIGHT_JOIN campaign_days d FORCE INDEX (PRIMARY) ON d.campaign_id = j.id AND d.day = j.day",
        )
        .bind(part)
        .fetch_all(&mut *tx)
        .await
        .map_err(failed)?;
        for (id, charged, adjusted) in rows {
            if let Some(account) = accounts.get_mut(&fit(id, "campaign id")?) {
                account.today = DayAccount { charged, adjusted };
            }
        }
    }
    Ok(())
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

/// Adds and takes away `total_budget` and `daily_budget` of these campaigns as their accounts
/// say now. `operator` and `overflow` are not touched. Returns how many reasons changed.
pub(super) async fn settle(
    tx: &mut MySqlConnection,
    campaigns: &BTreeSet<CampaignId>,
    now: Micros,
) -> Result<usize, LedgerError> {
    let payers = payers(tx, campaigns).await?;
    let (accounts, _) = accounts(tx, &payers, now).await?;
    let mut changes = 0;
    for (id, account) in &accounts {
        let due = account.due();
        let mut changed = false;
        for reason in [Reason::TotalBudget, Reason::DailyBudget] {
            match (due.contains(&reason), account.reasons.contains(&reason)) {
                (true, false) => add_stop(tx, *id, reason, now, SELF, reached_note(reason)).await?,
                (false, true) => remove_stop(tx, *id, reason).await?,
                _ => continue,
            }
            changed = true;
            changes += 1;
        }
        if changed {
            announce(tx, Told::Campaign(*id), None, now).await?;
        }
    }
    Ok(changes)
}

/// The same for the advertisers' `balance`.
pub(super) async fn settle_balances(
    tx: &mut MySqlConnection,
    ids: &BTreeSet<AdvertiserId>,
    now: Micros,
) -> Result<usize, LedgerError> {
    let mut changes = 0;
    for (id, account) in advertisers(tx, ids).await? {
        let due = account.exhausted();
        if due == account.stopped {
            continue;
        }
        if due {
            exhaust(tx, id, now).await?
        } else {
            replenish(tx, id).await?
        }
        announce(tx, Told::Advertiser(id), None, now).await?;
        changes += 1;
    }
    Ok(changes)
}

/// Stops all campaigns of an advertiser, as one row.
pub(super) async fn exhaust(tx: &mut MySqlConnection, id: AdvertiserId, now: Micros) -> Result<(), LedgerError> {
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

async fn replenish(tx: &mut MySqlConnection, id: AdvertiserId) -> Result<(), LedgerError> {
    sqlx::query("DELETE FROM stops WHERE campaign_id = 0 AND advertiser_id = ? AND reason = 'balance'")
        .bind(id)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}

pub(super) async fn add_stop(
    tx: &mut MySqlConnection,
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

pub(super) async fn remove_stop(tx: &mut MySqlConnection, id: CampaignId, reason: Reason) -> Result<(), LedgerError> {
    sqlx::query("DELETE FROM stops WHERE campaign_id = ? AND advertiser_id = 0 AND reason = ?")
        .bind(id)
        .bind(reason.name())
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Whose state is told: one campaign's, or that of all campaigns of an advertiser, which is one
/// row that the publisher expands.
#[derive(Clone, Copy)]
pub(super) enum Told {
    Campaign(CampaignId),
    Advertiser(AdvertiserId),
}

/// Puts a state on the outbox. `cause` is when the exhausting event was received.
pub(super) async fn announce(
    tx: &mut MySqlConnection,
    told: Told,
    cause: Option<Micros>,
    now: Micros,
) -> Result<(), LedgerError> {
    let (campaign, advertiser) = match told {
        Told::Campaign(id) => (id, 0),
        Told::Advertiser(id) => (0, id),
    };
    sqlx::query("INSERT INTO outbox (campaign_id, advertiser_id, cause_received, created_at) VALUES (?, ?, ?, ?)")
        .bind(campaign)
        .bind(advertiser)
        .bind(cause.map(|t| t.0))
        .bind(now.0)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}
