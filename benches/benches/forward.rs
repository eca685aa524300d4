//! The way to Kafka: what an enqueue costs, and how near the forwarder comes to a producer that only
//! sends the same bytes. Needs brokers: `PENSTOCK_TEST_KAFKA` (`make cluster`), feature `cluster`.
//!
//! Prints one JSON line a measurement. Ratios are of one run on the same brokers; runs alternate
//! and the median counts, since other load on the machine moves all of them.

#[cfg(feature = "cluster")]
#[path = "forward/mod.rs"]
mod measure;

#[cfg(feature = "cluster")]
fn main() {
    measure::run();
}

#[cfg(not(feature = "cluster"))]
fn main() {}
