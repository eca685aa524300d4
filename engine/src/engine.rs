//! The running engine: its library, its sessions, and the bound on how many run at once.

use crate::chdb::{ConnectError, Connection, Library, LoadError};
use crate::config;
use crate::encoding::{Body, Encoder};
use crate::exception::{Code, Exception};
use crate::task::{self, Reply, Request, Role};
use penstock::settings::EngineSettings;
use penstock::telemetry::EngineMetrics;
use penstock::telemetry::engine::QueryLabel;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Why the engine could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The library is not there; the sentence says what to do.
    #[error("{0}")]
    Library(String),
    /// It cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It did not start.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The configuration could not be written into the data folder.
    #[error("{path}: {source}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
}

/// The engine of this process; clones share it.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    library: Library,
    version: String,
    args: Vec<String>,
    scratch: PathBuf,
    settings: EngineSettings,
    metrics: EngineMetrics,
    places: Arc<Semaphore>,
    /// Query ids of the writers' requests, from their heads to their ends.
    ids: Mutex<HashSet<String>>,
    /// Keeps the engine up: it stops with its last session.
    keep: Mutex<Option<Connection>>,
}

/// A query id in use; free again when dropped.
pub struct Claim {
    engine: Engine,
    id: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.engine.0.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Stack of a query's thread: the engine's parser and planner recurse, and check their depth
/// against the real size.
const STACK: usize = 8 << 20;

impl Engine {
    /// Loads the library and opens `data`; the caller holds the folder's lock.
    ///
    /// Errors: [`OpenError`].
    pub fn open(settings: &EngineSettings, data: &Path, metrics: EngineMetrics) -> Result<Engine, OpenError> {
        let io = |source| OpenError::Io { path: data.to_owned(), source };
        let path = config::library(settings).map_err(OpenError::Library)?;
        let args = config::write(data, settings).map_err(io)?;
        let scratch = data.join("penstock-bodies");
        std::fs::create_dir_all(&scratch).map_err(io)?;
        let library = Library::load(&path)?;
        let mut keep = library.connect(&args)?;
        let version = match keep.query(b"SELECT version()", "TSV", &[]) {
            Ok(output) => String::from_utf8_lossy(output.bytes()).trim().to_owned(),
            Err(failure) => {
                tracing::error!(%failure, "the engine answers nothing");
                return Err(ConnectError::Refused.into());
            }
        };
        let places = Arc::new(Semaphore::new(settings.max_queries));
        let settings = settings.clone();
        Ok(Engine(Arc::new(Inner {
            library,
            version,
            args,
            scratch,
            settings,
            metrics,
            places,
            ids: Mutex::default(),
            keep: Mutex::new(Some(keep)),
        })))
    }

    /// ClickHouse's version, e.g. `26.7.2.1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// The settings it runs with.
    #[must_use]
    pub fn settings(&self) -> &EngineSettings {
        &self.0.settings
    }

    /// What it counts.
    #[must_use]
    pub fn metrics(&self) -> &EngineMetrics {
        &self.0.metrics
    }

    /// Folder for bodies too long for memory.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        &self.0.scratch
    }

    /// A new session; `comment` finds it again in `system.processes`.
    ///
    /// Errors: an [`Exception`] when the engine refuses.
    pub fn session(&self, comment: &str, role: Role) -> Result<Connection, Exception> {
        let mut args = self.0.args.clone();
        args.push(format!("--log_comment={comment}"));
        if role == Role::Reader {
            args.push("--readonly=2".to_owned());
        }
        self.0.library.connect(&args).map_err(|e| Exception::new(Code::UnknownException, e))
    }

    /// A place for one query. Errors: TOO_MANY_SIMULTANEOUS_QUERIES (202) when all are taken.
    pub fn place(&self) -> Result<OwnedSemaphorePermit, Exception> {
        self.0.places.clone().try_acquire_owned().map_err(|_| {
            self.0.metrics.busy.inc();
            let most = self.0.settings.max_queries;
            Exception::new(
                Code::TooManySimultaneousQueries,
                format_args!("Too many simultaneous queries. Maximum: {most}"),
            )
        })
    }

