//! A producer's events as librdkafka hands them out: many delivery reports at a time.
//!
//! The binding gives each report by itself, with a message object and a shared count of the event; here the
//! reports of neighbours that belong to one chunk are counted together.
#![expect(unsafe_code, reason = "librdkafka's event queue is C; each block says why it is sound")]

use super::batch::Claim;
use super::context::Context;
use rdkafka::ClientContext as _;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka_sys as sys;
use std::ffi::{CStr, c_char, c_int};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

/// Reports that are looked at together.
const TOGETHER: usize = 1024;

/// Where librdkafka puts a client's events.
pub(super) struct Events {
    queue: NonNull<sys::rd_kafka_queue_t>,
    reports: Vec<*const sys::rd_kafka_message_t>,
    /// Behind the queue, so that it ends later.
    client: Arc<BaseProducer<Context>>,
}

// SAFETY: librdkafka's objects are thread safe ("the library is completely thread-safe", INTRODUCTION.md);
// the pointers in `reports` are used within one call only.
unsafe impl Send for Events {}

impl Events {
    /// `None`: librdkafka has no queue for it, which it has for every client.
    pub(super) fn of(client: Arc<BaseProducer<Context>>) -> Option<Self> {
        // SAFETY: the client lives through the call.
        let queue = unsafe { sys::rd_kafka_queue_get_main(client.client().native_ptr()) };
        Some(Events { queue: NonNull::new(queue)?, reports: Vec::with_capacity(TOGETHER), client })
    }

    /// Serves the next event; waits for it so long (in whole milliseconds).
    pub(super) fn serve(&mut self, wait: Duration) {
        let wait = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the queue lives as long as `self`.
        let Some(event) = NonNull::new(unsafe { sys::rd_kafka_queue_poll(self.queue.as_ptr(), wait) }) else { return };
        // SAFETY: the event came from the queue and is given back below, once; nothing of it is kept.
        unsafe {
            match sys::rd_kafka_event_type(event.as_ptr()) {
                sys::RD_KAFKA_EVENT_DR => self.delivered(event),
                sys::RD_KAFKA_EVENT_ERROR => self.error(event),
                sys::RD_KAFKA_EVENT_LOG => self.log(event),
                // Nothing else is asked for; statistics and tokens of logins are off.
                _ => {}
            }
            sys::rd_kafka_event_destroy(event.as_ptr());
        }
    }

    /// # Safety
    /// `event` has delivery reports.
    unsafe fn delivered(&mut self, event: NonNull<sys::rd_kafka_event_t>) {
        loop {
            let (into, room) = (self.reports.as_mut_ptr(), self.reports.capacity());
            // SAFETY: there is room for so many pointers, and as many as are returned have been written.
            unsafe {
                let count = sys::rd_kafka_event_message_array(event.as_ptr(), into, room);
                self.reports.set_len(count);
            }
            if self.reports.is_empty() {
                return;
            }
            // SAFETY: the messages live as long as their event. Each was enqueued by `batch`, and is reported once.
            let claim = |message: &*const sys::rd_kafka_message_t| unsafe { (**message)._private };
            for same in self.reports.chunk_by(|a, b| claim(a) == claim(b)) {
                // SAFETY: as above.
                let outcomes = same.iter().map(|message| unsafe { ((**message).err, (**message).offset) });
                if let Some(first) = same.first() {
                    // SAFETY: as above; all of these are reports of this claim.
                    unsafe { Claim::settle_all(claim(first), outcomes) };
                }
            }
        }
    }

    /// # Safety
    /// `event` is an error.
    unsafe fn error(&self, event: NonNull<sys::rd_kafka_event_t>) {
        // SAFETY: its text is a C string that lives as long as the event.
        let (code, reason) = unsafe {
            (sys::rd_kafka_event_error(event.as_ptr()), text(sys::rd_kafka_event_error_string(event.as_ptr())))
        };
        self.client.context().error(KafkaError::Global(code.into()), reason.trim());
    }

    /// # Safety
    /// `event` is a line of the log.
    unsafe fn log(&self, event: NonNull<sys::rd_kafka_event_t>) {
        let (mut facility, mut message, mut level) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the call writes to the three, and its texts are C strings that live as long as the event.
        let (facility, message) = unsafe {
            if sys::rd_kafka_event_log(event.as_ptr(), &raw mut facility, &raw mut message, &raw mut level) != 0 {
                return;
            }
            (text(facility), text(message))
        };
        self.client.context().log(severity(level), facility.trim(), message.trim());
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // SAFETY: the queue came from `rd_kafka_queue_get_main` and is given back once, before its client.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// # Safety
/// `text` is null or a C string that lives as long as what is returned.
unsafe fn text<'a>(text: *const c_char) -> std::borrow::Cow<'a, str> {
    if text.is_null() {
        return "".into();
    }
    // SAFETY: by the caller.
    unsafe { CStr::from_ptr(text) }.to_string_lossy()
}

/// syslog's number of a severity.
const fn severity(level: c_int) -> RDKafkaLogLevel {
    match level {
        ..=2 => RDKafkaLogLevel::Critical,
        3 => RDKafkaLogLevel::Error,
        4 => RDKafkaLogLevel::Warning,
        5 | 6 => RDKafkaLogLevel::Info,
        _ => RDKafkaLogLevel::Debug,
    }
}
