//! librdkafka's batch call, which the crate `rdkafka` does not wrap: one call enqueues thousands of
//! messages, and their delivery reports are counted without an allocation or a lock a message.
//!
//! The one thing to know: all messages of a call belong to one [`Chunk`], and what travels through
//! librdkafka with each of them is a bare pointer to it. This file and `reports.rs` hold all the unsafe
//! code of the producer; each block says why it is sound.
#![expect(unsafe_code, reason = "librdkafka's batch call is C; each block says why it is sound")]

use bytes::Bytes;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::util::IntoOpaque;
use rdkafka_sys as sys;
use std::ffi::{CString, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// One message to send; it is copied by the call.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Its value; `None` is a null value (a tombstone, a barrier).
    pub value: Option<&'a [u8]>,
}

/// One message to send that lies in a buffer together with others, its value right behind its key. The
/// buffer is kept until the message is settled, and the value is never copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Where its key begins in the buffer.
    pub start: usize,
    /// Bytes of its key.
    pub key: usize,
    /// Bytes of its value.
    pub value: usize,
}

impl Slice {
    /// The message as it lies in `buffer`.
    ///
    /// # Panics
    /// When it does not lie within.
    #[must_use]
    pub fn of(self, buffer: &[u8]) -> Message<'_> {
        let (key, value) = buffer[self.start..self.start + self.key + self.value].split_at(self.key);
        Message { key, value: Some(value) }
    }
}

/// Messages of one call to one partition, until each is acknowledged or has failed.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Messages that may still be reported.
    remaining: AtomicUsize,
    failed: AtomicUsize,
    error: OnceLock<RDKafkaErrorCode>,
    /// Behind the highest offset that was reported; 0 when none was (a retried idempotent request
    /// is acknowledged without one).
    next_offset: AtomicI64,
    /// What librdkafka reads the values from while they are not settled; empty when it has copies.
    _values: Bytes,
    ticket: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Chunks with messages that are not settled.
    open: AtomicUsize,
    moved: Notify,
}

/// Everything that was enqueued under it, over several calls and partitions.
#[derive(Debug, Default)]
pub struct Ticket {
    shared: Arc<Shared>,
    chunks: Vec<Arc<Chunk>>,
}

impl Ticket {
    /// A ticket for nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every message has been acknowledged or has failed.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.shared.open.load(Ordering::Acquire) == 0
    }

    /// Waits until every message has been acknowledged or has failed. Cancel safe.
    pub async fn settled(&self) {
        while !self.is_settled() {
            self.moved().await;
        }
    }

    async fn moved(&self) {
        let mut moved = std::pin::pin!(self.shared.moved.notified());
        // Registered before the second look, or the last report could be missed.
        moved.as_mut().enable();
        if !self.is_settled() {
            moved.await;
        }
    }

    /// How many messages have failed, and the first error.
    #[must_use]
    pub fn failed(&self) -> (usize, Option<RDKafkaErrorCode>) {
        let failed = self.chunks.iter().map(|c| c.failed.load(Ordering::Acquire)).sum();
        (failed, self.chunks.iter().find_map(|c| c.error.get().copied()))
    }

    /// First offset behind what each chunk was acknowledged at, in the order they were enqueued;
    /// `None` where the broker did not say.
    pub fn offsets(&self) -> impl Iterator<Item = Option<i64>> {
        self.chunks.iter().map(|c| Some(c.next_offset.load(Ordering::Acquire)).filter(|o| *o > 0))
    }

    fn chunk(&mut self, messages: usize, values: Bytes) -> Arc<Chunk> {
        let chunk = Arc::new(Chunk {
            remaining: AtomicUsize::new(messages),
            failed: AtomicUsize::new(0),
            error: OnceLock::new(),
            next_offset: AtomicI64::new(0),
            _values: values,
            ticket: Arc::clone(&self.shared),
        });
        if messages > 0 {
            self.shared.open.fetch_add(1, Ordering::AcqRel);
        }
        self.chunks.push(Arc::clone(&chunk));
        chunk
    }
}

impl Chunk {
    /// `n` messages are settled. True for the call that settles the last.
    fn settle(&self, n: usize) -> bool {
        if n == 0 || self.remaining.fetch_sub(n, Ordering::AcqRel) != n {
            return false;
        }
        self.ticket.open.fetch_sub(1, Ordering::AcqRel);
        self.ticket.moved.notify_waiters();
        true
    }

