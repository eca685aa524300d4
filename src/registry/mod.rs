//! The schema registry (Confluent's API): which id a schema has in Kafka, and which schema an id is.
//!
//! The one thing to know: nobody waits for the registry on the event's way. Our own schemas are
//! registered in the background and their ids kept in a file, so a registry that is away stops
//! neither intake nor forwarders nor consumers that have met it once. Only an id that was never
//! met is asked for, and that question is repeated until it is answered: what becomes of a record
//! must be a function of the record, never of the registry's health.

mod client;
mod ids;
mod register;
#[cfg(test)]
mod tests;

use crate::codec::fingerprint;
use crate::codec::registry::writers;
use crate::settings::{KafkaSettings, RegistrySettings, SettingsError};
use crate::telemetry::RegistryMetrics;
use client::Client;
use ids::{Conflict, Ids};
use moka::future::Cache;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long an id counts as one that the registry does not have.
const MISSING_FOR: Duration = Duration::from_secs(60);
/// Most such ids that are remembered.
const MAX_MISSING: usize = 10_000;
/// How long a [`Lookup`] remembers an answer, and that there was none: the letters of one replay have
/// few ids, and must not wait for a registry that is away one by one. A registry that was mended is
/// asked soon after.
const ASKED_ONCE: Duration = Duration::from_secs(10);

/// Why the registry gave no usable answer. All of them pass: the question is asked again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RegistryError {
    /// No connection, no answer in `registry.timeout`, or an answer of 5xx or 429.
    #[error("the schema registry at {url} is away: {why}")]
    Away {
        /// The URL that was asked.
        url: String,
        /// What happened.
        why: String,
    },
    /// It answered, and refused: a login that is wrong, a schema that is not compatible.
    #[error("the schema registry at {url} refused with {status}, code {code}: {message}")]
    Refused {
        /// The URL that was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// Its own error code (40403: schema not found; 42201: invalid schema; …); 0: none given.
        code: u32,
        /// Its message, cut to 300 characters.
        message: String,
    },
    /// It answered what no registry answers.
    #[error("the schema registry at {url} gave an answer that makes no sense: {why}")]
    Answer {
        /// The URL that was asked.
        url: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Ids of schemas in a registry, both ways. Cheap to clone and to ask, except [`look_up`](SchemaIds::look_up).
#[expect(async_fn_in_trait, reason = "logs and sinks run on one thread each, no Send bound is wanted")]
pub trait SchemaIds {
    /// The id under which one of our schemas is registered; `None` while that is not known yet.
    fn id_of(&self, fingerprint: u64) -> Option<u32>;

    /// The fingerprint of the schema with this id, as far as it is known here; it may be the
    /// fingerprint of a schema that is none of ours.
    fn known(&self, id: u32) -> Option<u64>;

    /// Asks the registry for the fingerprint of an id; `None` when it has no such schema.
    ///
    /// Errors: [`RegistryError`]; the caller waits and asks again, as long as it takes.
    async fn look_up(&self, id: u32) -> Result<Option<u64>, RegistryError>;
}

/// Ids that stand fixed: for tests and benches, and for tools that know them from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct FixedIds {
    by_fingerprint: HashMap<u64, u32>,
    by_id: HashMap<u32, u64>,
}

impl FixedIds {
    /// From pairs of fingerprint and id.
    #[must_use]
    pub fn new(pairs: impl IntoIterator<Item = (u64, u32)>) -> Self {
        let by_fingerprint: HashMap<u64, u32> = pairs.into_iter().collect();
        let by_id = by_fingerprint.iter().map(|(fingerprint, id)| (*id, *fingerprint)).collect();
        FixedIds { by_fingerprint, by_id }
    }
}

impl SchemaIds for FixedIds {
    fn id_of(&self, fingerprint: u64) -> Option<u32> {
        self.by_fingerprint.get(&fingerprint).copied()
    }

    fn known(&self, id: u32) -> Option<u64> {
        self.by_id.get(&id).copied()
    }

    async fn look_up(&self, id: u32) -> Result<Option<u64>, RegistryError> {
        Ok(self.known(id))
    }
}

/// One subject a topic and record type (Confluent's TopicRecordNameStrategy), so that types may
/// share a topic. Readers find a schema by its id alone.
#[must_use]
pub fn subject(topic: &str, record: &str) -> String {
    format!("{topic}-{record}")
}

/// Asks a registry what ids are, and registers nothing: for the panel, whose replays have records
/// that consumers found no schema for.
pub struct Lookup {
    client: Client,
    /// Answers and failures, for [`ASKED_ONCE`].
    answers: Cache<u32, Result<Option<u64>, RegistryError>>,
}

impl Lookup {
    /// Asks the registry that is configured. Errors: as of [`Registry::start`].
    pub fn new(settings: &RegistrySettings, metrics: RegistryMetrics) -> Result<Lookup, SettingsError> {
        let answers = Cache::builder().max_capacity(MAX_MISSING as u64).time_to_live(ASKED_ONCE).build();
        Ok(Lookup { client: Client::new(settings, metrics)?, answers })
    }

