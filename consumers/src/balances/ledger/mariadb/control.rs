//! What people change: stop, resume, budgets, balances; each in a transaction of its own.
//!
//! Each locks the accounts that it changes before it looks at them, and changes nothing that is
//! so already: so it may run again after a COMMIT without an answer.

use super::accounts::{advertisers, of_campaigns};
use super::{MariaDbLedger, Tx, changes};
use crate::balances::ledger::checks;
use penstock::ledger::{AdvertiserId, AdvertiserView, Budget, CampaignView, Change, LedgerError};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use std::collections::BTreeSet;

/// Adds (`stop`) or takes away the reason `operator`; nothing changes when it is so already.
pub(super) async fn operate(
    ledger: &MariaDbLedger,
    id: CampaignId,
    stop: bool,
    change: &Change,
) -> Result<CampaignView, LedgerError> {
    checks::change(change)?;
    ledger
        .retried(|| async {
            let now = ledger.now();
            let mut tx = ledger.begin().await?;
            let before = locked(&mut tx, id, now).await?;
            let after = changes::operate(&mut tx, &before, stop, change, now).await?;
            end(ledger, tx, before, after).await
        })
        .await
}

pub(super) async fn set_budget(
    ledger: &MariaDbLedger,
    id: CampaignId,
    budget: &Budget,
    change: &Change,
) -> Result<CampaignView, LedgerError> {
    checks::change(change)?;
    ledger
        .retried(|| async {
            let now = ledger.now();
            let mut tx = ledger.begin().await?;
            let before = locked(&mut tx, id, now).await?;
            let after = changes::set_budget(&mut tx, &before, budget, change, now).await?;
            end(ledger, tx, before, after).await
        })
        .await
}

pub(super) async fn set_balance(
    ledger: &MariaDbLedger,
    id: AdvertiserId,
    balance_micros: Option<i64>,
    change: &Change,
) -> Result<AdvertiserView, LedgerError> {
    checks::change(change)?;
    checks::amount("balance_micros", balance_micros)?;
    ledger
        .retried(|| async {
            let now = ledger.now();
            let mut tx = ledger.begin().await?;
            advertisers(&mut tx, &BTreeSet::from([id])).await?;
            let before = changes::existing_advertiser(&mut tx, id).await?;
            let after = changes::set_balance(&mut tx, &before, balance_micros, change, now).await?;
            end(ledger, tx, before, after).await
        })
        .await
}

/// Locks a campaign's accounts and reads it.
async fn locked(tx: &mut Tx, id: CampaignId, now: Micros) -> Result<CampaignView, LedgerError> {
    of_campaigns(tx, &BTreeSet::from([id]), now).await?;
    changes::existing(tx, id, now).await
}

/// Ends the transaction of a change. Returns what is so now.
async fn end<T>(ledger: &MariaDbLedger, tx: Tx, before: T, after: Option<T>) -> Result<T, LedgerError> {
    let Some(after) = after else {
        tx.rollback().await?;
        return Ok(before);
    };
    tx.commit().await?;
    ledger.ring();
    Ok(after)
}

/// A row of the audit for what is changed elsewhere.
pub(super) async fn note(
    ledger: &MariaDbLedger,
    action: &str,
    subject: &str,
    after: &str,
    change: &Change,
) -> Result<(), LedgerError> {
    checks::change(change)?;
    ledger
        .retried(|| async {
            let mut tx = ledger.begin().await?;
            changes::audit(&mut tx, ledger.now(), change, action, subject, "null", after).await?;
            tx.commit().await
        })
        .await
}
