//! Adjustments: money given back or taken later, append-only.

use super::accounts::of_campaigns;
use super::{SqliteLedger, adjustments, begin, failed};
use crate::balances::ledger::checks;
use penstock::ledger::{Adjustment, Change, LedgerError, NewAdjustment};
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
    if let Some(first) = adjustments::by_key(&mut tx, &new.key).await? {
        return adjustments::same(first, new);
    }
    let (campaigns, advertisers) = of_campaigns(&mut tx, &BTreeSet::from([new.campaign_id]), now).await?;
    let payer = adjustments::payer(new, &campaigns, &advertisers)?;
    adjustments::book(&mut tx, new, payer).await?;
    adjustments::insert(&mut tx, new, change, now).await.map_err(failed)?;
    let made = adjustments::finish(&mut tx, new, payer, change, now).await?;
    tx.commit().await.map_err(failed)?;
    ledger.ring();
    Ok(made)
}
