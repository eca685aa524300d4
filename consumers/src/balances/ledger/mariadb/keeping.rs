//! What time does to a ledger: days begin, ids pass their horizon, ranges are folded.
//!
//! Every consumer process runs this; two at once do each other's work, never twice.

use super::settle::settle;
use super::{MariaDbLedger, Tx, failed, fit, lock_counter, signed};
use crate::balances::ledger::part;
use crate::balances::ledger::posted::{DAY_MICROS, E18};
use crate::balances::ledger::ranges::{Fold, RangeRow};
use crate::balances::ledger::rows::ints;
use penstock::ledger::{Horizons, Housekept, LedgerError, Sums, next_day, zone};
use penstock::time::Micros;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Rows that one transaction of housekeeping touches at most, so that no range waits for long.
const STEP: u32 = 10_000;
/// Campaigns whose days are rolled in one transaction.
const ROLL: usize = 1_000;

pub(super) async fn roll_days(ledger: &MariaDbLedger) -> Result<Option<Micros>, LedgerError> {
    let now = ledger.now();
    let rows = ledger.retried(|| campaigns_of_days(ledger)).await?;
    for some in rows.chunks(ROLL) {
        let ids = some.iter().map(|(id, _)| fit(*id, "campaign id")).collect::<Result<BTreeSet<u32>, _>>()?;
        ledger.retried(|| roll(ledger, &ids, now)).await?;
    }
    let zones: BTreeSet<&str> = rows.iter().map(|(_, zone)| zone.as_str()).collect();
    let mut next = None;
    for name in zones {
        let zone = zone(name).map_err(|e| LedgerError::Fatal(e.to_string()))?;
        let midnight = next_day(now, zone);
        next = Some(next.map_or(midnight, |n: Micros| n.min(midnight)));
    }
    Ok(next)
}

async fn campaigns_of_days(ledger: &MariaDbLedger) -> Result<Vec<(i64, String)>, LedgerError> {
    let mut tx = ledger.snapshot().await?;
    let rows = sqlx::query_as(
        "SELECT id, time_zone FROM campaigns c WHERE daily_budget_micros IS NOT NULL
         OR EXISTS (SELECT 1 FROM stops s WHERE s.campaign_id = c.id AND s.reason = 'daily_budget')
         ORDER BY id",
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    tx.rollback().await?;
    Ok(rows)
}

async fn roll(ledger: &MariaDbLedger, ids: &BTreeSet<u32>, now: Micros) -> Result<(), LedgerError> {
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
    kept.ids_purged =
        purge(ledger, "DELETE FROM charges WHERE received_day < ? ORDER BY received_day LIMIT ?", first_day).await?;
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
        let folded = ledger.retried(|| fold(ledger, now, horizons.fold_after)).await?;
        kept.ranges_folded += folded;
        if folded == 0 {
            return Ok(kept);
        }
    }
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

/// Partition, type, day.
type Key = (i64, String, i64);

/// Folds one step's worth of old ranges into the row of their partition, type and day. One at a
/// time over all processes, since what is read here is deleted.
async fn fold(ledger: &MariaDbLedger, now: Micros, after: Duration) -> Result<u64, LedgerError> {
    let mut tx = ledger.begin().await?;
    lock_counter(&mut tx, "housekeeping").await?;
    let rows: Vec<RangeRow> =
        sqlx::query_as("SELECT * FROM ranges WHERE merged = 1 AND written_at < ? ORDER BY written_at LIMIT ?")
            .bind(now.minus(after).0)
            .bind(STEP)
            .fetch_all(&mut *tx)
            .await
            .map_err(failed)?;
    let mut by_day: BTreeMap<Key, Vec<Fold>> = BTreeMap::new();
    for row in &rows {
        let key = (row.position_id, row.r#type.clone(), row.written_at.div_euclid(DAY_MICROS));
        by_day.entry(key).or_default().push(Fold::of(row)?);
    }
    for (key, folds) in by_day {
        fold_day(&mut tx, &key, folds).await?;
    }
    tx.commit().await?;
    Ok(rows.len() as u64)
}

async fn fold_day(tx: &mut Tx, key: &Key, mut folds: Vec<Fold>) -> Result<(), LedgerError> {
    let (position, kind, day) = key;
    let start = day.saturating_mul(DAY_MICROS);
    let day_row: Option<RangeRow> =
        sqlx::query_as("SELECT * FROM ranges WHERE position_id = ? AND type = ? AND merged > 1 AND written_at = ?")
            .bind(position)
            .bind(kind)
            .bind(start)
            .fetch_optional(&mut **tx)
            .await
            .map_err(failed)?;
    if let Some(row) = &day_row {
        folds.push(Fold::of(row)?);
    }
    sqlx::query(
        "DELETE r FROM JSON_TABLE(?, '$[*]' COLUMNS (start BIGINT PATH '$')) j
         STRAIGHT_JOIN ranges r FORCE INDEX (PRIMARY)
         ON r.position_id = ? AND r.from_offset = j.start AND r.type = ?",
    )
    .bind(ints(folds.iter().map(|f| f.from)))
    .bind(position)
    .bind(kind)
    .execute(&mut **tx)
    .await
    .map_err(failed)?;
    let Some(mut whole) = folds.pop() else { return Ok(()) };
    folds.iter().for_each(|fold| whole.join(fold));
    let Sums { charged, duplicate, unattributed } = whole.sums;
    let mut insert = sqlx::query(
        "INSERT INTO ranges (position_id, type, from_offset, to_offset, written_at, merged, events,
            charged_events, charged_nanos, charged_e18, duplicate_events, duplicate_nanos, duplicate_e18,
            unattributed_events, unattributed_nanos, unattributed_e18)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(position)
    .bind(kind)
    .bind(whole.from)
    .bind(whole.to)
    .bind(start)
    // A row alone in its day counts as folded too, or it would be looked at for ever.
    .bind(whole.merged.max(2))
    .bind(whole.events);
    for sum in [charged, duplicate, unattributed] {
        insert = insert.bind(signed(sum.events, "events")?).bind(part(sum.nanos % E18)?).bind(part(sum.nanos / E18)?);
    }
    insert.execute(&mut **tx).await.map_err(failed)?;
    Ok(())
}
