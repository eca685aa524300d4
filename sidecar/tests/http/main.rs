//! The sidecar over real HTTP on loopback: every promise of its face, with clients and decoders
//! that are not ours (reqwest, raw sockets, serde_json, the Avro library) as oracles.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod bounds;
mod campaigns;
mod connections;
mod drain;
mod insert;
mod intake;
mod kafka;
mod nonsense;
mod repeats;
mod support;
mod unix;
