//! The local ClickHouse: libchdb behind ClickHouse's own HTTP protocol, as a supervised child process.
//!
//! Two halves. [`run`] is the child: it takes the data folder's lock and the port, loads the
//! engine and serves HTTP until it is told to stop or its parent dies. [`Supervisor`] is the
//! parent's side: it starts the child, hands it the writers' password through a pipe, restarts it
//! when it dies, and tells whether it is ready. An engine that crashes or runs out of memory takes
//! only itself along.
//!
//! - [`chdb`]: the C interface, the only `unsafe` of the project;
//! - `engine`, `task`: sessions, one thread a running query, reading and refusing;
//! - `http`, `encoding`, `native`, `stitch`, `sql`, `exception`: the protocol;
//! - [`child`], [`supervisor`], `parent`, `lock`: the process and its life.

pub mod chdb;
pub mod child;
mod config;
mod encoding;
mod engine;
mod exception;
mod http;
mod lock;
mod native;
mod parent;
mod sql;
mod stitch;
pub mod supervisor;
mod task;

pub use child::{RunError, run};
pub use config::library;
pub use http::WRITER;
pub use parent::Parent;
pub use supervisor::{EngineState, Program, Supervisor};
