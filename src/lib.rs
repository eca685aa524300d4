//! What Penstock's sidecar and consumers share.
//!
//! One idea carries the system: *data and position move together; every write is idempotent
//! under its offset range; the range is pinned before the write.* The modules follow an event
//! on its way:
//!
//! - [`event`]: one file a type; from JSON to a typed, valid event;
//! - [`codec`]: Avro framing, the fast encoder, and the decoder into Arrow columns;
//! - [`log`]: partitioned append-only logs addressed by offset (the spool; later Kafka);
//! - [`pipeline`]: moves one partition of a log into one sink, exactly once in effect;
//! - `kafka`, `registry`: what only a fleet needs, behind the feature `cluster`;
//! - [`pricing`], [`ledger`], [`money`]: what an event costs, and who has paid for it;
//! - [`actors`], [`settings`], [`telemetry`], [`guard`], [`niceness`]: how it is run, configured, watched, kept to
//!   itself, and who goes first.

pub mod accounts;
pub mod actors;
pub mod codec;
pub mod event;
pub mod guard;
#[cfg(feature = "cluster")]
pub mod kafka;
pub mod ledger;
pub mod log;
pub mod money;
pub mod niceness;
pub mod pipeline;
pub mod pricing;
#[cfg(feature = "cluster")]
pub mod registry;
pub mod settings;
pub mod telemetry;
pub mod time;
