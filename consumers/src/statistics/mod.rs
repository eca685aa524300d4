//! Events into ClickHouse: one range, one Arrow batch, one block.
//!
//! The one thing to know: as long as nothing has failed, the insert's deduplication token makes a
//! repeat harmless; after a crash or an unknown outcome the token proves nothing (ClickHouse logs
//! it before it renames the part), so the rows themselves are asked by their log coordinates and
//! only what is missing is inserted, under a new token. See README.md beside this file.

mod batch;
mod error;
mod held;
mod pace;
pub mod schema;

pub use batch::Batch;
pub use pace::Pace;

use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use batch::Columns;
use bytes::Bytes;
use clickhouse::{Client, Compression};
use penstock::codec::columns::ColumnsError;
use penstock::log::{Limits, LogId, Position, Range, Records};
use penstock::pipeline::{Held, Poison, Sink, SinkError};
use penstock::pricing::Snapshot;
use penstock::settings::StatisticsSettings;
use penstock::telemetry::StatisticsMetrics;
use penstock::telemetry::statistics::{HeldLabel, InsertLabel};
use penstock::time::{Clock, Micros};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How ClickHouse is reached by somebody who may write.
#[derive(Clone)]
pub struct Target {
    /// `http://host:port`.
    pub url: String,
    /// User; `None`: the server's default.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("url", &self.url).field("user", &self.user).finish_non_exhaustive()
    }
}

impl Target {
    /// A client for `database`. Compression is off: on loopback it costs more than it saves.
    #[must_use]
    pub fn client(&self, database: &str) -> Client {
        let mut client =
            Client::default().with_url(&self.url).with_database(database).with_compression(Compression::None);
        if let Some(user) = &self.user {
            client = client.with_user(user);
        }
        if let Some(password) = &self.password {
            client = client.with_password(password);
        }
        client
    }
}

/// When a range of the statistics closes.
#[must_use]
pub fn limits(settings: &StatisticsSettings) -> Limits {
    Limits {
        rows: settings.max_rows,
        bytes: settings.max_bytes,
        age: settings.max_age,
        idle: Duration::from_secs(1).min(settings.max_age),
        end: None,
    }
}

/// The statistics sink of one log partition.
pub struct StatisticsSink {
    client: Client,
    database: String,
    timeout: Duration,
    columns: Columns,
    pace: Pace,
    clock: Arc<dyn Clock>,
    metrics: StatisticsMetrics,
    /// The range that was asked for last, and the token's suffix that its next insert gets.
    asked: Option<(LogId, Range, u64)>,
    /// Until when an insert of unknown outcome may still begin.
    unsettled: Option<Instant>,
}

/// Header that tells the local engine until when an INSERT may begin, in microseconds since the
/// epoch; other servers ignore it.
const BEGIN_BY: &str = "X-Penstock-Begin-By";

/// How soon an INSERT must begin. Its body is there in a fraction of that; what it costs to set is
/// that long a wait after each lost connection.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);

impl StatisticsSink {
    /// A sink into `target`; all sinks of one table share `pace`.
    ///
    /// Errors: [`ColumnsError`] when the event types lack a field of the table.
    pub fn new(
        target: &Target,
        settings: &StatisticsSettings,
        pace: Pace,
        clock: Arc<dyn Clock>,
        metrics: StatisticsMetrics,
    ) -> Result<Self, ColumnsError> {
        Ok(StatisticsSink {
            client: target.client(&settings.database),
            database: settings.database.clone(),
            timeout: settings.timeout,
            columns: Columns::new()?,
            pace,
            clock,
            metrics,
            asked: None,
            unsettled: None,
        })
    }

    /// A token for the same rows is the same as long as nothing failed; after a question to the
    /// table it is new, because the old one may be logged without its rows.
    fn token(&self, log: &LogId, range: Range) -> String {
        let token = insert_name(log, range);
        match &self.asked {
            Some((asked, of, attempt)) if asked == log && *of == range => format!("{token}/{attempt:016x}"),
            _ => token,
        }
    }

