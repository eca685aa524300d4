//! Starts the sidecar's servers and drains them.

use crate::http::front::Front;
use crate::http::gate::Rules;
use crate::http::listen::{self, ListenError, SocketFile};
use crate::http::{Shared, events, routes, serve};
use crate::intake::body::BodyBudget;
use crate::intake::insert::{self, Inserter, Jobs};
use crate::intake::keys::Keys;
use crate::intake::rate::Rate;
use crate::intake::turn::end_turns;
use crate::intake::worker::{Intake, Worker};
use crate::stop_list::StopList;
use crate::stop_list::follow::{Following, follow};
use actix_service::IntoServiceFactory;
use actix_web::dev::ServerHandle;
use actix_web::{App, web};
use penstock::event::IdSource;
use penstock::log::Log;
use penstock::log::spool::{Spool, SpoolLog};
use penstock::settings::{IntakeSettings, SidecarSettings};
use penstock::telemetry::{SharedRegistry, SidecarMetrics};
use penstock::time::Clock;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a sidecar is made of.
pub struct SidecarConfig<L: Log + 'static = SpoolLog> {
    /// Addresses, workers, connection bounds, the stop list.
    pub settings: SidecarSettings,
    /// What is accepted.
    pub intake: IntakeSettings,
    /// The log of events, opened with at least [`SidecarSettings::worker_count`] partitions. Whoever
    /// opened it closes it, after the sidecar has ended.
    pub spool: Spool,
    /// Tells when events came in.
    pub clock: Arc<dyn Clock>,
    /// A forwarder moves the spool to Kafka: requests may ask for durability `kafka`.
    pub forwards: bool,
    /// The campaign-state log; `None` leaves the stop list empty and stale.
    pub stop_list: Option<L>,
    /// Where the stop list is kept over restarts.
    pub snapshot: Option<PathBuf>,
    /// Gets the sidecar's metrics; `/metrics` shows all that is registered in it.
    pub registry: SharedRegistry,
    /// Cancelled to drain and stop.
    pub shutdown: CancellationToken,
}

/// Why a sidecar did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Fewer partitions than workers.
    #[error("the spool has {partitions} partitions for {workers} workers; open it with at least as many")]
    Partitions {
        /// How many there are.
        partitions: usize,
        /// How many are needed.
        workers: usize,
    },
    /// The server could not be set up.
    #[error("the HTTP server cannot start: {0}")]
    Server(#[source] std::io::Error),
}

/// Where a sidecar listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// HTTP over TCP; the port that was taken when 0 was configured.
    pub http: SocketAddr,
    /// The Unix socket, when configured.
    pub unix: Option<PathBuf>,
}

/// A running sidecar. Dropping this does not stop it; the shutdown token does.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addresses: Addresses,
    /// The stop list, for who runs in the same process.
    pub stop_list: StopList,
    /// Takes records from inside the process, until the drain.
    pub inserter: Inserter,
    /// Ends when the drain is over.
    pub handle: JoinHandle<Result<(), std::io::Error>>,
}

/// The sidecar.
#[derive(Debug)]
pub struct Sidecar;

impl Sidecar {
    /// Starts listening. Must be called inside an actix system (or a `LocalSet` of tokio).
    ///
    /// Errors: [`StartError`]; nothing runs then.
    pub fn start<L: Log + 'static>(config: SidecarConfig<L>) -> Result<Running, StartError> {
        let SidecarConfig { settings, intake, spool, clock, forwards, stop_list: log, snapshot, registry, shutdown } =
            config;
        let workers = settings.worker_count();
        let partitions = spool.partitions().len();
        if partitions < workers {
            return Err(StartError::Partitions { partitions, workers });
        }
        let metrics = registry.with(SidecarMetrics::register);
        let tcp = listen::tcp(settings.listen, settings.peer_timeout)?;
        let bound = tcp.local_addr().map_err(|source| ListenError::Tcp { address: settings.listen, source })?;
        let unix = settings.unix_socket.as_deref().map(listen::unix).transpose()?;

