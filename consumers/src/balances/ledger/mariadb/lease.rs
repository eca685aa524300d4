//! The publisher's lease: a named lock of the server, held by a connection of its own.
//!
//! The server lets go of the lock when the connection ends: at once when the holder's process has
//! died, and after `publisher_lease` without a word when it was stopped or cut off
//! (`wait_timeout`). The holder gives a sign of life three times as often and stops publishing
//! when one is not answered.

use super::{MariaDbLedger, failed};
use penstock::ledger::{Lease, LeaseKeeper, LedgerError};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection};
use std::time::Duration;

const LOCK: &str = "CONCAT('penstock.publisher.', MD5(DATABASE()))";

/// Waits until the lock is ours. Errors: [`LedgerError::Busy`] when the server is away.
pub(super) async fn lead(ledger: &MariaDbLedger) -> Result<Lease, LedgerError> {
    let (inner, lease) = (&ledger.inner, ledger.inner.lease);
    let silent = || LedgerError::Busy(format!("no answer within {:?}", inner.timeout));
    let connected = tokio::time::timeout(inner.timeout, MySqlConnection::connect_with(&inner.options)).await;
    let mut conn = connected.map_err(|_| silent())?.map_err(failed)?;
    let seconds = lease.as_secs().max(1);
    let session = format!("SET SESSION wait_timeout = {seconds}, max_statement_time = 0");
    let set = tokio::time::timeout(inner.timeout, sqlx::raw_sql(AssertSqlSafe(session)).execute(&mut conn)).await;
    set.map_err(|_| silent())?.map_err(failed)?;
    loop {
        // Waits for as long as a lease lasts, then asks again: so a server that has gone is noticed.
        let ask = format!("SELECT CAST(COALESCE(GET_LOCK({LOCK}, {seconds}), 0) AS SIGNED)");
        let asked = sqlx::query_scalar(AssertSqlSafe(ask)).fetch_one(&mut conn);
        let got: i64 =
            tokio::time::timeout(lease + inner.timeout, asked).await.map_err(|_| silent())?.map_err(failed)?;
        if got == 1 {
            break;
        }
    }
    let (held, keeper) = Lease::kept();
    tokio::spawn(keep(conn, keeper, lease / 3));
    Ok(held)
}

/// Gives signs of life until the lease is given back or lost.
async fn keep(mut conn: MySqlConnection, keeper: LeaseKeeper, every: Duration) {
    loop {
        tokio::select! {
            biased;
            () = keeper.given_back.cancelled() => {
                // With the connection the lock goes; the server sees its end at once.
                if let Ok(Err(error)) = tokio::time::timeout(every, conn.close()).await {
                    tracing::debug!(%error, "the publisher's connection did not close in order");
                }
                return;
            }
            () = tokio::time::sleep(every) => {}
        }
        let answered = tokio::time::timeout(every, conn.ping()).await;
        if !matches!(answered, Ok(Ok(()))) {
            tracing::warn!("the publisher's lease is lost; another process may publish now");
            keeper.lost.cancel();
            return;
        }
    }
}
