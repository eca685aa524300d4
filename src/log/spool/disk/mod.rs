//! The disk as the spool sees it, so that a test can pull the plug.
//!
//! [`RealDisk`] is the operating system. [`SimDisk`] is memory with a seed: it loses, tears or
//! keeps what was not synced, runs full and fails on demand. The spool never touches a file
//! except through these traits, and never assumes more than they promise: a write is durable
//! after [`DiskFile::sync_data`], a name after [`Disk::sync_dir`], nothing before.

mod real;
mod sim;

pub use real::{RealDisk, RealFile};
pub use sim::{Fault, FaultOn, SimDisk, SimFile, SimLock};

use std::io;
use std::path::Path;

/// How [`Disk::open`] treats a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Must exist; for reading.
    Read,
    /// Must exist; for reading and writing.
    Write,
    /// Made when absent (mode 0600), emptied when present; for reading and writing.
    Create,
}

/// Folders and names. Clones share the disk.
pub trait Disk: Clone + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;
    /// Held while a folder is owned; released on drop and when the process dies.
    type Lock: Send + Sync + 'static;

    /// Makes `dir` and its parents (mode 0700); an existing one is fine.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Opens a file. Errors: `NotFound` and what else the system says.
    fn open(&self, path: &Path, how: Open) -> io::Result<Self::File>;
    /// Names (not paths) of what lies in `dir`, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Renames a file, replacing `to`. Durable after [`Disk::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; open handles go on reading it. Durable after [`Disk::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Free bytes for this process on the device that holds `dir`.
    fn free(&self, dir: &Path) -> io::Result<u64>;
    /// Takes the lock file `path` for this process; `None` when somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Self::Lock>>;
    /// 64 random bits, for the spool's identity; seeded in a simulation.
    fn entropy(&self) -> u64;
}

/// One open file, addressed by byte position. Shared between threads.
pub trait DiskFile: Send + Sync + 'static {
    /// Reads at `at`; fewer bytes than `buf` only at the end of the file.
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes all of `data` at `at`, growing the file. After an error any part may be written.
    fn write_at(&self, data: &[u8], at: u64) -> io::Result<()>;
    /// Makes content and length durable (fdatasync).
    fn sync_data(&self) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or grows (with zeros) to `len` bytes.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Fills up to `len` bytes with zeros that occupy blocks, so that later writes below `len`
    /// work on a full disk.
    fn preallocate(&self, len: u64) -> io::Result<()>;
}
