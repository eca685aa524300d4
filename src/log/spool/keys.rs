//! Idempotency keys: which requests are under way, and the answers to those that are done.
//!
//! One table over all partitions, since a repeat may reach another worker than the first. A key
//! is under way from [`Keys::begin`] until its group is flushed (done), or the guard is dropped or
//! the flush fails (free again). Groups carry key, body hash and answer, so the table is rebuilt
//! from the log at open.

use crate::log::Range;
use crate::time::{Clock, Micros};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry as Slot;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

const SHARDS: usize = 64;

/// The answer that a request got, and where its group lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Body of the HTTP answer.
    pub bytes: Arc<[u8]>,
    /// Partition of the group.
    pub partition: u32,
    /// The group's offsets; wait for `range.to` before repeating a `disk` answer.
    pub range: Range,
}

/// What [`Keys::begin`] found.
#[derive(Debug)]
pub enum Begin {
    /// Nobody has this key: go on, and append a group with it.
    New(KeyGuard),
    /// The first request with this key is under way.
    Wait(KeyWait),
    /// It is done; give the same answer.
    Done(Answer),
    /// The key was used with another body.
    Conflict,
}

/// What [`Keys::claim`] came to.
#[derive(Debug)]
pub enum Claim {
    /// Nobody has this key: go on, and append a group with it.
    New(KeyGuard),
    /// It is done; give the same answer.
    Done(Answer),
    /// The key was used with another body.
    Conflict,
}

/// Too many keys, or too many bytes of answers, are remembered; answer 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many idempotency keys are remembered ({keys}); old ones expire")]
pub struct KeysFull {
    /// How many there are.
    pub keys: usize,
    /// When trying again makes sense.
    pub retry_after: Duration,
}

#[derive(Debug)]
enum State {
    /// Under way; the number tells this guard from a later one of the same key.
    Begun(u64),
    /// In a write buffer: its fate is the flush's, no more the guard's.
    Appended,
    Done(Answer, Micros),
}

#[derive(Debug)]
struct Entry {
    body: [u8; 16],
    state: State,
}

#[derive(Debug, Default)]
struct Shard {
    entries: Mutex<HashMap<[u8; 16], Entry>>,
    settled: Notify,
}

/// The table of idempotency keys. Clones share it.
#[derive(Clone, Debug)]
pub struct Keys(Arc<Inner>);

struct Inner {
    shards: Box<[Shard]>,
    window: Duration,
    max: usize,
    max_bytes: usize,
    count: AtomicUsize,
    bytes: AtomicUsize,
    guards: AtomicU64,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("count", &self.count).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Holds a key while its request is under way. Dropped without an appended group, the key is
/// free again and whoever waits tries for itself.
#[derive(Debug)]
pub struct KeyGuard {
    keys: Keys,
    key: [u8; 16],
    body: [u8; 16],
    number: u64,
}

/// Waits for the first request with a key.
#[derive(Debug)]
pub struct KeyWait {
    keys: Keys,
    key: [u8; 16],
    body: [u8; 16],
}

impl Keys {
    pub(super) fn new(window: Duration, max: usize, max_bytes: usize, clock: Arc<dyn Clock>) -> Self {
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        let (count, bytes, guards) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicU64::new(0));
        Keys(Arc::new(Inner { shards, window, max, max_bytes, count, bytes, guards, clock }))
    }

    /// Looks the key up, and takes it when it is free.
    ///
    /// Errors: [`KeysFull`] when the table is at its bound.
    pub fn begin(&self, key: &[u8; 16], body: &[u8; 16]) -> Result<Begin, KeysFull> {
        let now = self.0.clock.now();
        let (shard, mut entries) = self.shard(key);
        if let Some(entry) = entries.get(key) {
            let expired = matches!(&entry.state, State::Done(_, at) if self.expired(*at, now));
            if !expired {
                if entry.body != *body {
                    return Ok(Begin::Conflict);
                }
                return Ok(match &entry.state {
                    State::Done(answer, _) => Begin::Done(answer.clone()),
                    State::Begun(_) | State::Appended => {
                        Begin::Wait(KeyWait { keys: self.clone(), key: *key, body: *body })
                    }
                });
            }
            self.remove(&mut entries, key);
        }
        if !self.room() {
            self.expire_in(&mut entries, now);
            if !self.room() {
                let keys = self.len();
                return Err(KeysFull { keys, retry_after: self.0.window.min(Duration::from_secs(10)) });
            }
        }
        let number = self.0.guards.fetch_add(1, Ordering::Relaxed);
        self.insert(&mut entries, *key, Entry { body: *body, state: State::Begun(number) });
        drop(entries);
        let _ = shard;
        Ok(Begin::New(KeyGuard { keys: self.clone(), key: *key, body: *body, number }))
    }

    /// [`Keys::begin`], waiting while the first request with the key is under way. Cancel safe.
    ///
    /// Errors: [`KeysFull`] when the table is at its bound.
    pub async fn claim(&self, key: &[u8; 16], body: &[u8; 16]) -> Result<Claim, KeysFull> {
        loop {
            match self.begin(key, body)? {
                Begin::New(guard) => return Ok(Claim::New(guard)),
                Begin::Done(answer) => return Ok(Claim::Done(answer)),
                Begin::Conflict => return Ok(Claim::Conflict),
                Begin::Wait(wait) => {
                    if let Some(answer) = wait.answer().await {
                        return Ok(Claim::Done(answer));
                    }
                }
            }
        }
    }

