//! Asking the table what it holds of a range.
//!
//! Before the rows are counted no insert of the range may be running or still to come, else it
//! could add its rows behind the count. An insert bears the range's name as its query id, and a
//! server refuses a second query of a running id: a question under that id that is answered proves
//! that none runs. One that is still under way in a socket is fenced off by its begin-by time.

use super::{Batch, StatisticsSink, error, insert_name};
use penstock::log::{LogId, Offset, Range};
use penstock::pipeline::{Held, SinkError};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING.
const RUNNING: i32 = 216;

impl StatisticsSink {
    /// Settles the range's inserts, then reads its offsets.
    pub(super) async fn ask(&self, log: &LogId, range: Range, batch: &Batch) -> Result<Held, SinkError> {
        if let Some(begin_by) = self.unsettled {
            sleep_until(begin_by).await;
        }
        self.settle(&insert_name(log, range)).await?;
        let held = match timeout(self.timeout, self.offsets(log, range, batch)).await {
            Ok(offsets) => offsets.map_err(|e| error::of_read("the range cannot be counted", &e))?,
            Err(_) => return Err(SinkError::Retry("the range was not counted in statistics.timeout".to_owned())),
        };
        Ok(compare(log, range, &batch.offsets, held))
    }

    /// Ends an insert of this id that still runs; returns once none does.
    async fn settle(&self, id: &str) -> Result<(), SinkError> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let probe = self.client.query_raw("SELECT 1").with_setting("query_id", id).execute();
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
            let kill = self
                .client
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

    async fn offsets(&self, log: &LogId, range: Range, batch: &Batch) -> clickhouse::error::Result<Vec<Offset>> {
        // The event times are a function of the records: they spare all months but the range's own.
        let (first, last) = batch.span.map_or((i64::MIN, i64::MAX), |(a, b)| (a.0, b.0));
        self.client
            .query(
                "SELECT log_offset FROM events WHERE log_topic = ? AND log_partition = ? \
                 AND log_offset >= ? AND log_offset < ? \
                 AND time >= fromUnixTimestamp64Micro(?, 'UTC') AND time <= fromUnixTimestamp64Micro(?, 'UTC') \
                 ORDER BY log_offset",
            )
            .bind(log.name.as_ref())
            .bind(log.partition)
            .bind(range.from)
            .bind(range.to)
            .bind(first)
            .bind(last)
            .fetch_all::<Offset>()
            .await
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
