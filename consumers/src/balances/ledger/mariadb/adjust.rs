//! Adjustments: money given back or taken later, append-only.

use super::settle::{accounts, payers, settle, settle_balances};
use super::{MariaDbLedger, Tx, control, failed};
use crate::balances::ledger::checks;
use crate::balances::ledger::found::{self, AdjustmentRow};
use penstock::ledger::{Adjustment, AdvertiserId, Change, LedgerError, NewAdjustment};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use sqlx::MySqlConnection;
use std::collections::BTreeSet;

pub(super) async fn adjust(
    ledger: &MariaDbLedger,
    new: &NewAdjustment,
    change: &Change,
) -> Result<Adjustment, LedgerError> {
    checks::change(change)?;
    checks::adjustment(new)?;
    ledger.retried(|| attempt(ledger, new, change)).await
}

async fn attempt(ledger: &MariaDbLedger, new: &NewAdjustment, change: &Change) -> Result<Adjustment, LedgerError> {
    let now = ledger.now();
    let mut tx = ledger.begin().await?;
    let id = new.campaign_id;
    let missing = || LedgerError::NotFound(format!("campaign {id}"));
    let payers = payers(&mut tx, &BTreeSet::from([id])).await?;
    let (campaigns, advertisers) = accounts(&mut tx, &payers, now).await?;
    // Behind the campaign's lock: of two calls with one key and one campaign the second finds it.
    if let Some(first) = by_key(&mut tx, &new.key).await? {
        tx.rollback().await?;
        if first.made == *new {
            return Ok(first);
        }
        return Err(LedgerError::Refused(format!("the key `{}` was used for another adjustment", new.key)));
    }
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
    write(&mut tx, new, change, account.advertiser, now).await?;
    settle(&mut tx, &BTreeSet::from([id]), now).await?;
    settle_balances(&mut tx, &BTreeSet::from([account.advertiser]), now).await?;
    let made =
        by_key(&mut tx, &new.key).await?.ok_or_else(|| LedgerError::Fatal("the adjustment is not there".into()))?;
    control::audit(&mut tx, now, change, "adjust", &format!("campaign {id}"), "null", &found::json(&made)?).await?;
    tx.commit().await?;
    ledger.ring();
    Ok(made)
}

async fn write(
    tx: &mut Tx,
    new: &NewAdjustment,
    change: &Change,
    advertiser: AdvertiserId,
    now: Micros,
) -> Result<(), LedgerError> {
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
    .execute(&mut **tx)
    .await
    .map_err(|error| match &error {
        // Somebody has just used the key for another campaign; the next attempt says so.
        sqlx::Error::Database(e) if e.is_unique_violation() => LedgerError::Busy(error.to_string()),
        _ => failed(error),
    })?;
    sqlx::query("UPDATE advertisers SET spent_nanos = spent_nanos + ? WHERE id = ?")
        .bind(new.amount_nanos)
        .bind(advertiser)
        .execute(&mut **tx)
        .await
        .map_err(failed)?;
    sqlx::query("UPDATE campaigns SET adjusted_nanos = adjusted_nanos + ? WHERE id = ?")
        .bind(new.amount_nanos)
        .bind(new.campaign_id)
        .execute(&mut **tx)
        .await
        .map_err(failed)?;
    if let Some(day) = new.day {
        sqlx::query(
            "INSERT INTO campaign_days (campaign_id, day, adjusted_nanos) VALUES (?, ?, ?)
             ON DUPLICATE KEY UPDATE adjusted_nanos = adjusted_nanos + VALUES(adjusted_nanos)",
        )
        .bind(new.campaign_id)
        .bind(day.to_string())
        .bind(new.amount_nanos)
        .execute(&mut **tx)
        .await
        .map_err(failed)?;
    }
    sqlx::query(
        "INSERT INTO campaign_kpis (campaign_id, sequence) VALUES (?, 1)
         ON DUPLICATE KEY UPDATE sequence = sequence + 1",
    )
    .bind(new.campaign_id)
    .execute(&mut **tx)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn by_key(tx: &mut MySqlConnection, key: &str) -> Result<Option<Adjustment>, LedgerError> {
    let row: Option<AdjustmentRow> = sqlx::query_as(
        "SELECT id, `key`, campaign_id, kind, amount_nanos, day, at, who, why FROM adjustments WHERE `key` = ?",
    )
    .bind(key)
    .fetch_optional(tx)
    .await
    .map_err(failed)?;
    row.map(found::adjustment).transpose()
}

pub(super) async fn list(tx: &mut MySqlConnection, id: CampaignId, limit: u32) -> Result<Vec<Adjustment>, LedgerError> {
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
