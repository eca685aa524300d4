//! One process at a time owns a data folder: a lock that goes with the process, however it ends.

use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a lock or port that is taken is tried again.
pub const RETRY: Duration = Duration::from_millis(50);

/// The lock of a data folder; released on drop and by the operating system at the process's end.
#[derive(Debug)]
pub struct DirLock(#[expect(dead_code, reason = "held open")] File);

/// Makes the folder and waits for its lock until `deadline`.
///
/// Errors: an [`io::Error`]; [`io::ErrorKind::WouldBlock`] when another process still holds it.
pub async fn acquire(dir: &Path, deadline: Instant) -> io::Result<DirLock> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let path = dir.join("penstock-engine.lock");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(DirLock(file)),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => sleep(RETRY).await,
            Err(errno) => return Err(errno.into()),
        }
    }
}
