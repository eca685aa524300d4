//! What time does to a ledger: days begin, ids pass their horizon, ranges are folded.
//!
//! Every consumer process runs this; two at once do each other's work, never twice.

use super::fold::{STEP, fold};
use super::forget::{SLICES, slice};
use super::settle::settle;
use super::{MariaDbLedger, days, failed, lock_counter};
use crate::balances::ledger::posted::DAY_MICROS;
use penstock::ledger::{Horizons, Housekept, LedgerError};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use std::collections::BTreeSet;

/// Campaigns whose days are rolled in one transaction.
const ROLL: usize = 1_000;

pub(super) async fn roll_days(ledger: &MariaDbLedger) -> Result<Option<Micros>, LedgerError> {
    let now = ledger.now();
    let rows = ledger.retried(|| of_campaigns(ledger)).await?;
    for some in rows.chunks(ROLL) {
        let ids: BTreeSet<CampaignId> = some.iter().map(|(id, _)| *id).collect();
        ledger.retried(|| roll(ledger, &ids, now)).await?;
    }
    days::next_midnight(&rows, now)
}

async fn of_campaigns(ledger: &MariaDbLedger) -> Result<Vec<(CampaignId, String)>, LedgerError> {
    let mut tx = ledger.snapshot().await?;
    let rows = days::of_campaigns(&mut tx).await?;
    tx.rollback().await?;
    Ok(rows)
}

async fn roll(ledger: &MariaDbLedger, ids: &BTreeSet<CampaignId>, now: Micros) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    if settle(&mut tx, ids, now).await? == 0 {
        return tx.rollback().await;
    }
    tx.commit().await?;
    ledger.ring();
    Ok(())
}

pub(super) async fn housekeep(ledger: &MariaDbLedger, horizons: &Horizons) -> Result<Housekept, LedgerError> {
    let now = ledger.now();
    let mut kept = Housekept::default();
    let first_day = now.0.div_euclid(DAY_MICROS) - i64::from(horizons.unique_days);
    kept.ids_purged = forget(ledger, first_day).await?;
    // The newest version of a campaign stays: a reader with an empty memory needs it.
    kept.outbox_purged = purge(
        ledger,
        "DELETE o FROM (SELECT seq FROM outbox p WHERE published_at < ? AND
            (version IS NULL OR version < (SELECT max(version) FROM outbox n WHERE n.campaign_id = p.campaign_id))
            ORDER BY seq LIMIT ?) old
         STRAIGHT_JOIN outbox o FORCE INDEX (PRIMARY) ON o.seq = old.seq",
        now.minus(horizons.outbox).0,
    )
    .await?;
    loop {
        let folded = ledger.retried(|| fold_step(ledger, now.minus(horizons.fold_after))).await?;
        kept.ranges_folded += folded;
        if folded == 0 {
            return Ok(kept);
        }
    }
}

async fn forget(ledger: &MariaDbLedger, first_day: i64) -> Result<u64, LedgerError> {
    let step = || async {
        let mut tx = ledger.begin().await?;
        let done = slice(&mut tx, first_day).await?;
        tx.commit().await?;
        Ok(done)
    };
    let mut forgotten = 0;
    for _ in 0..SLICES {
        let (ids, more) = ledger.retried(step).await?;
        forgotten += ids;
        if !more {
            break;
        }
    }
    Ok(forgotten)
}

async fn purge(ledger: &MariaDbLedger, statement: &'static str, before: i64) -> Result<u64, LedgerError> {
    let mut purged = 0;
    loop {
        let step = || async {
            let mut tx = ledger.begin().await?;
            let done = sqlx::query(statement).bind(before).bind(STEP).execute(&mut *tx).await.map_err(failed)?;
            tx.commit().await?;
            Ok(done.rows_affected())
        };
        let done = ledger.retried(step).await?;
        purged += done;
        if done < u64::from(STEP) {
            return Ok(purged);
        }
    }
}

/// One step of folding. One at a time over all processes, since what is read here is deleted.
async fn fold_step(ledger: &MariaDbLedger, before: Micros) -> Result<u64, LedgerError> {
    let mut tx = ledger.begin().await?;
    lock_counter(&mut tx, "housekeeping").await?;
    let folded = fold(&mut tx, before).await?;
    tx.commit().await?;
    Ok(folded)
}
