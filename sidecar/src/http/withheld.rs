//! Connections that withhold an answer until its events are written.
//!
//! Requests of one turn of the event loop share a write. A handler that waits for it is polled twice by its
//! connection, which costs about as much as taking the event in. So the handler promises instead: it answers
//! at once, and the stream under the HTTP service keeps everything that the connection sends, until the
//! turn's write has been done ([`Withholds`]). Nothing leaves before: whoever has an answer in hand has its
//! events in the spool, whatever dies in between.

use super::problem::Problem;
use super::usage::{Place, Usage};
use crate::intake::promise::Withholds;
use actix_web::ResponseError;
use actix_web::body::MessageBody;
use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connection writes no more than this ahead of the turn's write: a promised answer is far smaller, but
/// answers to requests pipelined behind it may be larger.
const MAX_KEPT: usize = 64 << 10;
/// Memory that stays with a connection: what a promised answer takes.
const ROOM: usize = 1 << 10;

/// A stream that can be written to outside of a task of its own.
pub trait TryWrite: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Writes what goes without waiting. Errors: `WouldBlock`, and what the operating system says.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
}

impl TryWrite for TcpStream {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        TcpStream::try_write(self, bytes)
    }
}

impl TryWrite for UnixStream {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        UnixStream::try_write(self, bytes)
    }
}

/// The stream that the HTTP service reads from and writes to.
#[derive(Debug)]
pub struct Withheld<T>(Rc<Connection<T>>);

/// What the stream and the promise share.
struct Connection<T> {
    io: RefCell<T>,
    out: RefCell<Out>,
    place: Place,
}

#[derive(Debug, Default)]
struct Out {
    now: Now,
    /// Not sent yet: withheld, or more than the socket took.
    kept: Vec<u8>,
    /// The connection's task waits for something that only the promise's end or the socket brings about.
    waits: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Now {
    /// What is written goes to the socket.
    #[default]
    Passing,
    /// An answer is promised: what is written is kept.
    Promised,
    /// A promise could not be held: the connection ends behind what is kept.
    Broken,
}

impl<T: TryWrite> Withheld<T> {
    /// Over this socket.
    pub fn new(io: T, place: Place) -> Self {
        Self(Rc::new(Connection { io: RefCell::new(io), out: RefCell::default(), place }))
    }

    /// Tells when it is used.
    #[must_use]
    pub fn usage(&self) -> &Rc<Usage> {
        self.0.place.usage()
    }

    /// What promises hold of it.
    #[must_use]
    pub fn promises(&self) -> Rc<dyn Withholds> {
        Rc::clone(&self.0) as Rc<dyn Withholds>
    }
}

impl<T: TryWrite> Withholds for Connection<T> {
    fn withhold(&self) -> bool {
        let mut out = self.out.borrow_mut();
        let free = out.now == Now::Passing && out.kept.is_empty();
        if free {
            out.now = Now::Promised;
        }
        free
    }

    fn release(&self) {
        let mut out = self.out.borrow_mut();
        out.now = Now::Passing;
        self.send(&mut out);
    }

    fn refuse(&self, problem: &Problem) {
        let mut out = self.out.borrow_mut();
        out.now = Now::Broken;
        // With other answers beside it, whose events may be written, it cannot be told which the problem is
        // of: then the connection just ends, as when the process dies.
        let alone = is_one_answer(&out.kept);
        out.kept.clear();
        if alone {
            out.kept.extend_from_slice(answer(problem).as_bytes());
        }
        self.send(&mut out);
        self.usage().end();
    }
}

impl<T: TryWrite> Connection<T> {
    /// Sends what is kept as far as the socket takes it; the rest is the task's, which it wakes.
    fn send(&self, out: &mut Out) {
        if !out.kept.is_empty() {
            match self.io.borrow().try_write(&out.kept) {
                Ok(sent) => out.sent(sent),
                // Also any other error: the task meets it again and ends the connection.
                Err(_) => out.waits = true,
            }
        }
        if out.waits || !out.kept.is_empty() {
            out.waits = false;
            self.usage().wake();
        }
    }

    /// The same from the connection's task, which is woken when the socket takes more.
    fn poll_send(&self, out: &mut Out, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !out.kept.is_empty() {
            let sent = ready!(Pin::new(&mut *self.io.borrow_mut()).poll_write(context, &out.kept))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            out.sent(sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for the end of the promise.
    fn wait<R>(&self, out: &mut Out, context: &Context<'_>) -> Poll<R> {
        self.usage().remember(context);
        out.waits = true;
        Poll::Pending
    }

    fn usage(&self) -> &Usage {
        self.place.usage()
    }
}

impl Out {
    fn sent(&mut self, bytes: usize) {
        self.kept.drain(..bytes);
        if self.kept.is_empty() {
            self.kept.shrink_to(ROOM);
        }
    }
}

impl<T: TryWrite> AsyncRead for Withheld<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let usage = self.0.usage();
        if usage.is_over() {
            return Poll::Ready(Ok(()));
        }
        let before = to.filled().len();
        let read = Pin::new(&mut *self.0.io.borrow_mut()).poll_read(context, to);
        if read.is_pending() {
            usage.remember(context);
        } else if to.filled().len() > before {
            usage.touch();
        }
        read
    }
}

impl<T: TryWrite> AsyncWrite for Withheld<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut out = self.0.out.borrow_mut();
        match out.now {
            Now::Passing => {
                ready!(self.0.poll_send(&mut out, context))?;
                Pin::new(&mut *self.0.io.borrow_mut()).poll_write(context, bytes)
            }
            Now::Promised if out.kept.len() >= MAX_KEPT => self.0.wait(&mut out, context),
            Now::Promised => {
                self.0.usage().remember(context);
                out.kept.extend_from_slice(bytes);
                Poll::Ready(Ok(bytes.len()))
            }
            Now::Broken => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// What is withheld counts as flushed: it goes by itself, and its connection has nothing to wait for.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut out = self.0.out.borrow_mut();
        if out.now == Now::Promised {
            return Poll::Ready(Ok(()));
        }
        ready!(self.0.poll_send(&mut out, context))?;
        Pin::new(&mut *self.0.io.borrow_mut()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut out = self.0.out.borrow_mut();
        if out.now == Now::Promised {
            return self.0.wait(&mut out, context);
        }
        ready!(self.0.poll_send(&mut out, context))?;
        Pin::new(&mut *self.0.io.borrow_mut()).poll_shutdown(context)
    }
}

impl<T> fmt::Debug for Connection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("out", &self.out).finish_non_exhaustive()
    }
}

/// Whether these bytes begin one answer and no second.
fn is_one_answer(bytes: &[u8]) -> bool {
    memchr::memmem::find_iter(bytes, b"HTTP/1.").eq([0])
}

/// The problem as a whole answer of HTTP/1.1, behind which the connection ends.
fn answer(problem: &Problem) -> String {
    let response = problem.error_response();
    let mut answer = format!("HTTP/1.1 {}\r\nconnection: close\r\n", response.status());
    for (name, value) in response.headers() {
        // Problems have headers of plain text.
        let _infallible = write!(answer, "{name}: {}\r\n", value.to_str().unwrap_or_default());
    }
    let body = response.into_body().try_into_bytes().unwrap_or_default();
    let _infallible = write!(answer, "content-length: {}\r\n\r\n{}", body.len(), String::from_utf8_lossy(&body));
    answer
}

#[cfg(test)]
#[path = "withheld_tests.rs"]
mod tests;