    /// How many keys are remembered or under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets keys that are past the window.
    pub(super) fn expire(&self) {
        let now = self.0.clock.now();
        for shard in &self.0.shards {
            self.expire_in(&mut lock(&shard.entries), now);
        }
    }

    /// The key's group is in a write buffer.
    pub(super) fn appended(&self, key: &[u8; 16], body: &[u8; 16]) {
        let (_, mut entries) = self.shard(key);
        self.insert(&mut entries, *key, Entry { body: *body, state: State::Appended });
    }

    /// The key's group is written (or was found in the log): repeats get the answer.
    pub(super) fn done(&self, key: &[u8; 16], body: &[u8; 16], answer: Answer, at: Micros) {
        let (shard, mut entries) = self.shard(key);
        if let Some(Entry { state: State::Done(_, earlier), .. }) = entries.get(key)
            && *earlier > at
        {
            return; // The log held an older use of the same key: the newest one counts.
        }
        self.insert(&mut entries, *key, Entry { body: *body, state: State::Done(answer, at) });
        drop(entries);
        shard.settled.notify_waiters();
    }

    /// The key's group was not written.
    pub(super) fn released(&self, key: &[u8; 16]) {
        let (shard, mut entries) = self.shard(key);
        if matches!(entries.get(key), Some(Entry { state: State::Appended, .. })) {
            self.remove(&mut entries, key);
        }
        drop(entries);
        shard.settled.notify_waiters();
    }

    /// Body hash, answer and time of a key that is done and still valid.
    pub(super) fn remembered(&self, key: &[u8; 16]) -> Option<([u8; 16], Answer, Micros)> {
        let now = self.0.clock.now();
        let (_, entries) = self.shard(key);
        match entries.get(key) {
            Some(Entry { body, state: State::Done(answer, at) }) if !self.expired(*at, now) => {
                Some((*body, answer.clone(), *at))
            }
            _ => None,
        }
    }

    pub(super) fn expired(&self, at: Micros, now: Micros) -> bool {
        at.plus(self.0.window) <= now
    }

    pub(super) fn window(&self) -> Duration {
        self.0.window
    }

    fn room(&self) -> bool {
        self.len() < self.0.max && self.0.bytes.load(Ordering::Relaxed) < self.0.max_bytes
    }

    fn shard(&self, key: &[u8; 16]) -> (&Shard, MutexGuard<'_, HashMap<[u8; 16], Entry>>) {
        let shard = &self.0.shards[usize::from(key[0]) % SHARDS];
        (shard, lock(&shard.entries))
    }

    fn insert(&self, entries: &mut HashMap<[u8; 16], Entry>, key: [u8; 16], entry: Entry) {
        self.0.bytes.fetch_add(entry.bytes(), Ordering::Relaxed);
        match entries.entry(key) {
            Slot::Occupied(mut slot) => {
                let old = slot.insert(entry);
                self.0.bytes.fetch_sub(old.bytes(), Ordering::Relaxed);
            }
            Slot::Vacant(slot) => {
                slot.insert(entry);
                self.0.count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn remove(&self, entries: &mut HashMap<[u8; 16], Entry>, key: &[u8; 16]) {
        if let Some(old) = entries.remove(key) {
            self.0.count.fetch_sub(1, Ordering::Relaxed);
            self.0.bytes.fetch_sub(old.bytes(), Ordering::Relaxed);
        }
    }

    fn expire_in(&self, entries: &mut HashMap<[u8; 16], Entry>, now: Micros) {
        entries.retain(|_, entry| {
            let keep = !matches!(&entry.state, State::Done(_, at) if self.expired(*at, now));
            if !keep {
                self.0.count.fetch_sub(1, Ordering::Relaxed);
                self.0.bytes.fetch_sub(entry.bytes(), Ordering::Relaxed);
            }
            keep
        });
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        match &self.state {
            State::Done(answer, _) => answer.bytes.len(),
            State::Begun(_) | State::Appended => 0,
        }
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl KeyGuard {
    /// The key, for the group that is appended under it.
    #[must_use]
    pub fn key(&self) -> super::GroupKey<'_> {
        super::GroupKey { key: &self.key, body: &self.body }
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        let (shard, mut entries) = self.keys.shard(&self.key);
        if matches!(entries.get(&self.key), Some(Entry { state: State::Begun(n), .. }) if *n == self.number) {
            self.keys.remove(&mut entries, &self.key);
            drop(entries);
            shard.settled.notify_waiters();
        }
    }
}

impl KeyWait {
    /// The answer of the first request, `None` when it failed: then begin again. Cancel safe.
    pub async fn answer(self) -> Option<Answer> {
        loop {
            let shard = &self.keys.0.shards[usize::from(self.key[0]) % SHARDS];
            let mut settled = std::pin::pin!(shard.settled.notified());
            settled.as_mut().enable();
            match lock(&shard.entries).get(&self.key) {
                Some(Entry { state: State::Done(answer, _), body }) if *body == self.body => {
                    return Some(answer.clone());
                }
                Some(Entry { state: State::Begun(_) | State::Appended, body }) if *body == self.body => {}
                _ => return None,
            }
            settled.await;
        }
    }
}
