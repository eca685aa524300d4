//! What people change: stop, resume, budgets, balances. Each with its row in the audit.

use super::settle::{Told, add_stop, announce, remove_stop, settle, settle_balances};
use super::{SqliteLedger, begin, failed, views};
use crate::balances::ledger::{checks, found};
use penstock::ledger::{AdvertiserId, AdvertiserView, Budget, CampaignView, Change, LedgerError, Reason};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use sqlx::SqliteConnection;
use std::collections::BTreeSet;

/// Adds (`stop`) or takes away the reason `operator`; nothing changes when it is so already.
pub(super) async fn operate(
    ledger: &SqliteLedger,
    id: CampaignId,
    stop: bool,
    change: &Change,
) -> Result<CampaignView, LedgerError> {
    checks::change(change)?;
    let now = ledger.now();
    let mut writer = ledger.writer().await;
    let mut tx = begin(&mut writer).await?;
    let before = existing(&mut tx, id, now).await?;
    if before.reasons.contains(&Reason::Operator) == stop {
        return Ok(before);
    }
    if stop {
        add_stop(&mut tx, id, Reason::Operator, now, &change.who, &change.why).await?;
    } else {
        remove_stop(&mut tx, id, Reason::Operator).await?;
    }
    announce(&mut tx, Told::Campaign(id), None, now).await?;
    let action = if stop { "stop" } else { "resume" };
    let after = finish(&mut tx, action, &before, change, now).await?;
    tx.commit().await.map_err(failed)?;
    ledger.ring();
    Ok(after)
}

pub(super) async fn set_budget(
    ledger: &SqliteLedger,
    id: CampaignId,
    budget: &Budget,
    change: &Change,
) -> Result<CampaignView, LedgerError> {
    checks::change(change)?;
    let now = ledger.now();
    let mut writer = ledger.writer().await;
    let mut tx = begin(&mut writer).await?;
    let before = existing(&mut tx, id, now).await?;
    let total = budget.total_budget_micros.unwrap_or(before.total_budget_micros);
    let daily = budget.daily_budget_micros.unwrap_or(before.daily_budget_micros);
    checks::amount("total_budget_micros", total)?;
    checks::amount("daily_budget_micros", daily)?;
    if (total, daily) == (before.total_budget_micros, before.daily_budget_micros) {
        return Ok(before);
    }
    sqlx::query("UPDATE campaigns SET total_budget_micros = ?2, daily_budget_micros = ?3 WHERE id = ?1")
        .bind(id)
        .bind(total)
        .bind(daily)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    settle(&mut tx, &BTreeSet::from([id]), now).await?;
    let after = finish(&mut tx, "set_budget", &before, change, now).await?;
    tx.commit().await.map_err(failed)?;
    ledger.ring();
    Ok(after)
}

pub(super) async fn set_balance(
    ledger: &SqliteLedger,
    id: AdvertiserId,
    balance_micros: Option<i64>,
    change: &Change,
) -> Result<AdvertiserView, LedgerError> {
    checks::change(change)?;
    checks::amount("balance_micros", balance_micros)?;
    let now = ledger.now();
    let mut writer = ledger.writer().await;
    let mut tx = begin(&mut writer).await?;
    let before = existing_advertiser(&mut tx, id).await?;
    if before.balance_micros == balance_micros {
        return Ok(before);
    }
    sqlx::query("UPDATE advertisers SET balance_micros = ?2 WHERE id = ?1")
        .bind(id)
        .bind(balance_micros)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    settle_balances(&mut tx, &BTreeSet::from([id]), now).await?;
    let after = existing_advertiser(&mut tx, id).await?;
    let subject = format!("advertiser {id}");
    audit(&mut tx, now, change, "set_balance", &subject, &found::json(&before)?, &found::json(&after)?).await?;
    tx.commit().await.map_err(failed)?;
    ledger.ring();
    Ok(after)
}

async fn existing(tx: &mut SqliteConnection, id: CampaignId, now: Micros) -> Result<CampaignView, LedgerError> {
    views::campaign(tx, id, now).await?.ok_or_else(|| LedgerError::NotFound(format!("campaign {id}")))
}

async fn existing_advertiser(tx: &mut SqliteConnection, id: AdvertiserId) -> Result<AdvertiserView, LedgerError> {
    views::advertisers(tx, Some(id)).await?.pop().ok_or_else(|| LedgerError::NotFound(format!("advertiser {id}")))
}

/// Writes the audit row of a change to a campaign: what of it people can change, before and after.
/// Returns the campaign as it is now.
async fn finish(
    tx: &mut SqliteConnection,
    action: &str,
    before: &CampaignView,
    change: &Change,
    now: Micros,
) -> Result<CampaignView, LedgerError> {
    let id = before.campaign_id;
    let after = existing(tx, id, now).await?;
    let (was, is) = (found::changeable(before), found::changeable(&after));
    audit(tx, now, change, action, &format!("campaign {id}"), &was, &is).await?;
    Ok(after)
}

/// A row of the audit for what is changed elsewhere.
pub(super) async fn note(
    ledger: &SqliteLedger,
    action: &str,
    subject: &str,
    after: &str,
    change: &Change,
) -> Result<(), LedgerError> {
    checks::change(change)?;
    let mut writer = ledger.writer().await;
    let mut tx = begin(&mut writer).await?;
    audit(&mut tx, ledger.now(), change, action, subject, "null", after).await?;
    tx.commit().await.map_err(failed)
}

/// Adds a row to the audit.
pub(super) async fn audit(
    tx: &mut SqliteConnection,
    now: Micros,
    change: &Change,
    action: &str,
    subject: &str,
    before: &str,
    after: &str,
) -> Result<(), LedgerError> {
    sqlx::query("INSERT INTO audit (at, who, action, subject, before, after, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
        .bind(now.0)
        .bind(&change.who)
        .bind(action)
        .bind(subject)
        .bind(before)
        .bind(after)
        .bind(&change.why)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}
