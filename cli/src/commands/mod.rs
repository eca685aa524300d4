//! One file a command.

#[cfg(feature = "cluster")]
pub mod archive;
pub mod catalogue;
pub mod check_config;
pub mod dead;
pub mod engine;
pub mod gap;
pub mod ingest;
pub mod load;
pub mod migrate;
pub mod reconcile;
pub mod seed;
pub mod simulate;
pub mod status;
pub mod token;
pub mod topics;
pub mod user;
