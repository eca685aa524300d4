//! Reads accounts, and brings the budget reasons of campaigns and advertisers in line with them.

use super::{failed, fit};
use crate::balances::ledger::checks::{SELF, reached_note};
use crate::balances::ledger::found::{self, AccountRow};
use crate::balances::ledger::rows::{Rows, ints};
use penstock::ledger::{Account, AdvertiserAccount, AdvertiserId, DayAccount, LedgerError, Reason};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};

pub(super) type Accounts = BTreeMap<CampaignId, Account>;
pub(super) type AdvertiserAccounts = BTreeMap<AdvertiserId, AdvertiserAccount>;

/// The accounts of these campaigns, as far as they exist, and of their advertisers.
pub(super) async fn accounts(
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
    today(tx, days, &mut accounts).await?;
    let reasons: Vec<(i64, String)> = sqlx::query_as(
        "SELECT s.campaign_id, s.reason FROM json_each(?1) j CROSS JOIN stops s
         ON s.campaign_id = j.value AND s.advertiser_id = 0",
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
    let payers: BTreeSet<AdvertiserId> = accounts.values().map(|a| a.advertiser).collect();
    let advertisers = advertisers(tx, &payers).await?;
    Ok((accounts, advertisers))
}

async fn today(tx: &mut SqliteConnection, days: Rows, accounts: &mut Accounts) -> Result<(), LedgerError> {
    for part in days.parts() {
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
            "SELECT d.campaign_id, d.charged_nanos, d.adjusted_nanos
             FROM json_each(?1) j CROSS JOIN campaign_days d
             ON d.campaign_id = j.value ->> 0 AND d.day = j.value ->> 1",
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

/// Adds and takes away `total_budget` and `daily_budget` of these campaigns as their accounts
/// say now. `operator` and `overflow` are not touched. Returns how many reasons changed.
pub(super) async fn settle(
    tx: &mut SqliteConnection,
    campaigns: &BTreeSet<CampaignId>,
    now: Micros,
) -> Result<usize, LedgerError> {
    let (accounts, _) = accounts(tx, campaigns, now).await?;
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
    tx: &mut SqliteConnection,
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
pub(super) async fn exhaust(tx: &mut SqliteConnection, id: AdvertiserId, now: Micros) -> Result<(), LedgerError> {
    sqlx::query("INSERT INTO stops (advertiser_id, reason, since, who, note) VALUES (?1, 'balance', ?2, ?3, ?4)")
        .bind(id)
        .bind(now.0)
        .bind(SELF)
        .bind(reached_note(Reason::Balance))
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}

async fn replenish(tx: &mut SqliteConnection, id: AdvertiserId) -> Result<(), LedgerError> {
    sqlx::query("DELETE FROM stops WHERE campaign_id = 0 AND advertiser_id = ?1 AND reason = 'balance'")
        .bind(id)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}

pub(super) async fn add_stop(
    tx: &mut SqliteConnection,
    id: CampaignId,
    reason: Reason,
    now: Micros,
    who: &str,
    note: &str,
) -> Result<(), LedgerError> {
    sqlx::query("INSERT INTO stops (campaign_id, reason, since, who, note) VALUES (?1, ?2, ?3, ?4, ?5)")
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

pub(super) async fn remove_stop(tx: &mut SqliteConnection, id: CampaignId, reason: Reason) -> Result<(), LedgerError> {
    sqlx::query("DELETE FROM stops WHERE campaign_id = ?1 AND advertiser_id = 0 AND reason = ?2")
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
    tx: &mut SqliteConnection,
    told: Told,
    cause: Option<Micros>,
    now: Micros,
) -> Result<(), LedgerError> {
    let (campaign, advertiser) = match told {
        Told::Campaign(id) => (id, 0),
        Told::Advertiser(id) => (0, id),
    };
    sqlx::query("INSERT INTO outbox (campaign_id, advertiser_id, cause_received, created_at) VALUES (?1, ?2, ?3, ?4)")
        .bind(campaign)
        .bind(advertiser)
        .bind(cause.map(|t| t.0))
        .bind(now.0)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}
