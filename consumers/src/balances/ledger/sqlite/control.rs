//! What people change: stop, resume, budgets, balances; each in a transaction of its own.

use super::{SqliteLedger, begin, changes, failed};
use crate::balances::ledger::checks;
use penstock::ledger::{AdvertiserId, AdvertiserView, Budget, CampaignView, Change, LedgerError};
use penstock::pricing::CampaignId;

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
    let before = changes::existing(&mut tx, id, now).await?;
    let Some(after) = changes::operate(&mut tx, &before, stop, change, now).await? else { return Ok(before) };
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
    let before = changes::existing(&mut tx, id, now).await?;
    let Some(after) = changes::set_budget(&mut tx, &before, budget, change, now).await? else { return Ok(before) };
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
    let before = changes::existing_advertiser(&mut tx, id).await?;
    let set = changes::set_balance(&mut tx, &before, balance_micros, change, now).await?;
    let Some(after) = set else { return Ok(before) };
    tx.commit().await.map_err(failed)?;
    ledger.ring();
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
    changes::audit(&mut tx, ledger.now(), change, action, subject, "null", after).await?;
    tx.commit().await.map_err(failed)
}
