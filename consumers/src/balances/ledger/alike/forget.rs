//! Ids past their horizon are forgotten, compiled once for each database.
//!
//! Ids are random, and an index by day would make every charge dearer; so all of `charges` is read
//! in the order of its key, a slice a transaction, once for each day that the horizon moves. How far
//! it has come is moved in the slice's transaction, so a crash repeats nothing and leaves nothing
//! out, and several housekeepers share the work.

use super::dialect::LOCK_SWEEP;
use super::fold::STEP;
use super::{Connection, failed};
use penstock::ledger::LedgerError;

/// Slices of one call of housekeeping, which has other things to do: a million ids.
pub(super) const SLICES: usize = 100;

/// No id comes after it.
const LAST: [u8; 16] = [0xff; 16];

/// Forgets what a slice has from before `first_day` (days since the epoch). Returns how many ids, and
/// whether there is more to read.
pub(super) async fn slice(tx: &mut Connection, first_day: i64) -> Result<(u64, bool), LedgerError> {
    let (horizon, reached): (i64, Vec<u8>) = sqlx::query_as(LOCK_SWEEP).fetch_one(&mut *tx).await.map_err(failed)?;
    if horizon >= first_day {
        return Ok((0, false));
    }
    let end: Option<Vec<u8>> = sqlx::query_scalar("SELECT id FROM charges WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?")
        .bind(reached.as_slice())
        .bind(STEP)
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
    let forgotten = sqlx::query("DELETE FROM charges WHERE id > ? AND id <= ? AND received_day < ?")
        .bind(reached.as_slice())
        .bind(end.as_deref().unwrap_or(&LAST))
        .bind(first_day)
        .execute(&mut *tx)
        .await
        .map_err(failed)?
        .rows_affected();
    let (horizon, more) = if end.is_some() { (horizon, true) } else { (first_day, false) };
    sqlx::query("UPDATE sweeps SET horizon = ?, reached = ? WHERE name = 'charges'")
        .bind(horizon)
        .bind(end.unwrap_or_default())
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok((forgotten, more))
}
