//! The promises of a ledger, asked of every implementation.
//!
//! [`conformance`] is generic over the ledger and takes SQL in the database itself as its
//! oracle; [`model`] compares random histories, crashes and replays among them, with a ledger
//! of a few lines that never saw a database.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

#[macro_use]
mod suite;

mod accounts;
mod budgets;
mod catalogue;
mod conformance;
mod control;
#[cfg(feature = "cluster")]
mod crashes;
#[cfg(feature = "cluster")]
mod mariadb;
mod model;
#[cfg(feature = "cluster")]
mod proxy;
mod publishing;
mod sqlite;
mod support;
mod views;
