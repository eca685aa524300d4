//! The panel's tests, in one binary: each of several would compile the whole panel once more.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod access;
mod api;
mod graphql;
mod nonsense;
#[cfg(feature = "cluster")]
mod oidc;
mod real_engine;
mod support;
