//! Questions to ClickHouse: fixed SQL with bound parameters, read-only, bounded in seconds,
//! memory, rows and answer bytes; repeated ones are answered from a short-lived cache.
//!
//! The one thing to know: text from outside reaches ClickHouse only as a bound parameter, never
//! as SQL. [`Question`] is built from fixed fragments, which the `&'static str`s enforce.

mod error;
mod events;
mod paces;
mod quality;
mod question;
mod series;
mod tail;
mod values;
mod windows;

pub use error::StatisticsError;
pub use events::{Cursor, EventFilter, Order, TEXTS};
pub use quality::Delivered;
pub use question::Question;
pub use series::Series;
pub use tail::TailFilter;
pub use windows::Windows;

use self::error::classify;
use self::question::Param;
use bytes::{Bytes, BytesMut};
use clickhouse::query::BytesCursor;
use clickhouse::{Client, Compression};
use futures::Stream;
use penstock::telemetry::panel::{PanelMetrics, QueryLabel};
use penstock::time::{Clock, Micros};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How ClickHouse is reached.
#[derive(Clone, Debug)]
pub struct ClickHouse {
    /// `http://host:port`.
    pub url: String,
    /// User; `None` = the server's default.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// Database of `events` and `stats_minute`. Usually `penstock`.
    pub database: String,
}

/// Bounds of one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// `max_execution_time`; the client itself waits one second longer, so a hang ends too.
    pub time: Duration,
    /// `max_memory_usage` in bytes.
    pub memory: u64,
    /// `max_result_rows`.
    pub rows: u64,
    /// Bytes of the answer.
    pub bytes: usize,
}

/// Rows with the time they were counted at.
#[derive(Clone, Debug)]
pub struct Counted<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// When.
    pub at: Micros,
}

type Cached = (Bytes, Micros);

/// Asks ClickHouse. Cheap to clone; clones share connections and cache.
#[derive(Clone)]
pub struct Statistics {
    client: Client,
    bounds: Bounds,
    cache: moka::future::Cache<Question, Cached>,
    clock: Arc<dyn Clock>,
    metrics: PanelMetrics,
    /// Expensive queries that may run at once, and how many; `None`: these are not counted.
    gate: Option<(Arc<Semaphore>, usize)>,
}

/// Longest wait for a place among the expensive queries.
const QUEUE: Duration = Duration::from_secs(5);

/// Answers kept at once; each at most [`Bounds::bytes`], usually some hundred bytes.
const CACHED_BYTES: u64 = 32 << 20;

impl Statistics {
    /// Nothing is sent before the first question. `ttl` is how old a cached answer may be.
    #[must_use]
    pub fn new(at: &ClickHouse, bounds: Bounds, ttl: Duration, clock: Arc<dyn Clock>, metrics: PanelMetrics) -> Self {
        let mut client = Client::default()
            .with_url(&at.url)
            .with_database(&at.database)
            .with_compression(Compression::None)
            .with_setting("readonly", "2")
            .with_setting("wait_end_of_query", "1")
            // Some hundred thousand campaigns with whom they belong to.
            .with_setting("max_query_size", "16777216")
            .with_setting("result_overflow_mode", "throw")
            .with_setting("timeout_overflow_mode", "throw")
            .with_setting("output_format_json_quote_64bit_integers", "0");
        if let Some(user) = &at.user {
            client = client.with_user(user);
        }
        if let Some(password) = &at.password {
            client = client.with_password(password);
        }
        let cache = moka::future::Cache::builder()
            .max_capacity(CACHED_BYTES)
            .weigher(|q: &Question, (body, _): &Cached| {
                u32::try_from(q.sql.len() + body.len() + 256).unwrap_or(u32::MAX)
            })
            .time_to_live(ttl)
            .build();
        Statistics { client, bounds, cache, clock, metrics, gate: None }
    }

    /// The same client, of which at most `most` queries run at once; others wait a little and are
    /// then [`StatisticsError::Busy`].
    #[must_use]
    pub fn gated(&self, most: usize) -> Statistics {
        Statistics { gate: Some((Arc::new(Semaphore::new(most)), most)), ..self.clone() }
    }

    /// The same client with other bounds and without the cache's help (reconcile).
    #[must_use]
    pub fn with_bounds(&self, bounds: Bounds) -> Statistics {
        Statistics { bounds, ..self.clone() }
    }

    /// The bounds in force.
    #[must_use]
    pub const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Asks, or takes the answer of the same question of a moment ago; equal questions that come
    /// at the same time are asked once.
    pub async fn cached<T: DeserializeOwned>(&self, question: Question) -> Result<Counted<T>, StatisticsError> {
        let mut asked = false;
        let init = async {
            asked = true;
            let body = self.fetch(&question).await?;
            Ok::<_, StatisticsError>((body, self.clock.now()))
        };
        let found = self.cache.try_get_with(question.clone(), init).await;
        if !asked {
            self.metrics.cache_hits.inc();
        }
        let (body, at) = found.map_err(|e: Arc<StatisticsError>| (*e).clone())?;
        Ok(Counted { rows: parse(&body)?, at })
    }

