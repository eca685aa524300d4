//! What people change: stop, resume, budgets, balances. Each with its row in the audit.

use super::settle::{SELF, add_stop, announce, remove_stop, settle, settle_balances};
use super::{SqliteLedger, begin, failed, views};
use penstock::ledger::{
    AdvertiserId, AdvertiserView, Budget, CampaignView, Change, LedgerError, MAX_AMOUNT_MICROS, Reason,
};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use sqlx::SqliteConnection;
use std::collections::BTreeSet;

const MAX_WHO_BYTES: usize = 200;
const MAX_WHY_BYTES: usize = 2_000;

pub(super) async fn stop(ledger: &SqliteLedger, id: CampaignId, change: &Change) -> Result<CampaignView, LedgerError> {
    check(change)?;
    let now = ledger.now();
    let mut writer = ledger.writer().await;
    let mut tx = begin(&mut writer).await?;
    let before = existing(&mut tx, id, now).await?;
    if before.reasons.contains(&Reason::Operator) {
        return Ok(before);
    }
    add_stop(&mut tx, id, Reason::Operator, now, &change.who, &change.why).await?;
    announce(&mut tx, id, None, now).await?;
    finish(&mut tx, id, "stop", &before, change, now).await?;
    let after = existing(&mut tx, id, now).await?;
    tx.commit().await.map_err(failed)?;
    ledger.ring();
    Ok(after)
}

pub(super) async fn resume(
    ledger: &SqliteLedger,
    id: CampaignId,
    change: &Change,
) -> Result<CampaignView, LedgerError> {
    check(change)?;
    let now = ledger.now();
    let mut writer = ledger.writer().await;
    let mut tx = begin(&mut writer).await?;
    let before = existing(&mut tx, id, now).await?;
    if !before.reasons.contains(&Reason::Operator) {
        return Ok(before);
    }
    remove_stop(&mut tx, id, Reason::Operator).await?;
    announce(&mut tx, id, None, now).await?;
    finish(&mut tx, id, "resume", &before, change, now).await?;
    let after = existing(&mut tx, id, now).await?;
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
    check(change)?;
    let now = ledger.now();
    let mut writer = ledger.writer().await;
    let mut tx = begin(&mut writer).await?;
    let before = existing(&mut tx, id, now).await?;
    let total = budget.total_budget_micros.unwrap_or(before.total_budget_micros);
    let daily = budget.daily_budget_micros.unwrap_or(before.daily_budget_micros);
    check_amount("total_budget_micros", total)?;
    check_amount("daily_budget_micros", daily)?;
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
    finish(&mut tx, id, "set_budget", &before, change, now).await?;
    let after = existing(&mut tx, id, now).await?;
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
    check(change)?;
    check_amount("balance_micros", balance_micros)?;
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
    audit(&mut tx, now, change, "set_balance", &subject, &json(&before)?, &json(&after)?).await?;
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
async fn finish(
    tx: &mut SqliteConnection,
    id: CampaignId,
    action: &str,
    before: &CampaignView,
    change: &Change,
    now: Micros,
) -> Result<(), LedgerError> {
    let after = existing(tx, id, now).await?;
    audit(tx, now, change, action, &format!("campaign {id}"), &changeable(before), &changeable(&after)).await
}

fn changeable(view: &CampaignView) -> String {
    serde_json::json!({
        "reasons": view.reasons,
        "total_budget_micros": view.total_budget_micros.map(|n| n.to_string()),
        "daily_budget_micros": view.daily_budget_micros.map(|n| n.to_string()),
    })
    .to_string()
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, LedgerError> {
    serde_json::to_string(value).map_err(|e| LedgerError::Fatal(e.to_string()))
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

/// Whether a change says who, and within its bounds.
pub(super) fn check(change: &Change) -> Result<(), LedgerError> {
    if change.who.is_empty() || change.who.len() > MAX_WHO_BYTES {
        return Err(LedgerError::Refused(format!("who makes a change takes 1 to {MAX_WHO_BYTES} bytes")));
    }
    if change.why.len() > MAX_WHY_BYTES {
        return Err(LedgerError::Refused(format!("the reason of a change takes at most {MAX_WHY_BYTES} bytes")));
    }
    if change.who == SELF {
        return Err(LedgerError::Refused(format!("`{SELF}` is the name of what the ledger does by itself")));
    }
    Ok(())
}

fn check_amount(key: &str, micros: Option<i64>) -> Result<(), LedgerError> {
    match micros {
        Some(n) if !(0..=MAX_AMOUNT_MICROS).contains(&n) => {
            Err(LedgerError::Refused(format!("{key} = {n}: an amount lies between 0 and {MAX_AMOUNT_MICROS} micros")))
        }
        _ => Ok(()),
    }
}
