//! A pipeline moves one partition of a [`Log`](crate::log::Log) into one [`Sink`].
//!
//! `read ▸ collect ▸ prepare ▸ store ▸ write ▸ store`: the pinned range is stored before
//! anything is written, and [`Sink::write`] leaves the same state however often it is called
//! with the same range. So a crash at any point is answered by asking the sink what it holds of
//! the pinned range and writing what is missing. `run.rs` argues each crash point.
//!
//! A [`Pipeline`] is a plain struct with everything given to it ([`Parts`]); the actor shell in
//! [`crate::actors`] builds a new one for every generation, and a [`PipelineHandle`] watches and
//! steers it from outside.

mod collect;
mod dead;
mod deliver;
mod error;
mod gap;
mod handle;
mod retry;
mod run;
pub mod sink;
mod status;
mod steps;
#[cfg(test)]
mod tests;

pub use dead::{DeadError, DeadTarget, GAP, GapAnswer, Letter};
pub use error::PipelineError;
pub use handle::PipelineHandle;
pub use retry::Backoff;
pub use run::{Parts, Pipeline};
pub use sink::{Held, Poison, PoisonCode, Sink, SinkError};
pub use status::{State, Status};
pub use steps::{Go, Step, Steps};
