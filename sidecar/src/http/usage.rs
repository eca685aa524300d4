//! Which connections are in use: what keep-alive and the drain ask.
//!
//! The HTTP service sets a timer behind each answer and takes it back with the next request, and asks at
//! each turn whether the server stops: half a microsecond of the ten that a request of one event takes. Here
//! a connection only notes that it is used. One task of the worker thread ([`Connections::watch`]) looks at
//! all of them four times within `keep_alive`, and once more when the drain begins.

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often within `keep_alive` a connection is looked at: an idle one ends after `keep_alive` and at most
/// a quarter.
const LOOKS: u32 = 4;

/// One connection's use.
#[derive(Debug, Default)]
pub struct Usage {
    /// Those whose answer is not complete.
    exchanges: Cell<u32>,
    /// Something has come or an exchange has ended since the last look.
    used: Cell<bool>,
    /// Looks since then.
    quiet: Cell<u32>,
    /// No exchange may follow those.
    last: Cell<bool>,
    /// The stream says that nothing more comes.
    ended: Cell<bool>,
    /// The connection's task.
    task: RefCell<Option<Waker>>,
}

impl Usage {
    /// An exchange that lasts until it is dropped.
    #[must_use]
    pub fn begin(self: &Rc<Self>) -> Exchange {
        self.exchanges.set(self.exchanges.get() + 1);
        Exchange(Rc::clone(self))
    }

    /// Notes that something has come.
    pub fn touch(&self) {
        self.used.set(true);
    }

    /// Whether the stream is to say that nothing more comes.
    pub fn is_over(&self) -> bool {
        self.ended.get()
    }

    /// Ends it; its task is told.
    pub fn end(&self) {
        self.ended.set(true);
        self.wake();
    }

    /// Remembers whom to wake.
    pub fn remember(&self, context: &Context<'_>) {
        match &mut *self.task.borrow_mut() {
            Some(task) => task.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
    }

    /// Wakes the connection's task.
    pub fn wake(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }

    /// One look: ends it when it was idle for `LOOKS` of them.
    fn look(&self) {
        if self.used.take() || self.exchanges.get() > 0 {
            self.quiet.set(0);
        } else {
            self.quiet.set(self.quiet.get() + 1);
            if self.quiet.get() >= LOOKS {
                self.end();
            }
        }
    }

    /// Ends it behind its exchanges.
    fn finish(&self) {
        self.last.set(true);
        if self.exchanges.get() == 0 {
            self.end();
        }
    }
}

/// A request and its answer, until that is complete.
#[derive(Debug)]
pub struct Exchange(Rc<Usage>);

impl Exchange {
    /// Whether the connection ends behind it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.0.last.get()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let usage = &self.0;
        usage.exchanges.set(usage.exchanges.get().saturating_sub(1));
        usage.touch();
        if usage.last.get() {
            usage.finish();
        }
    }
}

/// All connections of one worker thread to one listener.
#[derive(Clone, Debug, Default)]
pub struct Connections(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: RefCell<Slab<Rc<Usage>>>,
    draining: Cell<bool>,
}

/// A connection's place among all; it leaves when this is dropped.
#[derive(Debug)]
pub struct Place {
    usage: Rc<Usage>,
    among: Connections,
    at: usize,
}

impl Connections {
    /// A new one.
    pub fn enter(&self) -> Place {
        let usage = Rc::new(Usage::default());
        if self.0.draining.get() {
            usage.finish();
        }
        let at = self.0.open.borrow_mut().insert(Rc::clone(&usage));
        Place { usage, among: self.clone(), at }
    }

    /// Ends idle ones, and all when the drain begins: those with a request under way behind its answer.
    pub async fn watch(self, keep_alive: Duration, draining: CancellationToken) {
        let mut drain = pin!(draining.cancelled());
        while tokio::time::timeout(keep_alive / LOOKS, drain.as_mut()).await.is_err() {
            self.each(Usage::look);
        }
        self.0.draining.set(true);
        self.each(Usage::finish);
    }

    fn each(&self, of: impl Fn(&Usage)) {
        for (_, usage) in &*self.0.open.borrow() {
            of(usage);
        }
    }
}

impl Place {
    /// The use of the connection that stands here.
    #[must_use]
    pub fn usage(&self) -> &Rc<Usage> {
        &self.usage
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.among.0.open.borrow_mut().try_remove(self.at);
    }
}

/// An answer's body, whose end is the end of the exchange.
pub struct AnswerBody {
    body: BoxBody,
    exchange: Option<Exchange>,
}

impl AnswerBody {
    /// Of this exchange.
    #[must_use]
    pub fn new(body: BoxBody, exchange: Option<Exchange>) -> Self {
        Self { body, exchange }
    }
}

impl MessageBody for AnswerBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(context)
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        let Self { body, exchange } = self;
        body.try_into_bytes().map_err(|body| Self { body, exchange })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_ends_when_nothing_came_for_as_many_looks() {
        let connections = Connections::default();
        let place = connections.enter();
        let usage = place.usage();
        let look = |times: u32| (0..times).for_each(|_| connections.each(Usage::look));
        look(LOOKS - 1);
        usage.touch();
        look(LOOKS);
        assert!(!usage.is_over(), "the first look after it came counts as used");
        let request = usage.begin();
        look(10 * LOOKS);
        drop(request);
        look(LOOKS);
        assert!(!usage.is_over());
        look(1);
        assert!(usage.is_over());
    }

    #[test]
    fn a_drain_ends_idle_ones_at_once_and_others_behind_their_last_request() {
        let connections = Connections::default();
        let (idle, busy) = (connections.enter(), connections.enter());
        let requests = [busy.usage().begin(), busy.usage().begin()];
        connections.0.draining.set(true);
        connections.each(Usage::finish);
        assert!(idle.usage().is_over() && !busy.usage().is_over());
        assert!(requests[0].is_last());
        let [first, second] = requests;
        drop(first);
        assert!(!busy.usage().is_over());
        drop(second);
        assert!(busy.usage().is_over());
        assert!(connections.enter().usage().is_over(), "one that was accepted too late");
    }

    #[test]
    fn a_connection_that_is_gone_takes_no_room() {
        let connections = Connections::default();
        for _ in 0..1_000 {
            let _place = connections.enter();
        }
        assert!(connections.0.open.borrow().capacity() < 10);
    }
}
