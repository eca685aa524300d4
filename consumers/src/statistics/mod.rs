//! Events into ClickHouse: one range, one Arrow batch, one block.
//!
//! The one thing to know: as long as nothing has failed, the insert's deduplication token makes a
//! repeat harmless; after a crash or an unknown outcome the token proves nothing (ClickHouse logs
//! it before it renames the part), so the rows themselves are asked by their log coordinates and
//! only what is missing is inserted. On a cluster a range belongs to one shard, chosen when it is
//! pinned, and any replica of that shard may take it. See README.md beside this file.

mod batch;
mod error;
mod held;
pub mod load;
mod pace;
pub mod schema;
mod servers;
#[cfg(feature = "cluster")]
mod tls;

pub use batch::Batch;
pub use pace::Pace;
pub use servers::{Servers, Target};

use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use batch::Columns;
use bytes::Bytes;
use clickhouse::Client;
use penstock::codec::columns::ColumnsError;
use penstock::log::{Limits, LogId, Position, Range, Records};
use penstock::pipeline::{Held, Poison, Sink, SinkError};
use penstock::pricing::Snapshot;
use penstock::settings::StatisticsSettings;
use penstock::telemetry::StatisticsMetrics;
use penstock::telemetry::statistics::{HeldLabel, InsertLabel};
use penstock::time::{Clock, Micros};
use schema::Layout;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

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
    servers: Servers,
    /// One list a shard, its replicas.
    clients: Vec<Vec<Client>>,
    layout: Layout,
    /// The range that was placed last, and its shard.
    placed: Option<(Range, u32)>,
    /// How many ranges were placed.
    turns: u64,
    /// Which replica of its shard is spoken to; one that fails makes way for the next.
    replica: usize,
    quorum: Option<String>,
    timeout: Duration,
    columns: Columns,
    pace: Pace,
    clock: Arc<dyn Clock>,
    metrics: StatisticsMetrics,
    /// The range that was asked for last: somebody may have begun to write it.
    asked: Option<(LogId, Range)>,
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
    /// A sink into `servers`; all sinks of one table share `pace`.
    ///
    /// Errors: [`ColumnsError`] when the event types lack a field of the table.
    pub fn new(
        servers: impl Into<Servers>,
        settings: &StatisticsSettings,
        pace: Pace,
        clock: Arc<dyn Clock>,
        metrics: StatisticsMetrics,
    ) -> Result<Self, ColumnsError> {
        let (servers, layout) = (servers.into(), Layout::of(settings));
        let quorum = match settings.insert_quorum {
            0 => "auto".to_owned(),
            n => n.to_string(),
        };
        Ok(StatisticsSink {
            clients: servers.clients(&layout),
            servers,
            quorum: layout.cluster.as_ref().map(|_| quorum),
            layout,
            placed: None,
            // Lives that end soon must not all begin with the same shard.
            turns: rand::random_range(0..1 << 32),
            replica: rand::random_range(0..1 << 16),
            timeout: settings.timeout,
            columns: Columns::new()?,
            pace,
            clock,
            metrics,
            asked: None,
            unsettled: None,
        })
    }

    /// The replicas of the range's shard, the one that is spoken to first.
    fn replicas(&self, range: Range) -> Result<(usize, Vec<Client>), SinkError> {
        let shard = match self.placed {
            Some((placed, shard)) if placed == range => usize::try_from(shard).unwrap_or(usize::MAX),
            _ if self.clients.len() == 1 => 0,
            _ => return Err(SinkError::Fatal(format!("nobody said which shard has the range {range}"))),
        };
        let Some(replicas) = self.clients.get(shard).filter(|replicas| !replicas.is_empty()) else {
            let shards = self.clients.len();
            let why =
                format!("{range} was begun on shard {shard}, and statistics.shards names {shards}: take none out");
            return Err(SinkError::Fatal(why));
        };
        let first = self.replica % replicas.len();
        Ok((shard, replicas.iter().cycle().skip(first).take(replicas.len()).cloned().collect()))
    }

    /// The server did not do what it should: the next one is spoken to, and the shard gets no new
    /// ranges for a while.
    fn pass_on(&mut self, shard: usize) {
        self.replica = self.replica.wrapping_add(1);
        self.servers.failed(shard, true);
    }

    /// Inserts `body` on the first replica that takes it. Errors: of the last one.
    async fn insert(&mut self, log: &LogId, range: Range, body: &Bytes, token: &str) -> Result<(), SinkError> {
        let (shard, replicas) = self.replicas(range)?;
        let mut result = Ok(());
        for client in replicas {
            result = self.insert_into(&client, log, range, body.clone(), token).await;
            match &result {
                Ok(()) => self.servers.failed(shard, false),
                Err(SinkError::Retry(_) | SinkError::Unknown(_)) => self.pass_on(shard),
                Err(_) => {}
            }
            // Only a server that surely wrote nothing may be passed over without asking.
            if !matches!(result, Err(SinkError::Retry(_))) {
                break;
            }
        }
        result
    }

    async fn insert_into(
        &mut self,
        client: &Client,
        log: &LogId,
        range: Range,
        body: Bytes,
        token: &str,
    ) -> Result<(), SinkError> {
        let soon = self.timeout.min(BEGIN_WITHIN);
        let begin_by = self.clock.now().plus(soon);
        self.unsettled = Some(Instant::now() + soon);
        let (table, columns) = (self.layout.rows_table(), batch::TABLE.join(", "));
        let client = client.clone().with_header(BEGIN_BY, begin_by.0.to_string());
        let mut insert = client
            .insert_formatted_with(format!("INSERT INTO {table} ({columns}) FORMAT ArrowStream"))
            .with_timeouts(Some(self.timeout), Some(self.timeout))
            .with_setting("query_id", insert_name(log, range))
            .with_setting("insert_deduplication_token", token)
            .with_setting("async_insert", "0")
            // One batch is one block, however long: it must not be cut in two.
            .with_setting("max_insert_block_size", "1048576")
            .with_setting("max_insert_block_size_bytes", "0")
            // Late events may lie in any month.
            .with_setting("max_partitions_per_insert_block", "0")
            .with_setting("input_format_arrow_allow_missing_columns", "0");
        if let Some(quorum) = &self.quorum {
            let wait = self.timeout.as_millis().to_string();
            insert = insert
                .with_setting("insert_deduplicate", "1")
                .with_setting("insert_quorum", quorum)
                .with_setting("insert_quorum_timeout", wait);
        }
        let sent = match insert.send(body).await {
            Ok(()) => insert.end().await,
            Err(error) => Err(error),
        };
        sent.map_err(|e| error::of_write(&e))
    }

    /// Writes what is missing of a range; gives the bytes sent.
    async fn deliver(&mut self, log: &LogId, range: Range, batch: &Batch, held: &Held) -> Result<u64, SinkError> {
        let token = insert_name(log, range);
        let asked = matches!(&self.asked, Some((l, r)) if l == log && *r == range);
        let sent = self.insert_missing(log, range, batch, held, &token).await?;
        if !asked {
            return Ok(sent);
        }
        // That token is the one which an insert of an earlier life bears, and that may still lie in a
        // stopped server's socket: taken by us, it makes that one a repeat. But it may also have been
        // logged without its rows, and then hid ours; so the rows decide once more, and what is
        // missing goes under a token that nobody can have used.
        let held = self.offsets_held(log, range, batch).await?;
        let token = format!("{token}/{:016x}", rand::random::<u64>());
        Ok(sent + self.insert_missing(log, range, batch, &held, &token).await?)
    }

    async fn insert_missing(
        &mut self,
        log: &LogId,
        range: Range,
        batch: &Batch,
        held: &Held,
        token: &str,
    ) -> Result<u64, SinkError> {
        let Some(rows) = batch.missing(held).map_err(|e| unusable(&e))? else { return Ok(0) };
        let body = stream(&rows).map_err(|e| unusable(&e))?;
        self.insert(log, range, &body, token).await?;
        Ok(body.len() as u64)
    }
}

