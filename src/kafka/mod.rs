//! What everything that talks to Kafka shares: the client's configuration, the keys of records,
//! the producer with librdkafka's batch call, and the small publisher on top of it.

pub mod barrier;
mod batch;
pub mod client;
mod context;
pub mod key;
pub mod producer;
pub mod publisher;
mod reports;
mod served;
mod tail;
#[cfg(test)]
mod tests;
pub mod topics;

pub use batch::{Enqueued, Message, Slice, Ticket};
pub use key::Key;
pub use producer::{Producer, ProducerError, ProducerOptions, SharedProducer};
pub use publisher::{PublishError, Publisher, is_final};
pub use tail::Tail;