    /// Asks, always.
    pub async fn fresh<T: DeserializeOwned>(&self, question: &Question) -> Result<Vec<T>, StatisticsError> {
        parse(&self.fetch(question).await?)
    }

    /// ClickHouse's version, within two seconds: whether it answers.
    pub async fn version(&self) -> Result<String, StatisticsError> {
        #[derive(serde::Deserialize)]
        struct Version {
            v: String,
        }
        let quick = self.with_bounds(Bounds { time: Duration::from_secs(1), ..self.bounds });
        let found = quick.cached::<Version>(Question::new("version", "SELECT version() AS v")).await?;
        Ok(found.rows.into_iter().next().map(|v| v.v).unwrap_or_default())
    }

    /// A place among the expensive queries, for as long as it is held.
    async fn place(&self) -> Result<Option<OwnedSemaphorePermit>, StatisticsError> {
        let Some((gate, most)) = &self.gate else { return Ok(None) };
        match tokio::time::timeout(QUEUE, gate.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) | Err(_) => Err(StatisticsError::Busy(*most)),
        }
    }

    async fn fetch(&self, question: &Question) -> Result<Bytes, StatisticsError> {
        let _place = self.place().await?;
        let begun = Instant::now();
        let longest = self.bounds.time + Duration::from_secs(1);
        let answer = match tokio::time::timeout(longest, self.send(question)).await {
            Ok(answer) => answer,
            Err(_) => Err(StatisticsError::Unavailable(format!("no answer within {} s", longest.as_secs()))),
        };
        let outcome = match &answer {
            Ok(_) => "ok",
            Err(StatisticsError::Unavailable(_)) => "unavailable",
            Err(StatisticsError::TooExpensive(_)) => "too_expensive",
            Err(StatisticsError::Refused(_)) => "refused",
            Err(StatisticsError::Busy(_)) => "busy",
        };
        if let Err(error) = &answer {
            tracing::warn!(query = question.name, %error, "a query failed");
        }
        let label = QueryLabel { query: question.name, outcome };
        self.metrics.query_seconds.get_or_create(&label).observe(begun.elapsed().as_secs_f64());
        answer
    }

    /// Asks in one of ClickHouse's own formats, and gives its bytes as they come. The answer's
    /// first bytes are awaited, so that a query that fails is an error and no half file.
    ///
    /// Errors: as any question's; those of a stream that has begun end it.
    pub async fn stream(
        &self,
        question: &Question,
        format: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, StatisticsError>> + use<>, StatisticsError> {
        let place = self.place().await?;
        let mut cursor = self.ask(question, format)?;
        let longest = self.bounds.time + Duration::from_secs(1);
        let first = match tokio::time::timeout(longest, cursor.next()).await {
            Ok(first) => first.map_err(classify)?,
            Err(_) => return Err(StatisticsError::Unavailable(format!("no answer within {} s", longest.as_secs()))),
        };
        Ok(futures::stream::unfold((first, Some(cursor), place), |(first, cursor, place)| async move {
            if let Some(chunk) = first {
                return Some((Ok(chunk), (None, cursor, place)));
            }
            let mut cursor = cursor?;
            match cursor.next().await {
                Ok(chunk) => chunk.map(|chunk| (Ok(chunk), (None, Some(cursor), place))),
                Err(error) => Some((Err(classify(error)), (None, None, place))),
            }
        }))
    }

    async fn send(&self, question: &Question) -> Result<Bytes, StatisticsError> {
        let mut cursor = self.ask(question, "JSONEachRow")?;
        let mut body = BytesMut::new();
        while let Some(chunk) = cursor.next().await.map_err(classify)? {
            if body.len() + chunk.len() > self.bounds.bytes {
                return Err(StatisticsError::TooExpensive(format!(
                    "the answer has more than {} bytes",
                    self.bounds.bytes
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    fn ask(&self, question: &Question, format: &str) -> Result<BytesCursor, StatisticsError> {
        let seconds = self.bounds.time.as_secs().max(1);
        let mut query = self
            .client
            .query_raw(&question.sql)
            .with_setting("max_execution_time", seconds.to_string())
            .with_setting("max_memory_usage", self.bounds.memory.to_string())
            .with_setting("max_result_rows", self.bounds.rows.to_string());
        for (name, value) in &question.params {
            query = match value {
                Param::Text(v) => query.param(name, v),
                Param::Int(v) => query.param(name, v),
                Param::Uint(v) => query.param(name, v),
                Param::Uints(v) => query.param(name, v),
                Param::Texts(v) => query.param(name, v),
            };
        }
        query.fetch_bytes(format).map_err(classify)
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, StatisticsError> {
    body.split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            serde_json::from_slice(line)
                .map_err(|e| StatisticsError::Refused(format!("a row is not what the query asks for: {e}")))
        })
        .collect()
}
