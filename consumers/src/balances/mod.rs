//! The balances sink: charges what events cost, and stops campaigns whose budget is used up.
//!
//! A range of the log is decoded, priced and grouped ([`BalancesSink`]), then booked by the
//! ledger in one transaction that also decides which budgets are used up and puts that on its
//! outbox. The [`Publisher`] carries the outbox to the sidecars; the [`Keeper`] begins the days.
//! README.md lists settings, errors and the promise.

#[cfg(feature = "cluster")]
mod kafka_log;
mod keeper;
pub mod ledger;
mod publisher;
mod sink;
mod state_log;

#[cfg(feature = "cluster")]
pub use kafka_log::{HEARTBEAT_KEY, KafkaStateLog};
pub use keeper::Keeper;
pub use publisher::{PublishError, Publisher};
pub use sink::{BalancesSink, Prepared};
pub use state_log::{Entry, Overtaken, SpoolStateLog, StateLog, StateLogError};
