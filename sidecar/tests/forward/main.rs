//! The forwarder against brokers: three real ones for what must hold after crashes, librdkafka's
//! mock for brokers that go away. What arrived is read back by librdkafka's consumer.
#![cfg(feature = "cluster")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "helpers of tests fail the test")]

mod away;
mod crashes;
mod places;
mod support;
mod topics;
