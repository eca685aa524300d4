//! Folds old ranges into one row a day, compiled once for each database.

use super::dialect::DELETE_RANGES;
use super::{Connection, failed, signed};
use crate::balances::ledger::part;
use crate::balances::ledger::posted::{DAY_MICROS, E18};
use crate::balances::ledger::ranges::{Fold, RangeRow};
use crate::balances::ledger::rows::ints;
use penstock::ledger::{LedgerError, Sums};
use penstock::time::Micros;
use std::collections::BTreeMap;

/// Rows that one transaction of housekeeping touches at most, so that no range waits for long.
pub(super) const STEP: u32 = 10_000;

/// Partition, type, day.
type Key = (i64, String, i64);

/// Folds one step's worth of ranges from before a time into the row of their partition, type and day.
/// Returns how many.
pub(super) async fn fold(tx: &mut Connection, before: Micros) -> Result<u64, LedgerError> {
    let rows: Vec<RangeRow> =
        sqlx::query_as("SELECT * FROM ranges WHERE merged = 1 AND written_at < ? ORDER BY written_at LIMIT ?")
            .bind(before.0)
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
        fold_day(tx, &key, folds).await?;
    }
    Ok(rows.len() as u64)
}

async fn fold_day(tx: &mut Connection, key: &Key, mut folds: Vec<Fold>) -> Result<(), LedgerError> {
    let (position, kind, day) = key;
    let start = day.saturating_mul(DAY_MICROS);
    let day_row: Option<RangeRow> =
        sqlx::query_as("SELECT * FROM ranges WHERE position_id = ? AND type = ? AND merged > 1 AND written_at = ?")
            .bind(position)
            .bind(kind)
            .bind(start)
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
    if let Some(row) = &day_row {
        folds.push(Fold::of(row)?);
    }
    sqlx::query(DELETE_RANGES)
        .bind(ints(folds.iter().map(|f| f.from)))
        .bind(position)
        .bind(kind)
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
    insert.execute(tx).await.map_err(failed)?;
    Ok(())
}
