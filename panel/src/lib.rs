//! The panel: the REST API that admins and the command line use.
//!
//! The panel holds no state of its own: it asks ClickHouse for statistics, the ledger for
//! campaigns and money, the pipelines for where they stand. [`api::types`] are the JSON shapes
//! of every route, shared with the command line, so that both sides cannot drift apart.
//! [`reconcile`] is where log, archive, statistics and ledger are held against each other.

pub mod access;
mod analytics;
pub mod api;
mod app;
mod campaigns;
mod errors;
mod events;
mod explore;
pub mod feed;
mod graphql;
mod live;
mod now;
mod openapi;
mod quality;
pub mod reconcile;
mod server;
mod standing;
mod statistics;
mod web;

pub use access::{Access, Caller, Via};
pub use app::{DeadFilter, DeadKey, DeadReplay, DeadStore, LOCAL, PanelConfig, RoleProbe, SpoolView};
pub use live::{Live, Standing, sink_status};
pub use now::exposition::Counters;
pub use server::{Panel, Running};
pub use statistics::{Bounds, ClickHouse, Question, Statistics, StatisticsError, TailFilter};
