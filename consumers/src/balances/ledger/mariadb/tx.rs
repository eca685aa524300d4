//! Transactions on MariaDB: begun, ended, and begun again when the server asks for it.
//!
//! A connection goes back to the pool only after its transaction has ended in order. One that is
//! dropped on the way, by an error, a deadline or a caller who has gone, is closed: nobody has to
//! know what state it was in, and the server rolls back.
//!
//! Every write of the ledger can run again: it reads first what is so already. So a lost
//! connection, even one lost during COMMIT, is answered like a deadlock: from the beginning. The
//! first thing that the repeat does is to lock what the first attempt had locked, which waits
//! until the server has ended that one, so what it reads then is the outcome.

use super::{MariaDbLedger, failed};
use backon::{ExponentialBuilder, Retryable};
use penstock::ledger::LedgerError;
use sqlx::mysql::{MySql, MySqlConnection};
use sqlx::pool::PoolConnection;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

const RETRY_FIRST: Duration = Duration::from_millis(10);
const RETRY_MOST: Duration = Duration::from_millis(500);
const RETRIES: usize = 10;

/// An open transaction.
pub(super) struct Tx {
    conn: PoolConnection<MySql>,
    ended: bool,
}

impl Deref for Tx {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        &mut self.conn
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if !self.ended {
            self.conn.close_on_drop();
        }
    }
}

impl Tx {
    /// Makes it last. Errors: [`LedgerError::Busy`]; whether it lasts is then unknown.
    pub(super) async fn commit(mut self) -> Result<(), LedgerError> {
        sqlx::raw_sql("COMMIT").execute(&mut *self.conn).await.map_err(failed)?;
        self.ended = true;
        Ok(())
    }

    /// Ends a transaction that has nothing to keep.
    pub(super) async fn rollback(mut self) -> Result<(), LedgerError> {
        sqlx::raw_sql("ROLLBACK").execute(&mut *self.conn).await.map_err(failed)?;
        self.ended = true;
        Ok(())
    }
}

impl MariaDbLedger {
    /// A transaction that writes; every statement of it sees what is committed by then.
    pub(super) async fn begin(&self) -> Result<Tx, LedgerError> {
        self.open_with("START TRANSACTION").await
    }

    /// A transaction that reads: everything in it sees one state of the ledger.
    pub(super) async fn snapshot(&self) -> Result<Tx, LedgerError> {
        self.open_with(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
             START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        )
        .await
    }

    async fn open_with(&self, statement: &'static str) -> Result<Tx, LedgerError> {
        let conn = self.inner.pool.acquire().await.map_err(failed)?;
        let mut tx = Tx { conn, ended: false };
        sqlx::raw_sql(statement).execute(&mut *tx.conn).await.map_err(failed)?;
        Ok(tx)
    }

    /// Runs a whole transaction until it ends otherwise than by [`LedgerError::Busy`], within the
    /// ledger's time-out: that bounds every call, whatever the server does.
    pub(super) async fn retried<T, F>(&self, transaction: impl FnMut() -> F) -> Result<T, LedgerError>
    where
        F: Future<Output = Result<T, LedgerError>>,
    {
        let waits = ExponentialBuilder::new()
            .with_min_delay(RETRY_FIRST)
            .with_max_delay(RETRY_MOST)
            .with_max_times(RETRIES)
            .with_jitter();
        let all = transaction
            .retry(waits)
            .when(|error| matches!(error, LedgerError::Busy(_)))
            .notify(|error, wait| tracing::debug!(%error, ?wait, "a transaction of the ledger is tried again"));
        match tokio::time::timeout(self.inner.timeout, all).await {
            Ok(result) => result,
            Err(_) => Err(LedgerError::Busy(format!("no answer within {:?}", self.inner.timeout))),
        }
    }
}
