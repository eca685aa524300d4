//! The engine's process: lock, port, library, HTTP, and an orderly end.

use crate::engine::{Engine, OpenError};
use crate::http::{self, Service};
use crate::lock;
use crate::parent::{Parent, Report, greet};
use penstock::guard::Guard;
use penstock::niceness;
use penstock::settings::EngineSettings;
use penstock::telemetry::{EngineMetrics, SharedRegistry};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Why the engine's process ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The parent's first line did not come.
    #[error("the parent said nothing: {0}")]
    Parent(#[source] io::Error),
    /// Another process owns the folder, or it cannot be written.
    #[error("cannot lock {path} (does another engine run on it?): {source}")]
    Lock {
        /// The folder.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// Another process owns the port, or it may not be used.
    #[error("cannot listen on {address} (set engine.listen): {source}")]
    Listen {
        /// `engine.listen`.
        address: SocketAddr,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// The engine cannot be opened.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// The HTTP server failed.
    #[error("the HTTP server failed: {0}")]
    Serve(#[source] io::Error),
}

/// Runs the engine on `data` until `shutdown` is cancelled or the parent goes away.
///
/// Waits for the folder's lock and for the port up to `engine.start_timeout`. At the end running
/// queries get `engine.stop_timeout`, then they are cut. With [`Parent::Pipe`] the process is
/// killed a second after the parent's death, whatever it does. Needs a tokio runtime.
///
/// Errors: [`RunError`].
pub async fn run(
    settings: &EngineSettings,
    data: &Path,
    parent: Parent,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    // The runtime's threads are there already, the engine's come later.
    if let Err(error) = niceness::step_back_all(settings.nice) {
        tracing::warn!(%error, "the engine competes with intake for processors");
    }
    let result = tokio::select! {
        biased;
        result = start(settings, data, &parent, &shutdown) => result,
        // Asked to stop while it waits for lock or port: nothing runs yet.
        () = shutdown.cancelled() => return Ok(()),
    };
    let (engine, server, stopping, lock) = match result {
        Ok(started) => started,
        Err(error) => {
            Report::Failed { why: error.to_string() }.send(&parent);
            return Err(error);
        }
    };
    let settings = settings.clone();
    Running { engine, server, stopping, settings, parent, _lock: lock }.until(shutdown).await
}

type Started = (Engine, actix_web::dev::Server, Arc<AtomicBool>, lock::DirLock);

struct Running {
    engine: Engine,
    server: actix_web::dev::Server,
    stopping: Arc<AtomicBool>,
    settings: EngineSettings,
    parent: Parent,
    _lock: lock::DirLock,
}

async fn start(
    settings: &EngineSettings,
    data: &Path,
    parent: &Parent,
    shutdown: &CancellationToken,
) -> Result<Started, RunError> {
    let secret = match parent {
        Parent::Pipe => greet(shutdown.clone()).await.map_err(RunError::Parent)?.secret,
        Parent::None { secret } => secret.clone(),
    };
    yield_to_the_oom_killer();
    let deadline = Instant::now() + settings.start_timeout;
    Report::WaitingForLock.send(parent);
    let lock =
        lock::acquire(data, deadline).await.map_err(|source| RunError::Lock { path: data.to_owned(), source })?;
    Report::WaitingForPort.send(parent);
    let listen_error = |source| RunError::Listen { address: settings.listen, source };
    let listener = bind(settings.listen, deadline).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;

    Report::Loading.send(parent);
    let registry = SharedRegistry::new();
    let metrics = registry.with(EngineMetrics::register);
    let engine =
        Engine::open(settings, data, metrics).map_err(|source| RunError::Open { path: data.to_owned(), source })?;
    let version = engine.version().to_owned();
    let stopping = Arc::new(AtomicBool::new(false));
    let guard = Guard::new(address, &settings.allowed_hosts, &[]);
    let service =
        Service { engine: engine.clone(), secret: secret.into(), registry, stopping: stopping.clone(), guard };
    let server = http::serve(service, listener).map_err(RunError::Serve)?;
    tracing::info!(%address, version, data = %data.display(), "the ClickHouse engine serves");
    Report::Ready { address: address.to_string(), version }.send(parent);
    Ok((engine, server, stopping, lock))
}

impl Running {
    async fn until(self, shutdown: CancellationToken) -> Result<(), RunError> {
        let handle = self.server.handle();
        let mut server = tokio::task::spawn(self.server);
        let lost = |e: tokio::task::JoinError| RunError::Serve(io::Error::other(e));
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = pulse(&self.engine, &self.parent, self.settings.hang_timeout / PULSES) => {}
            ended = &mut server => {
                ended.map_err(lost)?.map_err(RunError::Serve)?;
                return Err(RunError::Serve(io::Error::other("it stopped by itself")));
            }
        }
        self.stopping.store(true, Ordering::SeqCst);
        if timeout(self.settings.stop_timeout, self.engine.drained()).await.is_err() {
            tracing::warn!("queries still run after engine.stop_timeout and are ended");
            self.engine.kill_all();
            if timeout(Duration::from_secs(2), self.engine.drained()).await.is_err() {
                tracing::warn!("a query does not end");
            }
        }
        // Results that are written out get a moment; idle connections are closed.
        handle.stop(false).await;
        server.await.map_err(lost)?.map_err(RunError::Serve)?;
        if !self.engine.close() {
            // As soon as a MergeTree table was loaded, the library's schedule pool (merges, cleanup,
            // refreshed statistics) keeps two threads that its shutdown does not end, whatever was
            // detached before; they are not ours, hold no query, and end with the process, now.
            tracing::debug!("the library's own threads end with the process");
        }
        Ok(())
    }
}

/// Signs of life within `engine.hang_timeout`: one that is late is no death.
const PULSES: u32 = 4;

/// Tells the parent again and again that a query comes through. Never ends by itself: an engine
/// that hangs holds up the query, the signs stay away, and the parent ends the process.
async fn pulse(engine: &Engine, parent: &Parent, every: Duration) {
    loop {
        sleep(every).await;
        let engine = engine.clone();
        // It may block for ever, and then so does the thread: the process is ended all the same.
        match tokio::task::spawn_blocking(move || engine.answers()).await {
            Ok(Ok(())) => Report::Alive.send(parent),
            Ok(Err(error)) => tracing::warn!(%error, "the engine answers no query"),
            Err(error) => tracing::warn!(%error, "the engine cannot be asked whether it lives"),
        }
    }
}

async fn bind(address: SocketAddr, deadline: Instant) -> io::Result<TcpListener> {
    loop {
        match TcpListener::bind(address) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => sleep(lock::RETRY).await,
            result => return result,
        }
    }
}

/// When memory runs out the kernel should take this process, which is restarted and loses nothing,
/// and not the one that holds everybody's spool.
fn yield_to_the_oom_killer() {
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "700") {
        tracing::debug!(%error, "the engine's OOM score stays as it is");
    }
}