    fn fail(&self, code: RDKafkaErrorCode) {
        let _ = self.error.set(code);
        self.failed.fetch_add(1, Ordering::AcqRel);
    }
}

/// What travels with a message through librdkafka: where its report is counted.
///
/// A chunk's messages together hold one strong count of its `Arc`, given back by whoever settles
/// the last of them.
#[derive(Debug)]
pub(super) struct Claim(NonNull<Chunk>);

// SAFETY: a claim is a shared reference to a `Chunk`, which is `Sync`.
unsafe impl Send for Claim {}
// SAFETY: as above.
unsafe impl Sync for Claim {}

impl IntoOpaque for Claim {
    fn into_ptr(self) -> *mut c_void {
        self.0.as_ptr().cast()
    }

    unsafe fn from_ptr(opaque: *mut c_void) -> Self {
        // SAFETY: every message of these producers was enqueued by `produce`, whose pointers come
        // from `Arc::into_raw` and are never null.
        Claim(unsafe { NonNull::new_unchecked(opaque.cast()) })
    }
}

impl Claim {
    /// Counts the report of one message.
    pub fn settle(self, result: &DeliveryResult<'_>) {
        let outcome = match result {
            Ok(message) => Ok(message.offset()),
            Err((KafkaError::MessageProduction(code), _)) => Err(*code),
            Err(_) => Err(RDKafkaErrorCode::Unknown),
        };
        // SAFETY: this message was counted in `remaining` and is settled only here.
        unsafe { self.settled(std::iter::once(outcome)) }
    }

    /// Counts the reports of several messages: of each the error and the offset.
    ///
    /// # Safety
    /// `opaque` travelled with all of them, and each is reported here alone.
    pub unsafe fn settle_all(opaque: *mut c_void, reports: impl Iterator<Item = (sys::rd_kafka_resp_err_t, i64)>) {
        // SAFETY: as for `IntoOpaque::from_ptr`.
        let claim = unsafe { Self::from_ptr(opaque) };
        let outcome = |(error, offset)| match error {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(offset),
            error => Err(error.into()),
        };
        // SAFETY: by the caller.
        unsafe { claim.settled(reports.map(outcome)) }
    }

    /// # Safety
    /// Each outcome is that of a message of the claim which was not settled before (librdkafka reports each
    /// enqueued message once), so that the messages' strong count is still held.
    unsafe fn settled(self, outcomes: impl Iterator<Item = Result<i64, RDKafkaErrorCode>>) {
        // SAFETY: by the caller, the chunk is still there.
        let chunk = unsafe { self.0.as_ref() };
        let (mut count, mut next_offset) = (0, 0);
        for outcome in outcomes {
            count += 1;
            match outcome {
                Ok(offset) => next_offset = next_offset.max(offset.saturating_add(1)),
                Err(code) => chunk.fail(code),
            }
        }
        chunk.next_offset.fetch_max(next_offset, Ordering::AcqRel);
        if chunk.settle(count) {
            // SAFETY: the last message is settled, so nobody else gives this count back, and no
            // message is left that could look at the pointer.
            drop(unsafe { Arc::from_raw(self.0.as_ptr().cast_const()) });
        }
    }
}

/// A topic as librdkafka knows it. Must be dropped before its client.
#[derive(Debug)]
pub(super) struct TopicHandle(NonNull<sys::rd_kafka_topic_t>);

// SAFETY: librdkafka's objects are thread safe ("the library is completely thread-safe",
// INTRODUCTION.md), and topic objects are counted.
unsafe impl Send for TopicHandle {}
// SAFETY: as above.
unsafe impl Sync for TopicHandle {}

impl TopicHandle {
    /// `None` when librdkafka refuses the name.
    pub fn new(client: &rdkafka::client::Client<super::context::Context>, name: &str) -> Option<Self> {
        let name = CString::new(name).ok()?;
        // SAFETY: the client lives through the call; the name is a C string that is copied; a null
        // configuration means the client's defaults for topics.
        let topic = unsafe { sys::rd_kafka_topic_new(client.native_ptr(), name.as_ptr(), ptr::null_mut()) };
        NonNull::new(topic).map(TopicHandle)
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `rd_kafka_topic_new` and is given back once.
        unsafe { sys::rd_kafka_topic_destroy(self.0.as_ptr()) }
    }
}

