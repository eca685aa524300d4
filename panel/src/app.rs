//! What the panel is connected to, and its state.

use crate::access::Access;
use crate::api::types::{Campaign, DeadLetter, DeadSummary, Gap, Now, ReplayReport, RoleStatus, SpoolStatus};
use crate::campaigns::Outlook;
use crate::feed::Feed;
use crate::graphql::{self, Schema};
use crate::live::Standing;
use crate::now::Sampler;
use crate::reconcile::{ArchiveSource, Later, MarkSource};
use crate::statistics::{Bounds, ClickHouse, Statistics};
use penstock::accounts::Accounts;
use penstock::guard::Guard;
use penstock::ledger::{Change, Ledger};
use penstock::log::{LogId, Offset};
use penstock::settings::{PanelSettings, SettingsError};
use penstock::telemetry::{PanelMetrics, SharedRegistry};
use penstock::time::Clock;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Who changes something while the panel is open on loopback without a login.
pub const LOCAL: &str = "local";

/// Names one dead letter: the sink that put it away, and the record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadKey {
    /// The sink.
    pub sink: String,
    /// The partition.
    pub log: LogId,
    /// The record's offset.
    pub offset: Offset,
}

/// Which dead letters to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Of this sink.
    pub sink: Option<String>,
    /// With this reason.
    pub code: Option<String>,
    /// Only those that may be worth a replay: they stand for a record, which was not replayed.
    pub replayable: bool,
    /// Behind this one (the cursor).
    pub after: Option<DeadKey>,
    /// At most so many.
    pub limit: usize,
}

/// A replay of dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadReplay {
    /// These letters.
    pub letters: Vec<DeadKey>,
    /// Who wants it.
    pub who: String,
    /// To this sink alone; `None`: to all.
    pub to: Option<String>,
    /// Only says what would be done.
    pub dry_run: bool,
}

/// The dead letters.
pub trait DeadStore: MarkSource {
    /// How many there are.
    fn summary(&self) -> Later<'_, DeadSummary>;
    /// The same by sink and reason.
    fn counts(&self) -> Later<'_, BTreeMap<(String, String), u64>>;
    /// Letters in the order of their keys, without bodies.
    fn list<'a>(&'a self, filter: &'a DeadFilter) -> Later<'a, Vec<DeadLetter>>;
    /// One letter with its body.
    fn show<'a>(&'a self, key: &'a DeadKey) -> Later<'a, Option<DeadLetter>>;
    /// Appends the records of these letters to the log again, where that counts nothing twice.
    /// Goes on to its end when it is begun, whether or not the answer is waited for.
    fn replay(&self, asked: DeadReplay) -> Later<'static, ReplayReport>;
    /// All gaps that were met, passed or not.
    fn gaps(&self) -> Later<'_, Vec<Gap>>;
    /// Lets the sink of this gap pass it; its pipeline hears it within seconds.
    fn skip_gap(&self, key: &DeadKey, change: &Change) -> Later<'static, ()>;
}

/// The log's side of the status.
pub trait SpoolView: Send + Sync {
    /// Bytes, ends and depths now.
    fn usage(&self) -> SpoolStatus;
}

/// Tells how a role does; must return at once.
pub type RoleProbe = Arc<dyn Fn() -> RoleStatus + Send + Sync>;

/// Everything the panel needs.
pub struct PanelConfig<L> {
    /// Addresses and bounds.
    pub settings: PanelSettings,
    /// Where ClickHouse is.
    pub clickhouse: ClickHouse,
    /// The ledger.
    pub ledger: L,
    /// How far ahead an import sets `known_from` (`balances.known_lead`).
    pub known_lead: Duration,
    /// Where log and sinks stand.
    pub live: Arc<dyn Standing>,
    /// The archive.
    pub archive: Arc<dyn ArchiveSource>,
    /// The dead letters.
    pub dead: Arc<dyn DeadStore>,
    /// What the live views are fed with.
    pub feed: Feed,
    /// Further roles for the status, such as the sidecar.
    pub roles: Vec<RoleProbe>,
    /// What `/metrics` shows.
    pub registry: SharedRegistry,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ends the server, after open requests had their time.
    pub shutdown: CancellationToken,
}

/// The state behind the routes; one for all workers.
pub struct App<L> {
    pub(crate) settings: PanelSettings,
    pub(crate) ledger: L,
    pub(crate) known_lead: Duration,
    pub(crate) statistics: Statistics,
    /// The same ClickHouse for questions that read much.
    pub(crate) heavy: Statistics,
    /// And for files, with more rows and time.
    pub(crate) exports: Statistics,
    /// The same ClickHouse with reconcile's bounds.
    pub(crate) pivot: Statistics,
    pub(crate) live: Arc<dyn Standing>,
    pub(crate) archive: Arc<dyn ArchiveSource>,
    pub(crate) dead: Arc<dyn DeadStore>,
    pub(crate) feed: Feed,
    pub(crate) roles: Vec<RoleProbe>,
    pub(crate) registry: SharedRegistry,
    pub(crate) metrics: PanelMetrics,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) guard: Guard,
    /// Who may come in.
    pub(crate) access: Arc<Access>,
    /// Reconciles that may run at once.
    pub(crate) reconciles: Semaphore,
    /// The last minutes of intake.
    pub(crate) sampler: Sampler,
    /// What campaigns spend, and whose they are.
    pub(crate) outlook: Outlook,
    /// Campaigns by the change that they were asked after, for those who watch.
    pub(crate) updates: moka::future::Cache<(u32, u64), Option<Arc<Campaign>>>,
    /// Live tails that may be open at once.
    pub(crate) tails: Arc<Semaphore>,
    /// GraphQL over all of this; set once, when this is shared.
    pub(crate) schema: OnceLock<Schema>,
    pub(crate) shutdown: CancellationToken,
    /// The page *Now* of this second.
    pub(crate) now: moka::future::Cache<(), Arc<Now>>,
}

