//! Adjustments and what each does to the accounts, compiled once for each database.
//!
//! Names that MariaDB reserves stand in grave accents; SQLite takes these too.

use super::account::{Accounts, AdvertiserAccounts};
use super::dialect::{ADJUST_DAY, COUNT_CHANGE};
use super::settle::{settle, settle_balances};
use super::{Connection, changes, failed};
use crate::balances::ledger::found::{self, AdjustmentRow};
use penstock::ledger::{Adjustment, AdvertiserId, Change, LedgerError, NewAdjustment};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use std::collections::BTreeSet;

/// The adjustment that a key was used for, if that is the same one.
pub(super) fn same(first: Adjustment, new: &NewAdjustment) -> Result<Adjustment, LedgerError> {
    if first.made == *new {
        return Ok(first);
    }
    Err(LedgerError::Refused(format!("the key `{}` was used for another adjustment", new.key)))
}

/// Who pays for the campaign, if both accounts have room for the amount.
pub(super) fn payer(
    new: &NewAdjustment,
    campaigns: &Accounts,
    advertisers: &AdvertiserAccounts,
) -> Result<AdvertiserId, LedgerError> {
    let id = new.campaign_id;
    let missing = || LedgerError::NotFound(format!("campaign {id}"));
    let account = campaigns.get(&id).ok_or_else(missing)?;
    let payer = advertisers.get(&account.advertiser).ok_or_else(missing)?;
    let fits = account.adjusted.checked_add(new.amount_nanos).and_then(|sum| sum.checked_add(account.charged));
    let spent = fits.and(payer.spent.checked_add(new.amount_nanos));
    if spent.is_none() {
        return Err(LedgerError::Refused(format!(
            "{} nanos would not fit the account of campaign {id}",
            new.amount_nanos
        )));
    }
    Ok(account.advertiser)
}

/// Adds the row. Errors as they come: what a key that is there means is each database's own.
pub(super) async fn insert(
    tx: &mut Connection,
    new: &NewAdjustment,
    change: &Change,
    now: Micros,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO adjustments (`key`, campaign_id, kind, amount_nanos, day, at, who, why)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&new.key)
    .bind(new.campaign_id)
    .bind(new.kind.name())
    .bind(new.amount_nanos)
    .bind(new.day.map(|d| d.to_string()))
    .bind(now.0)
    .bind(&change.who)
    .bind(&change.why)
    .execute(tx)
    .await?;
    Ok(())
}

/// Adds the amount to the accounts, and to the day when it is of one.
pub(super) async fn book(
    tx: &mut Connection,
    new: &NewAdjustment,
    advertiser: AdvertiserId,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE advertisers SET spent_nanos = spent_nanos + ? WHERE id = ?")
        .bind(new.amount_nanos)
        .bind(advertiser)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    sqlx::query("UPDATE campaigns SET adjusted_nanos = adjusted_nanos + ? WHERE id = ?")
        .bind(new.amount_nanos)
        .bind(new.campaign_id)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    if let Some(day) = new.day {
        sqlx::query(ADJUST_DAY)
            .bind(new.campaign_id)
            .bind(day.to_string())
            .bind(new.amount_nanos)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
    }
    sqlx::query(COUNT_CHANGE).bind(new.campaign_id).execute(tx).await.map_err(failed)?;
    Ok(())
}

/// Settles what the amount has moved, and writes the audit. Returns the adjustment as it is kept.
pub(super) async fn finish(
    tx: &mut Connection,
    new: &NewAdjustment,
    advertiser: AdvertiserId,
    change: &Change,
    now: Micros,
) -> Result<Adjustment, LedgerError> {
    let id = new.campaign_id;
    settle(tx, &BTreeSet::from([id]), now).await?;
    settle_balances(tx, &BTreeSet::from([advertiser]), now).await?;
    let made = by_key(tx, &new.key).await?.ok_or_else(|| LedgerError::Fatal("the adjustment is not there".into()))?;
    changes::audit(tx, now, change, "adjust", &format!("campaign {id}"), "null", &found::json(&made)?).await?;
    Ok(made)
}

/// The adjustment that was made under a key.
pub(super) async fn by_key(tx: &mut Connection, key: &str) -> Result<Option<Adjustment>, LedgerError> {
    let row: Option<AdjustmentRow> = sqlx::query_as(
        "SELECT id, `key`, campaign_id, kind, amount_nanos, day, at, who, why FROM adjustments WHERE `key` = ?",
    )
    .bind(key)
    .fetch_optional(tx)
    .await
    .map_err(failed)?;
    row.map(found::adjustment).transpose()
}

pub(super) async fn list(tx: &mut Connection, id: CampaignId, limit: u32) -> Result<Vec<Adjustment>, LedgerError> {
    let rows: Vec<AdjustmentRow> = sqlx::query_as(
        "SELECT id, `key`, campaign_id, kind, amount_nanos, day, at, who, why FROM adjustments
         WHERE campaign_id = ? ORDER BY id DESC LIMIT ?",
    )
    .bind(id)
    .bind(limit)
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    rows.into_iter().map(found::adjustment).collect()
}