    async fn insert(&mut self, log: &LogId, range: Range, body: Bytes) -> Result<(), SinkError> {
        let soon = self.timeout.min(BEGIN_WITHIN);
        let begin_by = self.clock.now().plus(soon);
        self.unsettled = Some(Instant::now() + soon);
        let columns = batch::TABLE.join(", ");
        let client = self.client.clone().with_header(BEGIN_BY, begin_by.0.to_string());
        let mut insert = client
            .insert_formatted_with(format!("INSERT INTO events ({columns}) FORMAT ArrowStream"))
            .with_timeouts(Some(self.timeout), Some(self.timeout))
            .with_setting("query_id", insert_name(log, range))
            .with_setting("insert_deduplication_token", self.token(log, range))
            .with_setting("async_insert", "0")
            // One batch is one block, however long: it must not be cut in two.
            .with_setting("max_insert_block_size", "1048576")
            .with_setting("max_insert_block_size_bytes", "0")
            // Late events may lie in any month.
            .with_setting("max_partitions_per_insert_block", "0")
            .with_setting("input_format_arrow_allow_missing_columns", "0");
        let sent = match insert.send(body).await {
            Ok(()) => insert.end().await,
            Err(error) => Err(error),
        };
        sent.map_err(|e| error::of_write(&e))
    }
}

/// Names the insert of a range in ClickHouse: the query id, and the token's beginning.
fn insert_name(log: &LogId, range: Range) -> String {
    format!("penstock-{}-{}-{}-{}", log.name, log.partition, range.from, range.to)
}

fn stream(rows: &arrow::array::RecordBatch) -> Result<Bytes, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::with_capacity(rows.get_array_memory_size() + 4096), &rows.schema())?;
    writer.write(rows)?;
    writer.finish()?;
    writer.into_inner().map(Bytes::from)
}

impl Sink for StatisticsSink {
    type Batch = Batch;

    fn name(&self) -> &'static str {
        "statistics"
    }

    async fn start(&mut self, _log: &LogId, position: Position) -> Result<Position, SinkError> {
        let migrate = schema::apply(&self.client, &self.database);
        match tokio::time::timeout(self.timeout, migrate).await {
            Ok(done) => done.map_err(|e| error::of_read("the tables cannot be made", &e))?,
            Err(_) => return Err(SinkError::Retry("the tables were not made in statistics.timeout".to_owned())),
        }
        Ok(position)
    }

    fn prepare(
        &mut self,
        log: &LogId,
        _range: Range,
        records: &Records,
        catalogue: &Snapshot,
        bad: &mut Vec<Poison>,
    ) -> Batch {
        self.columns.batch(log, records, catalogue, bad)
    }

    async fn held(&mut self, log: &LogId, range: Range, batch: &Batch) -> Result<Held, SinkError> {
        let held = if batch.offsets.is_empty() { Held::All } else { self.ask(log, range, batch).await? };
        let label = match held {
            Held::Nothing => "nothing",
            Held::Some(_) => "some",
            Held::All => "all",
        };
        self.metrics.held.get_or_create(&HeldLabel { held: label }).inc();
        self.asked = Some((log.clone(), range, rand::random()));
        self.unsettled = None;
        Ok(held)
    }

    async fn write(&mut self, log: &LogId, range: Range, batch: &Batch, held: &Held) -> Result<(), SinkError> {
        let fatal = |e: &ArrowError| SinkError::Fatal(format!("the range's columns cannot be made: {e}"));
        if let Some(failed) = &batch.failed {
            return Err(SinkError::Fatal(failed.clone()));
        }
        let Some(rows) = batch.missing(held).map_err(|e| fatal(&e))? else { return Ok(()) };
        let body = stream(&rows).map_err(|e| fatal(&e))?;
        let bytes = body.len() as u64;
        let waited = self.pace.turn().await;
        self.metrics.paced_ms.inc_by(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
        let began = Instant::now();
        let result = self.insert(log, range, body).await;
        let outcome = match &result {
            Ok(()) => {
                self.metrics.insert.observe(began.elapsed().as_secs_f64());
                self.metrics.bytes.inc_by(bytes);
                (self.asked, self.unsettled) = (None, None);
                "ok"
            }
            Err(SinkError::Retry(_)) => "retry",
            Err(SinkError::Unknown(_)) => "unknown",
            Err(SinkError::Fenced(_) | SinkError::Fatal(_)) => "fatal",
        };
        self.metrics.inserts.get_or_create(&InsertLabel { outcome }).inc();
        result
    }
}

/// The bounds of a batch's event times, both included.
pub(crate) type Span = (Micros, Micros);
