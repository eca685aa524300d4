//! How far a partition is written, synced and replicated, and waiting for it.
//!
//! Moving a watermark is an atomic store and one uncontended lock when nobody waits; asking is
//! an atomic load.

use super::error::{Failed, WaitError};
use crate::log::{Offset, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How far one partition is written, synced and replicated. Offsets are exclusive: everything below holds.
#[derive(Debug)]
pub struct Watermarks {
    written: AtomicU64,
    synced: AtomicU64,
    /// The furthest offset somebody waits for with `disk` durability.
    wanted: AtomicU64,
    /// How far the forwarder's target has it.
    replicated: AtomicU64,
    /// The furthest offset somebody waits for until it is replicated.
    urgent: AtomicU64,
    written_moved: Notify,
    synced_moved: Notify,
    replicated_moved: Notify,
    failed: OnceLock<Failed>,
    /// Counts failed flushes.
    lost_flushes: AtomicU64,
    bell: Arc<Bell>,
}

impl Watermarks {
    pub(super) fn new(end: Offset, bell: Arc<Bell>) -> Self {
        Watermarks {
            written: AtomicU64::new(end),
            synced: AtomicU64::new(end),
            wanted: AtomicU64::new(0),
            replicated: AtomicU64::new(0),
            urgent: AtomicU64::new(0),
            written_moved: Notify::new(),
            synced_moved: Notify::new(),
            replicated_moved: Notify::new(),
            failed: OnceLock::new(),
            lost_flushes: AtomicU64::new(0),
            bell,
        }
    }

    /// First offset behind what the operating system has: survives the death of the process.
    #[must_use]
    pub fn written(&self) -> Offset {
        self.written.load(Ordering::Acquire)
    }

    /// First offset behind what the device has: survives a power cut. Readers see up to here.
    #[must_use]
    pub fn synced(&self) -> Offset {
        self.synced.load(Ordering::Acquire)
    }

    /// First offset behind what all in-sync replicas of Kafka have; 0 until a forwarder has said.
    #[must_use]
    pub fn replicated(&self) -> Offset {
        self.replicated.load(Ordering::Acquire)
    }

    /// Everything below `offset` is on all in-sync replicas (the forwarder says so).
    pub fn set_replicated(&self, offset: Offset) {
        self.replicated.fetch_max(offset, Ordering::AcqRel);
        self.replicated_moved.notify_waiters();
    }

    /// Waits until everything below `offset` is on all in-sync replicas. It is synced at once for that,
    /// since forwarders see only what is, and a reader that gathers a range closes it at once. For
    /// offsets that are written. Cancel safe.
    ///
    /// Errors: [`Failed`] when the partition fails first.
    pub async fn wait_replicated(&self, offset: Offset) -> Result<(), Failed> {
        if self.replicated() >= offset {
            return Ok(());
        }
        // Before the sync, so that whoever reads what it brings knows already.
        self.urgent.fetch_max(offset, Ordering::AcqRel);
        self.wait_synced(offset).await?;
        // What was synced before brings nobody to look.
        self.synced_moved.notify_waiters();
        self.wait(&self.replicated_moved, || self.replicated() >= offset).await
    }

    /// The error that ended the partition, if one has.
    #[must_use]
    pub fn failure(&self) -> Option<Failed> {
        self.failed.get().cloned()
    }

    /// Waits until everything below `offset` is written: for whoever appended and leaves the flush
    /// to somebody else. Call it before anything else can flush, that is without an await after
    /// the append: a flush that fails gives the offsets to later groups. Cancel safe.
    ///
    /// Errors: [`WaitError`] when a flush or the partition fails first.
    pub async fn wait_written(&self, offset: Offset) -> Result<(), WaitError> {
        let lost = self.lost_flushes.load(Ordering::Acquire);
        let flush_failed = || self.lost_flushes.load(Ordering::Acquire) != lost;
        self.wait(&self.written_moved, || flush_failed() || self.written() >= offset).await?;
        if flush_failed() { Err(WaitError::NotWritten) } else { Ok(()) }
    }

    /// Waits until everything below `offset` is durable, and has the sync done at once instead of
    /// at the next interval; all who wait meanwhile share it. For offsets that are written: a
    /// written group is never taken back. Cancel safe.
    ///
    /// Errors: [`Failed`] when the partition fails first.
    pub async fn wait_synced(&self, offset: Offset) -> Result<(), Failed> {
        if self.synced() >= offset {
            return Ok(());
        }
        self.wanted.fetch_max(offset, Ordering::AcqRel);
        self.bell.ring(Ring::Now);
        self.wait(&self.synced_moved, || self.synced() >= offset).await
    }

    /// Whether somebody waits for records of `gathered`, or for later ones, to be replicated.
    pub(super) fn is_urgent(&self, gathered: Range) -> bool {
        !gathered.is_empty() && self.urgent.load(Ordering::Acquire) > gathered.from
    }

    /// Waits until something behind `gathered` is readable, or it has become urgent. Does not hurry
    /// the sync.
    pub(super) async fn wait_readable(&self, gathered: Range) -> Result<(), Failed> {
        self.wait(&self.synced_moved, || self.synced() > gathered.to || self.is_urgent(gathered)).await
    }

    async fn wait(&self, moved: &Notify, done: impl Fn() -> bool) -> Result<(), Failed> {
        loop {
            if done() {
                return Ok(());
            }
            let mut notified = std::pin::pin!(moved.notified());
            // Registered before the second look, or a move between look and wait would be missed.
            notified.as_mut().enable();
            if done() {
                return Ok(());
            }
            if let Some(failed) = self.failed.get() {
                return Err(failed.clone());
            }
            notified.await;
        }
    }

    pub(super) fn check(&self) -> Result<(), Failed> {
        self.failed.get().map_or(Ok(()), |f| Err(f.clone()))
    }

    pub(super) fn set_written(&self, offset: Offset) {
        self.written.store(offset, Ordering::Release);
        self.written_moved.notify_waiters();
        self.bell.ring(Ring::Dirty);
        if self.wanted.load(Ordering::Acquire) > self.synced() {
            self.bell.ring(Ring::Now);
        }
    }

    /// A flush failed: what was appended behind `written` is gone, its offsets will be others'.
    pub(super) fn flush_failed(&self) {
        self.lost_flushes.fetch_add(1, Ordering::AcqRel);
        self.written_moved.notify_waiters();
    }

    pub(super) fn set_synced(&self, offset: Offset) {
        self.synced.fetch_max(offset, Ordering::AcqRel);
        self.synced_moved.notify_waiters();
    }

    pub(super) fn fail(&self, why: &str) {
        if self.failed.set(Failed(Arc::from(why))).is_ok() {
            tracing::error!(why, "spool partition failed");
        }
        self.written_moved.notify_waiters();
        self.synced_moved.notify_waiters();
        self.replicated_moved.notify_waiters();
    }
}

/// Why the background thread is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ring {
    /// Something is unsynced: sync within the interval.
    Dirty = 1,
    /// Somebody waits for the sync.
    Now = 2,
    /// An append was refused for lack of space: retention may free some.
    Full = 4,
    /// The spool closes.
    Stop = 8,
}

