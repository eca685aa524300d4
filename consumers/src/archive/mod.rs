//! The archive: every event in Avro container files, in a folder an hour of its own time; a folder
//! on this machine, HDFS or S3.
//!
//! Nothing is decoded: a record's datum is copied into a block as it stands, and its schema is the
//! file's. A file's name and bytes are a function of the range alone, so a range that is written
//! twice leaves the same folder; a file appears whole or not at all. README.md says what goes
//! wrong and what then happens.
//!
//! - [`ArchiveStore`]: where the files are, opened once a process; [`ArchiveSink`]: one partition's sink;
//! - [`container`]: files as they are written; [`name`]: what their paths say;
//! - [`reader`]: a file's header and block headers, read back without trust;
//!   [`census`]: how many records the archive holds, for reconcile.

mod begun;
pub mod census;
#[cfg(feature = "cluster")]
pub mod compact;
pub mod container;
#[cfg(feature = "cluster")]
mod content;
mod folder;
#[cfg(feature = "cluster")]
mod hdfs;
mod hour;
pub mod locate;
pub mod manifest;
mod marks;
pub mod name;
mod offsets;
pub mod reader;
#[cfg(feature = "cluster")]
mod remote;
mod sink;
mod store;
#[cfg(test)]
mod tests;
#[cfg(feature = "cluster")]
pub mod verify;

pub use sink::{ArchiveBatch, ArchiveSink};
pub use store::{ArchiveStore, StoreError};
