//! What people change, compiled once for each database, with its row in the audit. Each function is
//! given what is so already, read (and locked, where there are locks) in the same transaction, and
//! answers `None` when there is nothing to change.
//!
//! Names that MariaDB reserves stand in grave accents; SQLite takes these too.

use super::settle::{settle, settle_balances};
use super::stops::{add_stop, remove_stop};
use super::told::{Told, announce};
use super::{Connection, failed, views};
use crate::balances::ledger::{checks, found};
use penstock::ledger::{AdvertiserId, AdvertiserView, Budget, CampaignView, Change, LedgerError, Reason};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use std::collections::BTreeSet;

pub(super) async fn existing(tx: &mut Connection, id: CampaignId, now: Micros) -> Result<CampaignView, LedgerError> {
    views::campaign(tx, id, now).await?.ok_or_else(|| LedgerError::NotFound(format!("campaign {id}")))
}

pub(super) async fn existing_advertiser(tx: &mut Connection, id: AdvertiserId) -> Result<AdvertiserView, LedgerError> {
    views::advertisers(tx, Some(id)).await?.pop().ok_or_else(|| LedgerError::NotFound(format!("advertiser {id}")))
}

/// Adds (`stop`) or takes away the reason `operator`.
pub(super) async fn operate(
    tx: &mut Connection,
    before: &CampaignView,
    stop: bool,
    change: &Change,
    now: Micros,
) -> Result<Option<CampaignView>, LedgerError> {
    if before.reasons.contains(&Reason::Operator) == stop {
        return Ok(None);
    }
    let id = before.campaign_id;
    if stop {
        add_stop(tx, id, Reason::Operator, now, &change.who, &change.why).await?;
    } else {
        remove_stop(tx, id, Reason::Operator).await?;
    }
    announce(tx, Told::Campaign(id), None, now).await?;
    finish(tx, if stop { "stop" } else { "resume" }, before, change, now).await.map(Some)
}

pub(super) async fn set_budget(
    tx: &mut Connection,
    before: &CampaignView,
    budget: &Budget,
    change: &Change,
    now: Micros,
) -> Result<Option<CampaignView>, LedgerError> {
    let total = budget.total_budget_micros.unwrap_or(before.total_budget_micros);
    let daily = budget.daily_budget_micros.unwrap_or(before.daily_budget_micros);
    checks::amount("total_budget_micros", total)?;
    checks::amount("daily_budget_micros", daily)?;
    if (total, daily) == (before.total_budget_micros, before.daily_budget_micros) {
        return Ok(None);
    }
    let id = before.campaign_id;
    sqlx::query("UPDATE campaigns SET total_budget_micros = ?, daily_budget_micros = ? WHERE id = ?")
        .bind(total)
        .bind(daily)
        .bind(id)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    settle(tx, &BTreeSet::from([id]), now).await?;
    finish(tx, "set_budget", before, change, now).await.map(Some)
}

pub(super) async fn set_balance(
    tx: &mut Connection,
    before: &AdvertiserView,
    balance_micros: Option<i64>,
    change: &Change,
    now: Micros,
) -> Result<Option<AdvertiserView>, LedgerError> {
    if before.balance_micros == balance_micros {
        return Ok(None);
    }
    let id = before.advertiser_id;
    sqlx::query("UPDATE advertisers SET balance_micros = ? WHERE id = ?")
        .bind(balance_micros)
        .bind(id)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    settle_balances(tx, &BTreeSet::from([id]), now).await?;
    let after = existing_advertiser(tx, id).await?;
    let (was, is) = (found::json(before)?, found::json(&after)?);
    audit(tx, now, change, "set_balance", &format!("advertiser {id}"), &was, &is).await?;
    Ok(Some(after))
}

/// Writes the audit row of a change to a campaign: what of it people can change, before and after.
/// Returns the campaign as it is now.
async fn finish(
    tx: &mut Connection,
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

/// Adds a row to the audit.
pub(super) async fn audit(
    tx: &mut Connection,
    now: Micros,
    change: &Change,
    action: &str,
    subject: &str,
    before: &str,
    after: &str,
) -> Result<(), LedgerError> {
    sqlx::query("INSERT INTO audit (at, who, action, subject, `before`, after, why) VALUES (?, ?, ?, ?, ?, ?, ?)")
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
