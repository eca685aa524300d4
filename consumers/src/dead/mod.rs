//! Dead letters: records that a sink could not take, with the reason, in a log of their own.
//!
//! A letter is durable before its pipeline passes the record, and one record is one letter a
//! sink: letters are known by (sink, log, partition, offset), and one that is written again (a
//! crash between the letter and the commit) counts once. README.md describes format and promises.

mod index;
mod letters;
pub mod marks;
mod record;
pub mod replay;
#[cfg(test)]
mod tests;
#[cfg(feature = "cluster")]
mod topic;
#[cfg(feature = "cluster")]
mod topic_replay;

pub use index::{Key, Marked, Summary};
pub use letters::{DeadLetters, Filter, LettersError};
pub use record::{DeadLetter, RecordError};
#[cfg(feature = "cluster")]
pub use topic::{TopicBook, TopicLetters, TopicTarget};
#[cfg(feature = "cluster")]
pub use topic_replay::TopicReplay;
