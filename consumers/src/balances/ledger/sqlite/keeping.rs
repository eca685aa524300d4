//! What time does to a ledger: days begin, ids pass their horizon, ranges are folded.

use super::fold::{STEP, fold};
use super::forget::{SLICES, slice};
use super::settle::settle;
use super::{SqliteLedger, begin, days, failed};
use crate::balances::ledger::posted::DAY_MICROS;
use penstock::ledger::{Horizons, Housekept, LedgerError};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use std::collections::BTreeSet;

/// Campaigns whose days are rolled in one transaction.
const ROLL: usize = 1_000;

pub(super) async fn roll_days(ledger: &SqliteLedger) -> Result<Option<Micros>, LedgerError> {
    let now = ledger.now();
    let rows = {
        let mut tx = ledger.read().await?;
        days::of_campaigns(&mut tx).await?
    };
    for some in rows.chunks(ROLL) {
        let mut writer = ledger.writer().await;
        let mut tx = begin(&mut writer).await?;
        let ids: BTreeSet<CampaignId> = some.iter().map(|(id, _)| *id).collect();
        if settle(&mut tx, &ids, now).await? > 0 {
            tx.commit().await.map_err(failed)?;
            ledger.ring();
        }
    }
    days::next_midnight(&rows, now)
}

pub(super) async fn housekeep(ledger: &SqliteLedger, horizons: &Horizons) -> Result<Housekept, LedgerError> {
    let now = ledger.now();
    let mut kept = Housekept::default();
    let first_day = now.0.div_euclid(DAY_MICROS) - i64::from(horizons.unique_days);
    kept.ids_purged = forget(ledger, first_day).await?;
    // The newest version of a campaign stays: a reader with an empty memory needs it.
    kept.outbox_purged = purge(
        ledger,
        "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox o WHERE published_at < ?1 AND
            (version IS NULL OR version < (SELECT max(version) FROM outbox n WHERE n.campaign_id = o.campaign_id))
         LIMIT ?2)",
        now.minus(horizons.outbox).0,
    )
    .await?;
    loop {
        let folded = fold_step(ledger, now.minus(horizons.fold_after)).await?;
        kept.ranges_folded += folded;
        if folded == 0 {
            return Ok(kept);
        }
    }
}

async fn forget(ledger: &SqliteLedger, first_day: i64) -> Result<u64, LedgerError> {
    let mut forgotten = 0;
    for _ in 0..SLICES {
        let mut writer = ledger.writer().await;
        let mut tx = begin(&mut writer).await?;
        let (ids, more) = slice(&mut tx, first_day).await?;
        tx.commit().await.map_err(failed)?;
        forgotten += ids;
        if !more {
            break;
        }
    }
    Ok(forgotten)
}

async fn purge(ledger: &SqliteLedger, statement: &'static str, before: i64) -> Result<u64, LedgerError> {
    let mut purged = 0;
    loop {
        let mut writer = ledger.writer().await;
        let mut tx = begin(&mut writer).await?;
        let done =
            sqlx::query(statement).bind(before).bind(STEP).execute(&mut *tx).await.map_err(failed)?.rows_affected();
        tx.commit().await.map_err(failed)?;
        purged += done;
        if done < u64::from(STEP) {
            return Ok(purged);
        }
    }
}

async fn fold_step(ledger: &SqliteLedger, before: Micros) -> Result<u64, LedgerError> {
    let mut writer = ledger.writer().await;
    let mut tx = begin(&mut writer).await?;
    let folded = fold(&mut tx, before).await?;
    tx.commit().await.map_err(failed)?;
    Ok(folded)
}