/// What a call took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enqueued {
    /// So many from the front were taken, or have failed at once.
    pub messages: usize,
    /// The buffer was full at the next.
    pub full: bool,
}

/// Enqueues the messages in their order for one partition of the topic. They are copied.
///
/// What librdkafka refuses for good (too large, no such partition) counts as failed in the chunk;
/// what does not fit in its queue is not taken.
pub(super) fn produce<'a>(
    topic: &TopicHandle,
    partition: i32,
    messages: impl ExactSizeIterator<Item = Message<'a>>,
    ticket: &mut Ticket,
) -> Enqueued {
    let chunk = ticket.chunk(messages.len(), Bytes::new());
    // SAFETY: the call copies keys and values (F_COPY), so nothing of ours is looked at afterwards.
    unsafe { call(topic, partition, sys::RD_KAFKA_MSG_F_COPY, messages, chunk) }
}

/// The same for messages that lie in `buffer`, without a copy of their values: half the memory that a
/// message touches, and half of what enqueueing it costs.
///
/// # Panics
/// When a message does not lie within the buffer.
pub(super) fn produce_within(
    topic: &TopicHandle,
    partition: i32,
    buffer: &Bytes,
    messages: impl ExactSizeIterator<Item = Slice>,
    ticket: &mut Ticket,
) -> Enqueued {
    let chunk = ticket.chunk(messages.len(), buffer.clone());
    // SAFETY: librdkafka wants values to stay as they are until their delivery report (rdkafka.h,
    // `rd_kafka_produce`). Each value lies in `buffer`, by the bounds check in `of`; the chunk shares
    // the buffer, which nobody can write to while it is shared, and lives until its last message is
    // settled: in that report, or below when it was never taken. A message that is never reported
    // leaks its chunk and so its buffer. Keys are copied by every call.
    unsafe { call(topic, partition, 0, messages.map(|slice| slice.of(buffer)), chunk) }
}

/// Hands the messages over.
///
/// # Safety
/// Without `F_COPY` in `flags`, `chunk` must keep the messages' values where and as they are.
unsafe fn call<'a>(
    topic: &TopicHandle,
    partition: i32,
    flags: i32,
    messages: impl ExactSizeIterator<Item = Message<'a>>,
    chunk: Arc<Chunk>,
) -> Enqueued {
    let claim = Arc::into_raw(Arc::clone(&chunk)).cast_mut().cast::<c_void>();
    let mut batch: Vec<sys::rd_kafka_message_t> = messages
        .map(|message| {
            let (payload, len) = message.value.map_or((ptr::null(), 0), |v| (v.as_ptr(), v.len()));
            sys::rd_kafka_message_t {
                err: sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
                rkt: ptr::null_mut(),
                partition,
                payload: payload.cast_mut().cast(),
                len,
                key: message.key.as_ptr().cast_mut().cast(),
                key_len: message.key.len(),
                offset: 0,
                _private: claim,
            }
        })
        .collect();
    let count = i32::try_from(batch.len()).unwrap_or(i32::MAX);
    // SAFETY: topic and batch live through the call, `count` is at most the batch's length. Keys are
    // copied by the call, values too unless the caller has promised that they stay; librdkafka writes
    // to neither. `_private` is the chunk, whose strong count the messages hold: `remaining` starts at
    // their number, so reports that come before this function goes on cannot settle the chunk while
    // some are not accounted for.
    unsafe { sys::rd_kafka_produce_batch(topic.0.as_ptr(), partition, flags, batch.as_mut_ptr(), count) };
    let taken = batch
        .iter()
        .position(|m| m.err == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__QUEUE_FULL)
        .unwrap_or(count as usize);
    let mut never_reported = batch.len() - taken;
    for message in &batch[..taken] {
        if message.err != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            chunk.fail(message.err.into());
            never_reported += 1;
        }
    }
    if batch.is_empty() || chunk.settle(never_reported) {
        // SAFETY: no message is left that could be reported, so the messages' strong count is ours
        // to give back.
        drop(unsafe { Arc::from_raw(claim.cast_const().cast::<Chunk>()) });
    }
    Enqueued { messages: taken, full: taken < count as usize }
}