    /// The fingerprint of the schema with this id; `None` when the registry has none such.
    ///
    /// Errors: [`RegistryError`].
    pub async fn fingerprint(&self, id: u32) -> Result<Option<u64>, RegistryError> {
        let ask = async { Ok(self.client.schema(id).await?.map(|(text, avro)| fingerprint_of(&text, avro))) };
        self.answers.get_with(id, ask).await
    }
}

/// The registry that is configured; clones share what is known.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    client: Client,
    ids: RwLock<Ids>,
    file: Option<PathBuf>,
    /// Ids that the registry said it does not have, and when: asked again after [`MISSING_FOR`].
    missing: Mutex<HashMap<u32, Instant>>,
    /// Whether every schema of ours has an id.
    complete: watch::Sender<bool>,
    metrics: RegistryMetrics,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// Reads the known ids from `file` and registers our schemas in the background, until all are
    /// registered or `stop` is cancelled. Needs a tokio runtime that lives as long as this is used.
    ///
    /// Errors: [`SettingsError::Value`]: a secret or the authorities' file cannot be read. A registry
    /// that is away is none.
    pub fn start(
        settings: &RegistrySettings,
        kafka: &KafkaSettings,
        file: Option<PathBuf>,
        metrics: RegistryMetrics,
        stop: CancellationToken,
    ) -> Result<Registry, SettingsError> {
        let client = Client::new(settings, metrics.clone())?;
        let ids = file.as_deref().map_or_else(|| Ids::new(&settings.urls), |file| Ids::load(file, &settings.urls));
        let inner = Inner {
            client,
            ids: RwLock::new(ids),
            file,
            missing: Mutex::default(),
            complete: watch::Sender::new(false),
            metrics,
        };
        let registry = Registry(Arc::new(inner));
        registry.count();
        tokio::spawn(register::run(registry.clone(), settings.clone(), kafka.clone(), stop));
        Ok(registry)
    }

    /// Returns once every schema of ours has an id.
    pub async fn complete(&self) {
        // The sender lives in `self`.
        let _ = self.0.complete.subscribe().wait_for(|complete| *complete).await;
    }

    fn ids(&self) -> RwLockReadGuard<'_, Ids> {
        self.0.ids.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what was learned, and writes it down when it is news. A file that cannot be written
    /// costs only a question after a restart.
    fn learned(&self, learn: impl FnOnce(&mut Ids) -> Result<bool, Conflict>) -> Result<(), Conflict> {
        let news = {
            let mut ids = self.0.ids.write().unwrap_or_else(PoisonError::into_inner);
            learn(&mut ids).inspect_err(|conflict| {
                self.0.metrics.conflicts.inc();
                tracing::error!(%conflict, "the schema registry contradicts itself; ids keep their first meaning");
            })?
        };
        if news && let Some(file) = &self.0.file {
            let ids = self.ids().clone();
            if let Err(error) = ids.save(file) {
                tracing::warn!(%error, file = %file.display(), "the known schema ids cannot be written down");
            }
        }
        self.count();
        Ok(())
    }

    fn count(&self) {
        let ids = self.ids();
        let unregistered = writers().iter().filter(|w| ids.id_of(w.fingerprint).is_none()).count();
        self.0.metrics.unregistered.set(i64::try_from(unregistered).unwrap_or(i64::MAX));
        self.0
            .complete
            .send_if_modified(|complete| std::mem::replace(complete, unregistered == 0) != (unregistered == 0));
    }

    fn missing(&self) -> MutexGuard<'_, HashMap<u32, Instant>> {
        self.0.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SchemaIds for Registry {
    fn id_of(&self, fingerprint: u64) -> Option<u32> {
        self.ids().id_of(fingerprint)
    }

    fn known(&self, id: u32) -> Option<u64> {
        self.ids().known(id)
    }

    async fn look_up(&self, id: u32) -> Result<Option<u64>, RegistryError> {
        if let Some(fingerprint) = self.known(id) {
            return Ok(Some(fingerprint));
        }
        if self.missing().get(&id).is_some_and(|at| at.elapsed() < MISSING_FOR) {
            return Ok(None);
        }
        self.0.metrics.lookups.inc();
        let Some((text, avro)) = self.0.client.schema(id).await? else {
            let mut missing = self.missing();
            if missing.len() >= MAX_MISSING {
                missing.clear();
            }
            missing.insert(id, Instant::now());
            return Ok(None);
        };
        let fingerprint = fingerprint_of(&text, avro);
        // Somebody else may have learned it meanwhile; the first meaning holds.
        match self.learned(|ids| ids.learn(id, fingerprint)) {
            Ok(()) => Ok(Some(fingerprint)),
            Err(conflict) => Ok(Some(conflict.before)),
        }
    }
}

/// The fingerprint of a schema's text. One that is not Avro, or that our library does not take, has
/// the CRC of its text: it is none of ours, and always the same one.
fn fingerprint_of(text: &str, avro: bool) -> u64 {
    let schema = if avro { apache_avro::Schema::parse_str(text).ok() } else { None };
    match schema {
        Some(schema) => fingerprint::fingerprint(&schema),
        None => fingerprint::of_text(text),
    }
}
