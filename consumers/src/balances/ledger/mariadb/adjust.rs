//! Adjustments: money given back or taken later, append-only.

use super::accounts::of_campaigns;
use super::{MariaDbLedger, adjustments, failed};
use crate::balances::ledger::checks;
use penstock::ledger::{Adjustment, Change, LedgerError, NewAdjustment};
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
    let (campaigns, advertisers) = of_campaigns(&mut tx, &BTreeSet::from([new.campaign_id]), now).await?;
    // Behind the campaign's lock: of two calls with one key and one campaign the second finds it.
    if let Some(first) = adjustments::by_key(&mut tx, &new.key).await? {
        tx.rollback().await?;
        return adjustments::same(first, new);
    }
    let payer = adjustments::payer(new, &campaigns, &advertisers)?;
    adjustments::insert(&mut tx, new, change, now).await.map_err(|error| match &error {
        // Somebody has just used the key for another campaign; the next attempt says so.
        sqlx::Error::Database(e) if e.is_unique_violation() => LedgerError::Busy(error.to_string()),
        _ => failed(error),
    })?;
    adjustments::book(&mut tx, new, payer).await?;
    let made = adjustments::finish(&mut tx, new, payer, change, now).await?;
    tx.commit().await?;
    ledger.ring();
    Ok(made)
}
