//! The sinks: ClickHouse statistics, ledger balances, archive files, dead letters; and the catalogue.

pub mod archive;
pub mod balances;
pub mod catalogue;
pub mod dead;
pub mod statistics;
