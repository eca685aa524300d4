//! The wiring that `penstock up` and the single roles of a cluster share.
//!
//! Each file makes one part ready to be run: the caller decides where its pipelines and children
//! live (one process on one machine, one process a role in a cluster).

pub mod access;
pub mod archive;
pub mod data_dir;
pub mod ledger;
pub mod signals;
pub mod spools;
pub mod statistics;
pub mod views;

use futures::future::LocalBoxFuture;
use tokio_util::sync::CancellationToken;

/// What a maker gives: a sink for one generation of one pipeline, or one sentence; it may wait for
/// what the sink writes to, until its token ends it.
pub type Made<S> = LocalBoxFuture<'static, Result<S, String>>;

/// Builds the sink of a pipeline anew for each of its generations.
pub trait Maker<S>: Fn(CancellationToken) -> Made<S> + Clone + Send + Sync + 'static {}

impl<S, M> Maker<S> for M where M: Fn(CancellationToken) -> Made<S> + Clone + Send + Sync + 'static {}