        let draining = CancellationToken::new();
        let stop_list = StopList::new(settings.stop_history, settings.stale_after, Arc::clone(&clock), metrics.clone());
        let shared = Shared {
            intake: Arc::new(Intake {
                keys: Keys::new(&intake),
                rate: Rate::new(&intake.rate),
                budget: BodyBudget::new(intake.max_inflight_bytes, metrics.inflight_bytes.clone()),
                server: settings.server.clone().unwrap_or_else(host_name),
                body_timeout: settings.body_timeout,
                sync_timeout: settings.sync_timeout,
                kafka_timeout: forwards.then_some(settings.kafka_timeout),
                settings: intake,
                spool,
                clock,
                metrics: metrics.clone(),
            }),
            stop_list: stop_list.clone(),
            follows: log.is_some(),
            settings: Arc::new(settings),
            registry,
            draining: draining.clone(),
        };
        let rules = Arc::new(Rules::new(&shared.settings, bound, metrics));
        let instance = INSTANCES.fetch_add(1, Ordering::Relaxed);
        let for_app = shared.clone();
        let (inserter, jobs) = insert::channel();
        let factory = move || {
            let worker = worker_of_this_thread(instance, &for_app.intake, &jobs);
            let app = App::new().app_data(web::Data::new(for_app.clone())).configure(routes).into_factory();
            let intake = move |route, request| events::answer(Rc::clone(&worker), route, request);
            Front { rules: Arc::clone(&rules), intake, app }
        };
        let (unix, file) = unix.unzip();
        let server =
            serve::server(&shared.settings, &draining, workers, factory, tcp, unix).map_err(StartError::Server)?;
        let addresses = Addresses { http: bound, unix: file.as_ref().map(|f: &SocketFile| f.path().to_owned()) };
        let stopping = server.handle();

        let following = log.map(|log| {
            let how = Following { snapshot, interval: shared.settings.snapshot_interval };
            // Its own token: the stop list follows to the end of the drain.
            let until = CancellationToken::new();
            (actix_rt::spawn(follow(stop_list.clone(), log, how, until.clone())), until)
        });
        let served = actix_rt::spawn(server);
        let handle = actix_rt::spawn(async move {
            let drained = drain(shutdown, draining, stopping, served).await;
            if let Some((task, until)) = following {
                until.cancel();
                if let Err(error) = task.await {
                    tracing::error!(%error, "the stop list's follower ended badly");
                }
            }
            drop(file);
            drained
        });
        tracing::info!(http = %addresses.http, unix = ?addresses.unix, workers, "the sidecar listens");
        Ok(Running { addresses, stop_list, inserter, handle })
    }
}

/// Waits for the token (or for the server to end by itself), then lets open requests finish.
///
/// Long polls and event streams end at once; idle connections are closed by the server; what
/// remains gets `drain_timeout`. Workers write what they hold when they end.
async fn drain(
    shutdown: CancellationToken,
    draining: CancellationToken,
    server: ServerHandle,
    mut served: JoinHandle<std::io::Result<()>>,
) -> std::io::Result<()> {
    tokio::select! {
        () = shutdown.cancelled() => {}
        ended = &mut served => {
            draining.cancel();
            return ended.unwrap_or_else(|e| Err(std::io::Error::other(e)));
        }
    }
    tracing::info!("the sidecar drains");
    draining.cancel();
    server.stop(true).await;
    let ended = served.await.unwrap_or_else(|e| Err(std::io::Error::other(e)));
    tracing::info!("the sidecar has stopped");
    ended
}

/// Tells the sidecars of one process apart (tests run several).
static INSTANCES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The worker of this thread: the application is made once a listener, the worker once a thread.
    static WORKER: RefCell<Option<(u64, Weak<Worker>)>> = const { RefCell::new(None) };
}

fn worker_of_this_thread(instance: u64, intake: &Arc<Intake>, jobs: &Jobs) -> Rc<Worker> {
    WORKER.with_borrow_mut(|held| {
        if let Some((of, worker)) = held
            && *of == instance
            && let Some(worker) = worker.upgrade()
        {
            return worker;
        }
        let worker = Rc::new(Worker::new(Arc::clone(intake), IdSource::from_os()));
        *held = Some((instance, Rc::downgrade(&worker)));
        actix_rt::spawn(insert::serve(Rc::downgrade(&worker), jobs.clone()));
        actix_rt::spawn(end_turns(Rc::downgrade(&worker)));
        worker
    })
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}
