//! Databases that hold the ledger: one folder each, all behind [`penstock::ledger::Ledger`].
//!
//! What does not depend on the database stands beside the folders: rules (`checks`), rows to be
//! written (`posted`), rows that were read (`found`), and how many rows become one parameter
//! (`rows`). Locks, transactions and the SQL that differs are each database's own. What both say in
//! the same words stands in `alike`: each folder compiles these files for its own connection and
//! gives them the few phrases that differ (`dialect`), since one function over both connections
//! would need sqlx's bounds on every line.

mod access;
mod any;
mod checks;
mod found;
#[cfg(feature = "cluster")]
#[allow(clippy::duplicate_mod, reason = "the files of `alike` are meant to be compiled for each database")]
pub mod mariadb;
mod posted;
mod ranges;
mod rows;
pub mod sqlite;

pub use any::{AnyLedger, open};

use penstock::ledger::LedgerError;

/// An integer of the database that has to fit a smaller type.
fn fit<T: TryFrom<i64>>(n: i64, what: &'static str) -> Result<T, LedgerError> {
    T::try_from(n).map_err(|_| LedgerError::Fatal(format!("{what} = {n} is out of its bounds")))
}

/// An unsigned number on its way into the database.
fn signed(n: u64, what: &'static str) -> Result<i64, LedgerError> {
    i64::try_from(n).map_err(|_| LedgerError::Refused(format!("{what} = {n} does not fit 64 bits with a sign")))
}

/// Nanos of a fold on their way into a row.
fn part(nanos: i128) -> Result<i64, LedgerError> {
    i64::try_from(nanos).map_err(|_| LedgerError::Fatal(format!("{nanos} nanos of a day fit no row")))
}
