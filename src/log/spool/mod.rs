//! The spool: Penstock's log on disk, tested like a database.
//!
//! A sidecar worker appends requests to a partition of its own ([`Writer`]), pipelines read the
//! partitions ([`SpoolLog`], a [`Log`](super::Log)). The one thing to know is the order of three
//! watermarks: *appended* (in the write buffer, promised to nobody), *written* (the operating
//! system has it: `os` durability), *synced* (the device has it: `disk` durability). **Readers
//! see only what is synced**, so no sink is ever ahead of what a power cut leaves, and an offset
//! that anybody has seen never means something else later.
//!
//! - one request is one group: there whole or not at all, with its idempotency key and answer;
//! - one write per flush and one fdatasync per interval serve many requests (group commit);
//! - damage is found by checksums, costs the damaged record alone where it can, and is handed to
//!   readers as holes, never left out silently;
//! - a full disk or quota refuses appends, and nothing else: positions are stored, readers move
//!   on, retention makes room.
//!
//! README.md describes the files and the promises. [`SimDisk`] stands in for the disk where a
//! seed decides what a power cut leaves.
//!
//! Where this differs from the first design: a group has no checksum over its whole body, since
//! header, meta and every record have their own and together cover each byte; headers with one
//! damaged byte are put right instead of costing the group; a noted sync watermark tells torn
//! tails from damage; a reader that is opened again fences its predecessor.

mod background;
mod checksum;
mod disk;
mod error;
mod format;
mod group;
mod identity;
mod keys;
mod open;
mod partition;
mod reader;
mod readers;
mod recover;
mod retention;
mod scan;
mod segment;
mod slots;
#[expect(clippy::module_inception, reason = "the spool's own type has a file of its own, as all others")]
mod spool;
mod usage;
mod watermarks;
mod writer;

#[cfg(test)]
mod tests;

pub use disk::{Disk, DiskFile, Fault, FaultOn, Open, RealDisk, RealFile, SimDisk, SimFile, SimLock};
pub use error::{AppendError, Failed, FileError, FlushCause, FlushError, HandleError, OpenError, WaitError};
pub use format::VERSION;
pub use group::{Group, GroupBuf, GroupKey};
pub use keys::{Answer, Begin, Claim, KeyGuard, KeyWait, Keys, KeysFull};
pub use open::Recovery;
pub use reader::SpoolLog;
pub use recover::PartitionRecovery;
pub use retention::Retention;
pub use spool::{Spool, SpoolOptions, Syncing};
pub use usage::{PartitionUsage, ReaderUsage, Usage};
pub use watermarks::Watermarks;
pub use writer::Writer;
