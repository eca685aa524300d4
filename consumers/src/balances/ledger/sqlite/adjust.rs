//! Adjustments: money given back or taken later, append-only.

use super::settle::{accounts, settle, settle_balances};
use super::{SqliteLedger, begin, control, failed};
use crate::balances::ledger::checks;
use crate::balances::ledger::found::{self, AdjustmentRow};
use penstock::ledger::{Adjustment, Change, LedgerError, NewAdjustment};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use sqlx::SqliteConnection;
use std::collections::BTreeSet;

pub(super) async fn adjust(
    ledger: &SqliteLedger,
    new: &NewAdjustment,
    change: &Change,
) -> Result<Adjustment, LedgerError> {
    checks::change(change)?;
    checks::adjustment(new)?;
    let now = ledger.now();
    let mut writer = ledger.writer().await;
    let mut tx = begin(&mut writer).await?;
    if let Some(first) = by_key(&mut tx, &new.key).await? {
        if first.made == *new {
            return Ok(first);
        }
        return Err(LedgerError::Refused(format!("the key `{}` was used for another adjustment", new.key)));
    }
    let id = new.campaign_id;
    let (campaigns, payers) = accounts(&mut tx, &BTreeSet::from([id]), now).await?;
    let missing = || LedgerError::NotFound(format!("campaign {id}"));
    let account = campaigns.get(&id).ok_or_else(missing)?;
    let payer = payers.get(&account.advertiser).ok_or_else(missing)?;
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
    let after = found::json(&made)?;
    control::audit(&mut tx, now, change, "adjust", &format!("campaign {id}"), "null", &after).await?;
    tx.commit().await.map_err(failed)?;
    ledger.ring();
    Ok(made)
}

async fn write(
    tx: &mut SqliteConnection,
    new: &NewAdjustment,
    change: &Change,
    advertiser: u32,
    now: Micros,
) -> Result<(), LedgerError> {
    sqlx::query("UPDATE advertisers SET spent_nanos = spent_nanos + ?2 WHERE id = ?1")
        .bind(advertiser)
        .bind(new.amount_nanos)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    sqlx::query("UPDATE campaigns SET adjusted_nanos = adjusted_nanos + ?2 WHERE id = ?1")
        .bind(new.campaign_id)
        .bind(new.amount_nanos)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    if let Some(day) = new.day {
        sqlx::query(
            "INSERT INTO campaign_days (campaign_id, day, adjusted_nanos) VALUES (?1, ?2, ?3)
             ON CONFLICT (campaign_id, day) DO UPDATE SET adjusted_nanos = adjusted_nanos + excluded.adjusted_nanos",
        )
        .bind(new.campaign_id)
        .bind(day.to_string())
        .bind(new.amount_nanos)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    }
    sqlx::query(
        "INSERT INTO campaign_kpis (campaign_id, sequence) VALUES (?1, 1)
         ON CONFLICT (campaign_id) DO UPDATE SET sequence = sequence + 1",
    )
    .bind(new.campaign_id)
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    sqlx::query(
        "INSERT INTO adjustments (key, campaign_id, kind, amount_nanos, day, at, who, why)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(&new.key)
    .bind(new.campaign_id)
    .bind(new.kind.name())
    .bind(new.amount_nanos)
    .bind(new.day.map(|d| d.to_string()))
    .bind(now.0)
    .bind(&change.who)
    .bind(&change.why)
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn by_key(tx: &mut SqliteConnection, key: &str) -> Result<Option<Adjustment>, LedgerError> {
    let row: Option<AdjustmentRow> = sqlx::query_as(
        "SELECT id, key, campaign_id, kind, amount_nanos, day, at, who, why FROM adjustments WHERE key = ?1",
    )
    .bind(key)
    .fetch_optional(tx)
    .await
    .map_err(failed)?;
    row.map(found::adjustment).transpose()
}

pub(super) async fn list(
    tx: &mut SqliteConnection,
    id: CampaignId,
    limit: u32,
) -> Result<Vec<Adjustment>, LedgerError> {
    let rows: Vec<AdjustmentRow> = sqlx::query_as(
        "SELECT id, key, campaign_id, kind, amount_nanos, day, at, who, why FROM adjustments
         WHERE campaign_id = ?1 ORDER BY id DESC LIMIT ?2",
    )
    .bind(id)
    .bind(limit)
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    rows.into_iter().map(found::adjustment).collect()
}
