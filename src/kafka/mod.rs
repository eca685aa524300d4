//! What everything that talks to Kafka shares: the client's configuration, errors.

pub mod client;