    /// Takes a writer's query id until the claim is dropped.
    ///
    /// Errors: QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING (216), as in ClickHouse. A client that has
    /// lost its INSERT learns from it whether the INSERT may still do something.
    pub fn claim(&self, id: &str) -> Result<Claim, Exception> {
        if !self.0.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned()) {
            let message = format!("Query with id = {id} is already running.");
            return Err(Exception::new(Code::QueryWithSameIdIsAlreadyRunning, message));
        }
        Ok(Claim { engine: self.clone(), id: id.to_owned() })
    }

    /// Runs a request on a thread of its own; its answer comes through `replies`.
    ///
    /// Errors: an [`Exception`] when no thread can be had.
    pub fn start(
        &self,
        place: OwnedSemaphorePermit,
        claim: Option<Claim>,
        request: Request,
        body: Body,
        encoder: Encoder,
        replies: mpsc::Sender<Reply>,
    ) -> Result<(), Exception> {
        let engine = self.clone();
        let work = move || {
            let began = Instant::now();
            engine.0.metrics.running.inc();
            let ended = task::run(&engine, request, body, encoder, &replies);
            engine.0.metrics.running.dec();
            engine.0.metrics.seconds.observe(began.elapsed().as_secs_f64());
            let label = QueryLabel { kind: ended.kind, outcome: ended.outcome };
            engine.0.metrics.queries.get_or_create(&label).inc();
            drop((claim, place));
            if let Some(last) = ended.last {
                // The connection may be gone; the request is over all the same.
                let _gone = replies.blocking_send(last);
            }
        };
        thread::Builder::new()
            .name("engine-query".to_owned())
            .stack_size(STACK)
            .spawn(work)
            .map(drop)
            .map_err(|e| Exception::new(Code::UnknownException, format_args!("no thread for the query: {e}")))
    }

    /// Ends the query of a client that left, if it still runs.
    pub fn kill(&self, comment: String) {
        let engine = self.clone();
        let work = move || {
            let sql = format!("KILL QUERY WHERE Settings['log_comment'] = {} ASYNC", crate::sql::literal(&comment));
            let killed = engine.session("penstock-kill", Role::Writer).and_then(|mut c| {
                c.query(sql.as_bytes(), "TSV", &[]).map(drop).map_err(|f| Exception::from_engine(&f.0))
            });
            if let Err(error) = killed {
                tracing::warn!(%error, query = comment, "a query whose client left could not be ended");
            }
        };
        if let Err(error) = thread::Builder::new().name("engine-kill".to_owned()).stack_size(STACK).spawn(work) {
            tracing::warn!(%error, "no thread to end a query whose client left");
        }
    }

    /// Ends every query that still runs.
    pub fn kill_all(&self) {
        if let Some(keep) = self.0.keep.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
            && let Err(error) = keep.query(b"KILL QUERY WHERE 1 ASYNC", "TSV", &[])
        {
            tracing::warn!(%error, "running queries could not be ended");
        }
    }

    /// Runs the smallest query there is, past the bound on how many run at once.
    ///
    /// Errors: the engine's own.
    pub fn answers(&self) -> Result<(), Exception> {
        let mut session = self.session("penstock-pulse", Role::Reader)?;
        session.query(b"SELECT 1", "TSV", &[]).map(drop).map_err(|f| Exception::from_engine(&f.0))
    }

    /// Waits until all places are free and takes them: nothing runs any more, nothing can start.
    pub async fn drained(&self) {
        let all = u32::try_from(self.0.settings.max_queries).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        if let Ok(permits) = self.0.places.acquire_many(all).await {
            permits.forget();
        }
    }

    /// Closes the last session and stops the engine's threads. False when one did not stop.
    #[must_use]
    pub fn close(&self) -> bool {
        drop(self.0.keep.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.0.library.shutdown()
    }
}
