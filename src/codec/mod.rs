//! Avro: schemas, framing, the fast encoder, and the decoder into Arrow columns.
//!
//! A record is Avro single-object encoding: `C3 01`, the CRC-64-AVRO fingerprint of the schema it
//! was written with (8 bytes, little endian), then the datum. Every event schema is one flat
//! record, so writing and reading follow a list of steps without recursion, and garbage costs at
//! most a walk over its own bytes. `apache-avro` owns schemas and fingerprints here, and is with
//! `arrow-avro` the oracle of the tests; neither is on the event's way.
//!
//! - [`registry`]: which schemas records may be written with, each known by its [`fingerprint`];
//! - [`encode`]: checked values to a frame; [`frame`]: a frame taken apart and checked;
//! - [`confluent`]: the wire format of Kafka with a schema registry;
//! - [`columns`]: many records to Arrow columns, with `symbols` for text of few values;
//! - [`json`]: one record to JSON, for people;
//! - [`wire`]: Avro's primitives; [`row`]: one datum as borrowed values.

pub mod columns;
pub mod confluent;
pub(crate) mod encode;
pub mod fingerprint;
pub mod frame;
pub mod json;
pub mod registry;
pub(crate) mod row;
mod symbols;
#[cfg(test)]
pub(crate) mod tests;
pub mod wire;
