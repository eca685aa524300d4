//! Asking the table what it holds of a range.
//!
//! Before the rows are counted no insert of the range may be running or still to come, else it
//! could add its rows behind the count. An insert bears the range's name as its query id, and a
//! server refuses a second query of a running id: a question under that id that is answered proves
//! that none runs. One that is still under way in a socket is fenced off by its begin-by time.

use super::{Batch, StatisticsSink, error, insert_name};
use clickhouse::Client;
use penstock::log::{LogId, Offset, Range};
use penstock::pipeline::{Held, SinkError};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING.
const RUNNING: i32 = 216;

impl StatisticsSink {
    /// Settles the range's inserts, then reads its offsets.
    pub(super) async fn ask(&mut self, log: &LogId, range: Range, batch: &Batch) -> Result<Held, SinkError> {
        if let Some(begin_by) = self.unsettled {
            sleep_until(begin_by).await;
        }
        let (shard, replicas) = self.replicas(range)?;
        let mut result = Err(SinkError::Retry("the shard has no server".to_owned()));
        for client in replicas {
            result = match self.settle(&client, &insert_name(log, range)).await {
                Ok(()) => self.offsets(&client, log, range, batch).await,
                Err(error) => Err(error),
            };
            if !matches!(result, Err(SinkError::Retry(_))) {
                break;
            }
            self.pass_on(shard);
        }
        Ok(compare(log, range, &batch.offsets, result?))
    }

    /// Reads the range's offsets behind an insert of our own.
    pub(super) async fn offsets_held(&self, log: &LogId, range: Range, batch: &Batch) -> Result<Held, SinkError> {
        let mut result = Err(SinkError::Retry("the shard has no server".to_owned()));
        for client in self.replicas(range)?.1 {
            result = self.offsets(&client, log, range, batch).await;
            if !matches!(result, Err(SinkError::Retry(_))) {
                break;
            }
        }
        // Something was inserted, so it is not a retry that follows but another question.
        let unknown = |e| match e {
            SinkError::Retry(why) => SinkError::Unknown(why),
            other => other,
        };
        Ok(compare(log, range, &batch.offsets, result.map_err(unknown)?))
    }

    /// Whether any shard has a row of the log.
    pub(super) async fn any_row(&self, log: &LogId) -> Result<bool, SinkError> {
        let mut result = Err(SinkError::Fatal("no ClickHouse is configured".to_owned()));
        for client in self.clients.iter().flatten() {
            // Through the table that lies over all shards: one that is away makes it an error.
            let question = client
                .query("SELECT count() FROM (SELECT 1 FROM events WHERE log_topic = ? AND log_partition = ? LIMIT 1)")
                .bind(log.name.as_ref())
                .bind(log.partition)
                .with_setting("skip_unavailable_shards", "0")
                .fetch_one::<u64>();
            result = match timeout(self.timeout, question).await {
                Ok(rows) => rows.map(|n| n > 0).map_err(|e| error::of_read("the log's rows cannot be counted", &e)),
                Err(_) => Err(SinkError::Retry("ClickHouse does not answer in statistics.timeout".to_owned())),
            };
            if !matches!(result, Err(SinkError::Retry(_))) {
                break;
            }
        }
        result
    }

    /// Ends an insert of this id that still runs; returns once none does.
    async fn settle(&self, client: &Client, id: &str) -> Result<(), SinkError> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let probe = client.query_raw("SELECT 1").with_setting("query_id", id).execute();
            let error = match timeout(self.timeout, probe).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) => return Err(SinkError::Retry("ClickHouse does not answer in statistics.timeout".to_owned())),
            };
            if error::code(&error.to_string()) != Some(RUNNING) {
                return Err(error::of_read("the insert's end cannot be told", &error));
            }
            if Instant::now() > deadline {
                return Err(SinkError::Retry(format!("an earlier insert of the range still runs: {error}")));
            }
            // The embedded engine makes ids of its own and keeps ours as the comment.
            let kill = client
                .query("KILL QUERY WHERE query_id = ? OR Settings['log_comment'] = ? ASYNC")
                .bind(id)
                .bind(id)
                .execute();
            if let Ok(Err(error)) = timeout(self.timeout, kill).await {
                tracing::warn!(%error, id, "an earlier insert of the range cannot be ended; waiting for it");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn offsets(
        &self,
        client: &Client,
        log: &LogId,
        range: Range,
        batch: &Batch,
    ) -> Result<Vec<Offset>, SinkError> {
        let table = self.layout.rows_table();
        if self.layout.cluster.is_some() {
            // Another replica may have taken the range, and this one not have heard of it yet. A part
            // that only a dead replica has keeps the answer back: nobody could tell what it holds.
            let sync = client.query(&format!("SYSTEM SYNC REPLICA {table} LIGHTWEIGHT")).execute();
            match timeout(self.timeout, sync).await {
                Ok(done) => done.map_err(|e| error::of_read("the replica cannot catch up", &e))?,
                Err(_) => {
                    return Err(SinkError::Retry("the replica did not catch up in statistics.timeout".to_owned()));
                }
            }
        }
        // The event times are a function of the records: they spare all months but the range's own.
        let (first, last) = batch.span.map_or((i64::MIN, i64::MAX), |(a, b)| (a.0, b.0));
        let rows = client
            .query(&format!(
                "SELECT log_offset FROM {table} WHERE log_topic = ? AND log_partition = ? \
                 AND log_offset >= ? AND log_offset < ? \
                 AND time >= fromUnixTimestamp64Micro(?, 'UTC') AND time <= fromUnixTimestamp64Micro(?, 'UTC') \
                 ORDER BY log_offset"
            ))
            .bind(log.name.as_ref())
            .bind(log.partition)
            .bind(range.from)
            .bind(range.to)
            .bind(first)
            .bind(last)
            .fetch_all::<Offset>();
        match timeout(self.timeout, rows).await {
            Ok(offsets) => offsets.map_err(|e| error::of_read("the range cannot be counted", &e)),
            Err(_) => Err(SinkError::Retry("the range was not counted in statistics.timeout".to_owned())),
        }
    }
}

fn compare(log: &LogId, range: Range, wanted: &[Offset], mut held: Vec<Offset>) -> Held {
    let rows = held.len();
    held.dedup();
    if held.len() < rows {
        // Nothing here can take rows away; reconcile reports them, too.
        tracing::error!(%log, %range, rows, offsets = held.len(), "the table holds offsets of the range twice");
    }
    let missing = wanted.iter().filter(|o| held.binary_search(o).is_err()).count();
    match missing {
        0 => Held::All,
        n if n == wanted.len() => Held::Nothing,
        _ => Held::Some(held),
    }
}
