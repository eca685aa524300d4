//! The thread that serves a producer's delivery reports.
//!
//! The binding's own (`ThreadedProducer`) asks librdkafka for 100 ms at a time by a deadline. librdkafka counts
//! whole milliseconds, so that the last part of one is spent asking without a wait: a hundredth of a core for
//! each producer that does nothing. This one asks for whole milliseconds, and has no deadline.

use super::context::Context;
use super::reports::Events;
use rdkafka::producer::{BaseProducer, Producer as _, PurgeConfig};
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// How long one call waits for an event; an end waits for it.
const WAIT: Duration = Duration::from_millis(250);
/// How long an end leaves what brokers have on their sockets, unread behind requests that are not answered yet:
/// who reads the tails of partitions afterwards is to find it there.
const GRACE: Duration = Duration::from_secs(1);

/// A client whose reports are served until it goes.
pub(super) struct Served {
    client: Arc<BaseProducer<Context>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Errors: there is no thread to be had.
    pub fn new(client: BaseProducer<Context>) -> io::Result<Self> {
        let (client, stop) = (Arc::new(client), Arc::new(AtomicBool::new(false)));
        let mut events = Events::of(Arc::clone(&client)).ok_or_else(|| io::Error::other("no queue of events"))?;
        let stopped = Arc::clone(&stop);
        let thread = Builder::new().name("kafka-reports".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                events.serve(WAIT);
            }
            let end = Instant::now() + GRACE;
            while Instant::now() < end {
                // A millisecond more than is left, as librdkafka counts whole ones.
                events.serve(end.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
            }
        })?;
        Ok(Served { client, stop, thread: Some(thread) })
    }

    /// Makes what is enqueued, and what is under way, fail now. Waits for nobody: the threads of the
    /// brokers come by it before they send anything again.
    pub fn purge(&self) {
        self.client.purge(PurgeConfig::default().queue().inflight().non_blocking());
    }
}

impl Deref for Served {
    type Target = BaseProducer<Context>;

    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

impl Drop for Served {
    /// Joins the thread, so that the client ends here: who drops a producer may go by that nothing of it
    /// is sent any more.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // The client purges when it ends, but that is behind the thread's last wait: brokers that come
        // back in between would get what was given up.
        self.purge();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of a Kafka producer's reports has died");
        }
    }
}