/// How old the page *Now* may be: the sampler tells something new once a second.
const NOW_AGE: Duration = Duration::from_millis(900);

const RECONCILES: usize = 2;
/// Rows and bytes of one answer of reconcile: campaigns × types, or the offsets of one block.
const RECONCILE_ROWS: u64 = 4_000_000;
const RECONCILE_BYTES: usize = 512 << 20;
/// Bytes of one answer of the API.
const ANSWER_BYTES: usize = 64 << 20;

/// Changed campaigns that are kept for others who watch them.
const UPDATES: u64 = 10_000;
const UPDATE_AGE: Duration = Duration::from_secs(5);
/// Live tails of events: each asks ClickHouse once a second.
const TAILS: usize = 32;

impl<L: Ledger> App<L> {
    /// GraphQL over this. The schema holds what holds it: both live until the process ends.
    pub(crate) fn schema(self: &Arc<Self>) -> &Schema {
        self.schema.get_or_init(|| graphql::schema(self.clone()))
    }
}

impl<L: Ledger + Accounts> App<L> {
    /// Errors: the identity provider's settings cannot be used.
    pub(crate) fn new(config: PanelConfig<L>) -> Result<App<L>, SettingsError> {
        let settings = config.settings;
        let metrics = config.registry.with(PanelMetrics::register);
        let bounds = Bounds {
            time: settings.query_timeout,
            memory: settings.query_memory_bytes,
            rows: settings.max_points.max(settings.max_limit as u64) + 1,
            bytes: ANSWER_BYTES,
        };
        let statistics =
            Statistics::new(&config.clickhouse, bounds, settings.cache_ttl, config.clock.clone(), metrics.clone());
        let heavy = statistics.gated(settings.max_heavy_queries);
        let exports =
            heavy.with_bounds(Bounds { time: settings.export_timeout, rows: settings.max_export_rows + 1, ..bounds });
        let pivot = statistics.with_bounds(Bounds {
            time: settings.reconcile_query_timeout,
            rows: RECONCILE_ROWS,
            bytes: RECONCILE_BYTES,
            ..bounds
        });
        Ok(App {
            guard: guard(&settings),
            access: Arc::new(Access::new(&settings, Arc::new(config.ledger.clone()), config.clock.clone())?),
            ledger: config.ledger,
            known_lead: config.known_lead,
            statistics,
            heavy,
            exports,
            pivot,
            live: config.live,
            archive: config.archive,
            dead: config.dead,
            feed: config.feed,
            roles: config.roles,
            registry: config.registry,
            metrics,
            clock: config.clock,
            reconciles: Semaphore::new(RECONCILES),
            sampler: Sampler::default(),
            outlook: Outlook::default(),
            updates: moka::future::Cache::builder().max_capacity(UPDATES).time_to_live(UPDATE_AGE).build(),
            tails: Arc::new(Semaphore::new(TAILS)),
            schema: OnceLock::new(),
            shutdown: config.shutdown,
            now: moka::future::Cache::builder().max_capacity(1).time_to_live(NOW_AGE).build(),
            settings,
        })
    }
}

/// The names and origins that are ours; the address that browsers show is one of each.
fn guard(settings: &PanelSettings) -> Guard {
    let (mut hosts, mut origins) = (settings.allowed_hosts.clone(), settings.allowed_origins.clone());
    if let Some(url) = &settings.public_url {
        let host = url.split_once("://").map_or("", |(_, rest)| rest);
        let port = host.rfind(':').filter(|at| !host[*at..].contains(']')).unwrap_or(host.len());
        hosts.push(host[..port].to_owned());
        origins.push(url.clone());
    }
    Guard::new(settings.listen, &hosts, &origins)
}

impl DeadKey {
    /// `{sink}:{log}:{partition}:{offset}`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}:{}:{}", self.sink, self.log.name, self.log.partition, self.offset)
    }

    /// Back from [`id`](Self::id); `None` for anything else.
    #[must_use]
    pub fn parse(id: &str) -> Option<DeadKey> {
        let mut parts = id.splitn(4, ':');
        let (sink, name, partition, offset) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let plain = |s: &str| {
            !s.is_empty() && s.len() <= 64 && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        };
        if !plain(sink) || !plain(name) {
            return None;
        }
        let log = LogId { name: name.into(), partition: partition.parse().ok()? };
        Some(DeadKey { sink: sink.to_owned(), log, offset: offset.parse().ok()? })
    }
}
