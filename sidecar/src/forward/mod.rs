//! The forwarder: moves the spool to Kafka, one pipeline a spool partition.
//!
//! It is an ordinary sink ([`KafkaSink`]) under the ordinary pipeline, so the spool's position file
//! is its checkpoint and the pin tells after a crash which range was under way. What Kafka lacks is
//! a way to write a range only once; three things make up for it:
//!
//! - the key of a record is its spool and sequence ([`penstock::kafka::key`]), and its topic and
//!   partition are functions of the record, its sequence and a *plan* that is kept on disk
//!   ([`plan`]), so whoever looks knows where a record must be;
//! - while the process lives, its idempotent producer sends each message once, and the sink goes on
//!   waiting for the same messages however long the brokers are away ([`send`]);
//! - after a crash a *barrier* is written to each partition concerned and the tails are read up to
//!   it ([`held`]): what had arrived is not sent again.
//!
//! | crash after | Kafka holds | the next start |
//! | --- | --- | --- |
//! | pin | nothing of the range | barrier, finds nothing, sends all |
//! | some of it was enqueued or sent | of each partition, a prefix of the range's records | barrier, sends what is missing |
//! | all was acknowledged | all | barrier, finds all, commits |
//! | commit | all, and nothing of the next | no pin: goes on; with a pin: as above |
//! | a plan was saved | what it held before | the plan holds from the end of a range on, so no record of an earlier one changes its place |
//!
//! A stop without a crash commits or leaves a pin like a crash does; the commit is waited for as
//! long as the brokers answer.

mod batch;
mod forwarder;
mod held;
pub mod plan;
mod send;
mod sink;

pub use forwarder::{ForwardError, Forwarder};
pub use sink::KafkaSink;