fn unusable(error: &ArrowError) -> SinkError {
    SinkError::Fatal(format!("the range's columns cannot be made: {error}"))
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
        // Any server of the cluster makes them on all.
        let mut result = Err(SinkError::Fatal("no ClickHouse is configured".to_owned()));
        for client in self.clients.iter().flatten() {
            result = match tokio::time::timeout(self.timeout, schema::apply(client, &self.layout)).await {
                Ok(done) => done.map_err(|e| error::of_read("the tables cannot be made", &e)),
                Err(_) => Err(SinkError::Retry("the tables were not made in statistics.timeout".to_owned())),
            };
            if !matches!(result, Err(SinkError::Retry(_))) {
                break;
            }
        }
        result.map(|()| position)
    }

    async fn untouched(&mut self, log: &LogId) -> Result<bool, SinkError> {
        // It is asked before `start`, and on a new server the table is not there yet.
        self.start(log, Position::at(0)).await?;
        self.any_row(log).await.map(|any| !any)
    }

    fn hint(&mut self, log: &LogId, range: Range) -> u32 {
        let shard = u32::try_from(self.servers.place(log, self.turns)).unwrap_or(0);
        self.turns += 1;
        self.placed = Some((range, shard));
        shard
    }

    fn resume(&mut self, _log: &LogId, range: Range, hint: u32) {
        self.placed = Some((range, hint));
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
        self.asked = Some((log.clone(), range));
        self.unsettled = None;
        Ok(held)
    }

    async fn write(&mut self, log: &LogId, range: Range, batch: &Batch, held: &Held) -> Result<(), SinkError> {
        if let Some(failed) = &batch.failed {
            return Err(SinkError::Fatal(failed.clone()));
        }
        if batch.missing(held).map_err(|e| unusable(&e))?.is_none() {
            return Ok(());
        }
        let waited = self.pace.turn().await;
        self.metrics.paced_ms.inc_by(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
        let began = Instant::now();
        let result = self.deliver(log, range, batch, held).await;
        let outcome = match &result {
            Ok(bytes) => {
                self.metrics.insert.observe(began.elapsed().as_secs_f64());
                self.metrics.bytes.inc_by(*bytes);
                (self.asked, self.unsettled) = (None, None);
                "ok"
            }
            Err(SinkError::Retry(_)) => "retry",
            Err(SinkError::Unknown(_)) => "unknown",
            Err(SinkError::Fenced(_) | SinkError::Fatal(_)) => "fatal",
        };
        self.metrics.inserts.get_or_create(&InsertLabel { outcome }).inc();
        result.map(|_| ())
    }
}

/// The bounds of a batch's event times, both included.
pub(crate) type Span = (Micros, Micros);
