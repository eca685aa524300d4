//! Databases that hold the ledger: one folder each, all behind [`penstock::ledger::Ledger`].

pub mod sqlite;
