//! librdkafka's queue of one partition, read in batches of raw messages.
//!
//! The crate `rdkafka` hands out messages one event at a time; librdkafka's own batch call gives
//! hundreds, which stay in the memory that the broker's answer was read into. This file holds all
//! the unsafe code of the log; each block says why it is sound.
#![expect(unsafe_code, reason = "librdkafka's batch call is C; everything unsafe of the log stands in this file")]

use super::fetch::FetchContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka_sys as sys;
use std::collections::VecDeque;
use std::ffi::{CString, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use tokio::sync::Notify;

/// Messages taken from librdkafka in one call.
const BATCH: usize = 512;

/// One message or one error of a partition, in librdkafka's memory.
pub(super) struct Raw(NonNull<sys::rd_kafka_message_t>);

// SAFETY: a message belongs to whoever took it from the queue; librdkafka's reference counts are
// atomic, so it may be read and given back on another thread.
unsafe impl Send for Raw {}
// SAFETY: everything that a shared reference allows only reads.
unsafe impl Sync for Raw {}

impl Raw {
    fn get(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: the pointer came from librdkafka and is given back only by `drop`.
        unsafe { self.0.as_ref() }
    }

    /// The error that stands in the message's place.
    pub fn error(&self) -> Option<RDKafkaErrorCode> {
        let error = self.get().err;
        (error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| error.into())
    }

    /// Its offset; below 0 for some errors.
    pub fn offset(&self) -> i64 {
        self.get().offset
    }

    pub fn payload(&self) -> Option<&[u8]> {
        let message = self.get();
        // SAFETY: librdkafka gives pointer and length of the value, which lives with the message.
        (!message.payload.is_null()).then(|| unsafe { std::slice::from_raw_parts(message.payload.cast(), message.len) })
    }

    /// Length of the value in bytes.
    pub fn len(&self) -> usize {
        self.get().len
    }

    pub fn key(&self) -> Option<&[u8]> {
        let message = self.get();
        // SAFETY: as for the value. For an error the field is no key, and is not asked for.
        (!message.key.is_null()).then(|| unsafe { std::slice::from_raw_parts(message.key.cast(), message.key_len) })
    }

    /// Milliseconds since the epoch; `None` when the broker stores none.
    pub fn timestamp_ms(&self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: both pointers are valid for the call.
        let at = unsafe { sys::rd_kafka_message_timestamp(self.0.as_ptr(), &raw mut kind) };
        (kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && at >= 0).then_some(at)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the message is ours and is not used again.
        unsafe { sys::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

/// The fetch queue of one partition, cut off from the consumer's common queue.
pub(super) struct Queue {
    queue: NonNull<sys::rd_kafka_queue_t>,
    wake: Arc<Notify>,
    topic: CString,
    partition: i32,
    /// Outlives the queue.
    consumer: Arc<BaseConsumer<FetchContext>>,
}

// SAFETY: librdkafka's queues are locked inside, and the callback's `Notify` is `Sync`.
unsafe impl Send for Queue {}
// SAFETY: as above; what is taken goes to the caller's own list.
unsafe impl Sync for Queue {}

/// librdkafka calls it under the queue's lock whenever the queue stops being empty.
unsafe extern "C" fn nonempty(_: *mut sys::rd_kafka_t, wake: *mut c_void) {
    // SAFETY: `wake` is the `Notify` of a queue that has not been dropped, see `Queue::drop`.
    unsafe { &*wake.cast::<Notify>() }.notify_one();
}

impl Queue {
    /// Cuts the partition's queue off. Before the partition is assigned, so that no message of it
    /// can go the common way (librdkafka keeps to a choice that the application made).
    pub fn cut(consumer: Arc<BaseConsumer<FetchContext>>, topic: &str, partition: i32) -> Option<Queue> {
        let topic = CString::new(topic).ok()?;
        // SAFETY: the client lives as long as `consumer`, and the name for the call.
        let queue =
            unsafe { sys::rd_kafka_queue_get_partition(consumer.client().native_ptr(), topic.as_ptr(), partition) };
        let queue = NonNull::new(queue)?;
        let wake = Arc::new(Notify::new());
        // SAFETY: the queue is valid. The callback's pointer is that of `wake`, which this struct
        // keeps until the callback has been taken away.
        unsafe {
            sys::rd_kafka_queue_forward(queue.as_ptr(), ptr::null_mut());
            sys::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(nonempty), Arc::as_ptr(&wake).cast_mut().cast());
        }
        Some(Queue { queue, wake, topic, partition, consumer })
    }

    /// Moves what is there into `into`; returns how many. Never waits.
    pub fn take(&self, into: &mut VecDeque<Raw>) -> usize {
        let mut batch: [*mut sys::rd_kafka_message_t; BATCH] = [ptr::null_mut(); BATCH];
        // SAFETY: the array has room for as many pointers as we say.
        let n = unsafe { sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), 0, batch.as_mut_ptr(), BATCH) };
        let n = usize::try_from(n).unwrap_or(0).min(BATCH);
        into.extend(batch[..n].iter().filter_map(|m| NonNull::new(*m)).map(Raw));
        n
    }

    /// Told when the queue has stopped being empty; keeps one such word for who asks later.
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// First offset behind the partition's newest record on all in-sync replicas, as of the last
    /// answer of the broker; `None` before the first one. Does not ask the broker.
    pub fn high_watermark(&self) -> Option<u64> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client and the name live, both numbers are ours.
        let error = unsafe {
            sys::rd_kafka_get_watermark_offsets(
                self.consumer.client().native_ptr(),
                self.topic.as_ptr(),
                self.partition,
                &raw mut low,
                &raw mut high,
            )
        };
        let known = error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        known.then_some(high).and_then(|high| u64::try_from(high).ok())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: taking the callback away waits for the queue's lock, under which callbacks run,
        // so none runs behind it and `wake` may go. The queue is not used again.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}
