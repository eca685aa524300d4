//! The child's end of the pipe to its parent.
//!
//! The parent holds the other end open as long as it lives, so its death, SIGKILL included, is an
//! end of file here. A thread of its own waits for that: it cannot be held up by a busy runtime or
//! a query within the engine, and it ends the process by a signal, past every handler.

use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead};
use std::time::{Duration, Instant};
use std::{fmt, thread};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How long an orphan may take to stop in order.
const ORPHAN_GRACE: Duration = Duration::from_secs(1);

/// Who started the engine, and where the writers' password comes from.
pub enum Parent {
    /// A [`crate::Supervisor`] on the other end of stdin and stdout.
    Pipe,
    /// Nobody: the engine runs until its shutdown token is cancelled.
    None {
        /// The writers' password.
        secret: String,
    },
}

impl fmt::Debug for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Parent::Pipe) { "Pipe" } else { "None" })
    }
}

/// First line from parent to child.
#[derive(Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The writers' password.
    pub secret: String,
}

/// Line from parent to child that asks it to stop in order.
pub(crate) const STOP: &str = "stop";

/// Lines from child to parent begin with this; the engine's library may write lines of its own.
pub(crate) const MARK: &str = "penstock-engine ";

/// What the child reports.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(crate) enum Report {
    /// Another process holds the folder's lock.
    WaitingForLock,
    /// Another process holds the port.
    WaitingForPort,
    /// The library is being loaded, the tables attached.
    Loading,
    /// It serves.
    Ready {
        /// Host and port.
        address: String,
        /// ClickHouse's version.
        version: String,
    },
    /// It serves still: a query came through.
    Alive,
    /// It gives up.
    Failed {
        /// One sentence.
        why: String,
    },
}

impl Report {
    /// Sends it to the parent. A parent that is gone is the watcher's business.
    pub fn send(&self, parent: &Parent) {
        use io::Write;
        if let (Parent::Pipe, Ok(json)) = (parent, serde_json::to_string(self)) {
            let mut out = io::stdout().lock();
            if let Err(error) = writeln!(out, "{MARK}{json}").and_then(|()| out.flush()) {
                tracing::debug!(%error, "the parent does not read any more");
            }
        }
    }
}

/// Starts watching stdin; gives the parent's first line.
///
/// Errors: an [`io::Error`] when the parent went away or said something else.
pub(crate) async fn greet(shutdown: CancellationToken) -> io::Result<Hello> {
    let (send, first) = oneshot::channel();
    thread::Builder::new().name("engine-parent".to_owned()).spawn(move || watch(send, &shutdown))?;
    let line = first.await.map_err(|_| io::Error::other("the parent closed the pipe before it said anything"))?;
    serde_json::from_str(&line).map_err(io::Error::other)
}

fn watch(first: oneshot::Sender<String>, shutdown: &CancellationToken) {
    let mut first = Some(first);
    for line in io::stdin().lock().lines() {
        // An unreadable pipe is a lost parent.
        let Ok(line) = line else { break };
        if let Some(first) = first.take() {
            if first.send(line).is_err() {
                break;
            }
        } else if line == STOP {
            shutdown.cancel();
        }
    }
    shutdown.cancel();
    let end = Instant::now() + ORPHAN_GRACE;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) {
        thread::park_timeout(left);
    }
    // Not `exit`: the library's exit handlers could wait for the query that is being cut.
    if kill_process(getpid(), Signal::KILL).is_err() {
        std::process::abort();
    }
}
