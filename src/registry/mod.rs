//! The schema registry (Confluent's API): which id a schema has in Kafka, and which schema an id is.
//!
//! The one thing to know: nobody waits for the registry on the event's way. Our own schemas are
//! registered in the background and their ids kept in a file, so a registry that is away stops
//! neither intake nor forwarders nor consumers that have met it once. Only an id that was never
//! met is asked for, and that question is repeated until it is answered: what becomes of a record
//! must be a function of the record, never of the registry's health.

use std::collections::HashMap;

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