/// Wakes the background thread. Ringing twice costs one atomic.
#[derive(Debug, Default)]
pub(super) struct Bell {
    flags: AtomicU64,
    asleep: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Bell {
    pub fn ring(&self, why: Ring) {
        let had = self.flags.fetch_or(why as u64, Ordering::SeqCst);
        if had & why as u64 == 0 && self.asleep.load(Ordering::SeqCst) {
            // The lock orders this after the sleeper's last look at the flags.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_one();
        }
    }

    /// Whether `why` has rung, without taking it.
    pub fn has(&self, why: Ring) -> bool {
        self.flags.load(Ordering::SeqCst) & why as u64 != 0
    }

    /// Takes `why`: true when it had rung.
    pub fn take(&self, why: Ring) -> bool {
        self.flags.fetch_and(!(why as u64), Ordering::SeqCst) & why as u64 != 0
    }

    /// Sleeps until one of `flags` rings or `longest` is over.
    pub fn sleep(&self, flags: &[Ring], longest: Option<Duration>) {
        let awake = || flags.iter().any(|&r| self.has(r));
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.asleep.store(true, Ordering::SeqCst);
        // Flag and `asleep` are sequentially consistent: either the ringer sees the sleeper, or
        // the sleeper sees the ring.
        match longest {
            Some(d) => drop(self.wake.wait_timeout_while(guard, d, |()| !awake())),
            None => drop(self.wake.wait_while(guard, |()| !awake())),
        }
        self.asleep.store(false, Ordering::Release);
    }
}
