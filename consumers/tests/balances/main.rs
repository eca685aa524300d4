//! The way from an event's JSON to the ledger, and from the ledger to the campaign-state log.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

#[cfg(feature = "cluster")]
mod cluster;
mod events;
mod feed;
mod publisher;
mod real;
mod support;
