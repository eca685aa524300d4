//! Ctrl-C and SIGTERM: the first drains, the second ends at once.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for both signals from now on.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes both signals over. Errors: the operating system's.
    pub fn listen() -> anyhow::Result<Signals> {
        let take = |kind| signal(kind).context("cannot listen for signals");
        Ok(Signals { interrupt: take(SignalKind::interrupt())?, terminate: take(SignalKind::terminate())? })
    }

    /// Waits for the next of them and names it.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Ends the process when another signal comes: whoever sends two does not want to wait. What was
/// acknowledged is in the spool, so the next start goes on from there.
pub async fn end_at_the_next(mut signals: Signals) {
    let signal = signals.next().await;
    tracing::warn!(signal, "ending at once; the next start goes on where this one stopped");
    std::process::exit(130);
}
