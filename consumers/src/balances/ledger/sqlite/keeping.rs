//! What time does to a ledger: days begin, ids pass their horizon, ranges are folded.

use super::settle::settle;
use super::{SqliteLedger, begin, failed, signed};
use crate::balances::ledger::part;
use crate::balances::ledger::posted::{DAY_MICROS, E18};
use crate::balances::ledger::ranges::{Fold, RangeRow};
use crate::balances::ledger::rows::ints;
use penstock::ledger::{Horizons, Housekept, LedgerError, Sums, next_day, zone};
use penstock::time::Micros;
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Rows that one transaction of housekeeping touches at most, so that no range waits for long.
const STEP: u32 = 10_000;
/// Campaigns whose days are rolled in one transaction.
const ROLL: usize = 1_000;

pub(super) async fn roll_days(ledger: &SqliteLedger) -> Result<Option<Micros>, LedgerError> {
    let now = ledger.now();
    let rows: Vec<(u32, String)> = {
        let mut tx = ledger.read().await?;
        sqlx::query_as(
            "SELECT id, time_zone FROM campaigns c WHERE daily_budget_micros IS NOT NULL
             OR EXISTS (SELECT 1 FROM stops s WHERE s.campaign_id = c.id AND s.reason = 'daily_budget')
             ORDER BY id",
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(failed)?
    };
    for some in rows.chunks(ROLL) {
        let mut writer = ledger.writer().await;
        let mut tx = begin(&mut writer).await?;
        let ids: BTreeSet<u32> = some.iter().map(|(id, _)| *id).collect();
        if settle(&mut tx, &ids, now).await? > 0 {
            tx.commit().await.map_err(failed)?;
            ledger.ring();
        }
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

pub(super) async fn housekeep(ledger: &SqliteLedger, horizons: &Horizons) -> Result<Housekept, LedgerError> {
    let now = ledger.now();
    let mut kept = Housekept::default();
    let first_day = now.0.div_euclid(DAY_MICROS) - i64::from(horizons.unique_days);
    kept.ids_purged = purge(
        ledger,
        "DELETE FROM charges WHERE (id, type) IN
         (SELECT id, type FROM charges WHERE received_day < ?1 LIMIT ?2)",
        first_day,
    )
    .await?;
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
        let folded = fold(ledger, now, horizons.fold_after).await?;
        kept.ranges_folded += folded;
        if folded == 0 {
            return Ok(kept);
        }
    }
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

/// Partition, type, day.
type Key = (i64, String, i64);

/// Folds one step's worth of old ranges into the row of their partition, type and day.
async fn fold(ledger: &SqliteLedger, now: Micros, after: Duration) -> Result<u64, LedgerError> {
    let mut writer = ledger.writer().await;
    let mut tx = begin(&mut writer).await?;
    let rows: Vec<RangeRow> =
        sqlx::query_as("SELECT * FROM ranges WHERE merged = 1 AND written_at < ?1 ORDER BY written_at LIMIT ?2")
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
    tx.commit().await.map_err(failed)?;
    Ok(rows.len() as u64)
}

async fn fold_day(tx: &mut SqliteConnection, key: &Key, mut folds: Vec<Fold>) -> Result<(), LedgerError> {
    let (position, kind, day) = key;
    let start = day.saturating_mul(DAY_MICROS);
    let day_row: Option<RangeRow> =
        sqlx::query_as("SELECT * FROM ranges WHERE position_id = ?1 AND type = ?2 AND merged > 1 AND written_at = ?3")
            .bind(position)
            .bind(kind)
            .bind(start)
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
    if let Some(row) = &day_row {
        folds.push(Fold::of(row)?);
    }
    sqlx::query(
        "DELETE FROM ranges WHERE position_id = ?1 AND type = ?2 AND from_offset IN (SELECT value FROM json_each(?3))",
    )
    .bind(position)
    .bind(kind)
    .bind(ints(folds.iter().map(|f| f.from)))
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    let Some(mut whole) = folds.pop() else { return Ok(()) };
    folds.iter().for_each(|fold| whole.join(fold));
    let Sums { charged, duplicate, unattributed } = whole.sums;
    let mut insert = sqlx::query(
        "INSERT INTO ranges (position_id, type, from_offset, to_offset, written_at, merged, events,
            charged_events, charged_nanos, charged_e18, duplicate_events, duplicate_nanos, duplicate_e18,
            unattributed_events, unattributed_nanos, unattributed_e18)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
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
    insert.execute(&mut *tx).await.map_err(failed)?;
    Ok(())
}
