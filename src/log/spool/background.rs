//! The spool's own thread: syncs what is written, and makes room when an append was refused.
//!
//! One thread and not a task: fdatasync blocks for as long as the device likes.

use super::disk::Disk;
use super::error::{FileError, OpenError};
use super::spool::Inner;
use super::watermarks::{Bell, Ring};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Retention by a full spool runs at most this often.
const MAKE_ROOM_EVERY: Duration = Duration::from_millis(100);

/// The running thread; stopped and joined on drop.
pub(super) struct Background {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    pub fn start<D: Disk>(inner: &Arc<Inner<D>>, interval: Duration) -> Result<Self, OpenError> {
        let (bell, shared) = (inner.bell.clone(), inner.clone());
        let thread = std::thread::Builder::new()
            .name("spool-sync".to_owned())
            .spawn(move || run(&shared, interval))
            .map_err(|source| FileError { what: "start a sync thread for", path: inner.dir.clone(), source })?;
        Ok(Background { bell, thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.bell.ring(Ring::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the spool's sync thread had panicked");
        }
    }
}

fn run<D: Disk>(inner: &Inner<D>, interval: Duration) {
    let bell = &inner.bell;
    let mut made_room: Option<Instant> = None;
    loop {
        bell.sleep(&[Ring::Dirty, Ring::Now, Ring::Full, Ring::Stop], None);
        if !bell.has(Ring::Now) && !bell.has(Ring::Full) {
            // Dirty alone can wait, and more will come meanwhile.
            bell.sleep(&[Ring::Now, Ring::Full, Ring::Stop], Some(interval));
        }
        if bell.has(Ring::Stop) {
            return;
        }
        // Taken before the sync: what is written from here on rings again.
        bell.take(Ring::Now);
        if bell.take(Ring::Dirty) {
            // Failed partitions have told their waiters and the log; the others go on.
            let _ = inner.sync_all();
        }
        if bell.take(Ring::Full) && made_room.is_none_or(|t| t.elapsed() >= MAKE_ROOM_EVERY) {
            made_room = Some(Instant::now());
            if let Err(error) = inner.housekeep() {
                tracing::warn!(%error, "cannot make room in the spool");
            }
        }
    }
}
