//! The sidecar: takes JSON events over HTTP, keeps them in the spool, answers the stop list.
//!
//! One process, `workers` threads; each thread owns one partition of the spool, so an event never
//! crosses threads on its way from the socket to the log. [`intake`] is that way, [`http`] the
//! routes and what guards them, [`stop_list`] what the ad server asks. [`Sidecar::start`] runs it
//! inside `penstock up` or alone, until its token is cancelled; then it drains.

#[cfg(feature = "cluster")]
pub mod forward;
pub mod http;
pub mod intake;
pub mod stop_list;

mod run;

pub use run::{Addresses, Running, Sidecar, SidecarConfig, StartError};
