//! A partition of a Kafka topic as a [`Log`].
//!
//! ```text
//! fetch.rs   one client fetches: raw batches, a queue a partition   ─▶ KafkaLog::read ─▶ pipeline
//! group.rs   one client is the group's member, on one thread:       ◀─ KafkaLog::store
//!            rebalances and commits, guarded by the assignment's epoch
//! ```
//!
//! Readers see what is on all in-sync replicas (the high watermark), so with `min.insync.replicas`
//! of 2 and no unclean election an offset is never used twice, as [`Log`] demands. README.md has
//! the settings, the table of errors, and what a rebalance, a pause and an outage do.

mod copy;
mod fetch;
mod group;
mod raw;
mod standing;
mod stored;
#[cfg(test)]
mod tests;

pub use fetch::{ClientError, FetchOptions, Fetcher};
pub use group::{Assignment, GroupOptions, Member, Owner};
pub use standing::{GroupsView, Seen};

use self::copy::{Monitor, Unknown};
use self::fetch::io_error;
use self::raw::{Queue, Raw};
use super::{FlushReason, Limits, Log, LogError, LogId, Offset, Position, Records};
use crate::registry::SchemaIds;
use crate::telemetry::kafka_log::OneLog;
use crate::time::Clock;
use rdkafka::error::RDKafkaErrorCode;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longest sleep between two looks at a queue, should its wake-up be lost.
const LOOK: Duration = Duration::from_secs(1);

/// What a [`KafkaLog`] is made of.
pub struct KafkaLogParts<R> {
    /// Topic and partition.
    pub id: LogId,
    /// Fetches it.
    pub fetcher: Fetcher,
    /// Whose position is kept; `None` for a viewer, which begins at the log's start.
    pub owner: Option<Owner>,
    /// Knows the ids of Confluent frames; without one they are poison.
    pub registry: Option<R>,
    /// What it counts into.
    pub metrics: OneLog,
    /// Stamps messages that have no time.
    pub clock: Arc<dyn Clock>,
}

/// One partition of a topic, read by one pipeline.
pub struct KafkaLog<R> {
    /// Messages from `base` on that were fetched and not given out for good. Dropped before the
    /// queue they came from.
    held: VecDeque<Raw>,
    queue: Option<Queue>,
    /// Offset of the first message of `held`.
    base: Offset,
    /// Offset that the queue gives next.
    fetched: Offset,
    /// A jump of offsets here was met once; met again after a new fetch, it is a hole.
    jump: Option<Offset>,
    /// Newest end of the log that was heard of.
    end: Offset,
    monitor: Monitor,
    parts: KafkaLogParts<R>,
}

impl<R: SchemaIds> KafkaLog<R> {
    /// A log that fetches nothing before it is read.
    #[must_use]
    pub fn new(parts: KafkaLogParts<R>) -> Self {
        KafkaLog {
            held: VecDeque::new(),
            queue: None,
            base: 0,
            fetched: 0,
            jump: None,
            end: 0,
            monitor: Monitor::default(),
            parts,
        }
    }

    fn io(&self, what: &str, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LogError {
        io_error(&self.parts.id, what, io::Error::other(why))
    }

    /// Stops fetching.
    fn leave(&mut self) {
        self.held.clear();
        if self.queue.take().is_some() {
            self.parts.fetcher.end(&self.parts.id);
        }
    }

    /// Makes `held` begin at `from`, or fetches from there.
    fn seek(&mut self, from: Offset) -> Result<(), LogError> {
        if self.queue.is_some() && (self.base..=self.fetched).contains(&from) {
            while self.base < from {
                // Holes have no message, so offsets are compared, not counted.
                match self.held.front() {
                    Some(raw) if offset(raw) < from => drop(self.held.pop_front()),
                    _ => break,
                }
            }
            self.base = from;
            return Ok(());
        }
        self.leave();
        self.queue = Some(self.parts.fetcher.begin(&self.parts.id, from)?);
        (self.base, self.fetched) = (from, from);
        Ok(())
    }

    /// Moves what the queue has into `held`; whether anything came.
    async fn take(&mut self) -> Result<bool, LogError> {
        let Some(queue) = &self.queue else { return Ok(false) };
        let before = self.held.len();
        if queue.take(&mut self.held) == 0 {
            return Ok(false);
        }
        let mut at = before;
        while let Some(raw) = self.held.get(at) {
            if let Some(error) = raw.error() {
                self.held.truncate(at); // what came behind it is fetched again
                return Err(self.fetch_failed(error).await);
            }
            let offset = offset(raw);
            if offset < self.fetched {
                self.held.remove(at);
                continue;
            }
            if offset > self.fetched && self.jump != Some(self.fetched) {
                // Never seen but after a record went astray in this process: fetch it once more.
                self.jump = Some(self.fetched);
                self.leave();
                return Err(self.io("read", format!("offset {} did not come, {offset} did", self.fetched)));
            }
            self.monitor.look(raw, offset, &self.parts.metrics);
            self.fetched = offset + 1;
            at += 1;
        }
        self.parts.fetcher.is_up();
        Ok(true)
    }

    /// What an error in a message's place means. The partition is fetched anew afterwards.
    async fn fetch_failed(&mut self, error: RDKafkaErrorCode) -> LogError {
        let (id, wanted) = (self.parts.id.clone(), self.fetched);
        self.leave();
        if !matches!(error, RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) {
            return self.io("read", error.to_string());
        }
        match self.parts.fetcher.watermarks(&id).await {
            Err(error) => error,
            Ok((start, _)) if wanted < start => LogError::Gap { log: id, wanted, start },
            Ok((_, end)) if wanted > end => {
                let why = format!("offset {wanted} lies behind the end of the log, {end}");
                LogError::Position { log: id, why }
            }
            Ok(_) => self.io("read", error.to_string()),
        }
    }

    /// Counts held messages into `fit` until `limits` are met; says which.
    fn fit(&self, fit: &mut Fit, limits: &Limits) -> Option<FlushReason> {
        loop {
            if limits.end.is_some_and(|end| fit.next >= end) {
                return Some(FlushReason::End);
            }
            if fit.n > 0 && fit.bytes >= limits.bytes {
                return Some(FlushReason::Bytes);
            }
            // Holes are rows too.
            let rows = |offset: Offset| usize::try_from(offset - self.base).unwrap_or(usize::MAX);
            if fit.n > 0 && rows(fit.next) >= limits.rows {
                return Some(FlushReason::Rows);
            }
            let raw = self.held.get(fit.n)?;
            let offset = offset(raw);
            if limits.end.is_some_and(|end| offset >= end) {
                return Some(FlushReason::End);
            }
            if fit.n > 0 && rows(offset) >= limits.rows {
                return Some(FlushReason::Rows);
            }
            if fit.n > 0 && fit.bytes + raw.len() > limits.bytes {
                return Some(FlushReason::Bytes);
            }
            *fit = Fit { n: fit.n + 1, bytes: fit.bytes + raw.len(), next: offset + 1 };
        }
    }

    /// Copies the first `n` held messages out; they stay held when `keep`.
    async fn give(&mut self, n: usize, keep: bool, out: &mut Records) -> Result<(), LogError> {
        let mut next = self.base;
        for raw in self.held.iter().take(n) {
            let offset = offset(raw);
            if offset > next {
                self.parts.metrics.hole(next, offset);
                (next..offset).for_each(|hole| out.push_corrupt(hole, self.parts.clock.now()));
            }
            next = offset + 1;
            let (registry, clock) = (self.parts.registry.as_ref(), &*self.parts.clock);
            if let (Err(Unknown(id)), Some(registry)) = (copy::message(raw, offset, registry, clock, out), registry) {
                // What becomes of a record must not depend on the registry's health, so there is no
                // answer but its own.
                let answer =
                    registry.look_up(id).await.map_err(|e| self.io("read a record's schema", e.to_string()))?;
                copy::looked_up(raw, offset, answer, clock, out);
            }
        }
        self.end = self.end.max(next);
        if !keep {
            self.held.drain(..n);
            self.base = next;
        }
        Ok(())
    }

    /// The end that the last answer of the broker told.
    fn hear_end(&mut self) {
        let heard = self.queue.as_ref().and_then(Queue::high_watermark);
        self.end = self.end.max(heard.unwrap_or(0)).max(self.fetched);
    }

    /// Nothing came in time. Whether that means that there is nothing, or that nobody answers.
    async fn nothing(&mut self, limits: &Limits, reason: FlushReason) -> Result<FlushReason, LogError> {
        let wanted = limits.end.filter(|end| self.fetched < *end);
        if wanted.is_none() && !self.parts.fetcher.is_down() {
            self.hear_end();
            return Ok(reason);
        }
        let (_, end) = self.parts.fetcher.watermarks(&self.parts.id).await?;
        self.end = self.end.max(end);
        match wanted {
            // All of it is there, and was only slow to come.
            Some(wanted) if end >= wanted => Err(self.io("read", "the brokers are slow")),
            _ => Ok(reason),
        }
    }
}

/// How far held messages have been counted into a range.
struct Fit {
    n: usize,
    bytes: usize,
    next: Offset,
}

fn offset(raw: &Raw) -> Offset {
    u64::try_from(raw.offset()).unwrap_or(0)
}

impl<R: SchemaIds> Log for KafkaLog<R> {
    fn id(&self) -> &LogId {
        &self.parts.id
    }

    async fn position(&mut self) -> Result<Option<Position>, LogError> {
        match &self.parts.owner {
            Some(owner) => owner.position().await,
            None => Ok(Some(Position::at(self.parts.fetcher.watermarks(&self.parts.id).await?.0))),
        }
    }

    async fn read(&mut self, from: Offset, limits: &Limits, out: &mut Records) -> Result<FlushReason, LogError> {
        out.clear();
        self.seek(from)?;
        // What is held outlives a call that is dropped, and one that may be thrown away: the
        // pipeline looks ahead with no time to wait, and reads the same again if that is not due.
        let keep = limits.age.is_zero();
        let began = Instant::now();
        let mut age_ends: Option<Instant> = None;
        let mut fit = Fit { n: 0, bytes: 0, next: from };
        loop {
            let met = self.fit(&mut fit, limits);
            let n = fit.n;
            if let Some(reason) = met {
                self.give(n, keep, out).await?;
                self.hear_end();
                return Ok(reason);
            }
            if self.take().await? {
                continue;
            }
            let (ends, reason) = if n == 0 {
                (began.checked_add(limits.idle), FlushReason::Idle)
            } else {
                (age_ends.get_or_insert_with(Instant::now).checked_add(limits.age), FlushReason::Age)
            };
            let now = Instant::now();
            if ends.is_some_and(|ends| ends <= now) {
                if n == 0 || limits.end.is_some() {
                    let reason = self.nothing(limits, reason).await?;
                    self.give(n, keep, out).await?;
                    return Ok(reason);
                }
                self.give(n, keep, out).await?;
                self.hear_end();
                return Ok(reason);
            }
            let Some(wake) = self.queue.as_ref().map(Queue::wake) else { continue };
            let until = ends.unwrap_or(now + LOOK).min(now + LOOK);
            let _woken = tokio::time::timeout_at(until, wake.notified()).await;
        }
    }

    async fn store(&mut self, position: Position) -> Result<(), LogError> {
        match &self.parts.owner {
            Some(owner) => owner.store(position).await,
            None => {
                let why = "a viewer keeps no position".to_owned();
                Err(LogError::Position { log: self.parts.id.clone(), why })
            }
        }
    }

    fn end(&self) -> Offset {
        let heard = self.queue.as_ref().and_then(Queue::high_watermark);
        self.end.max(heard.unwrap_or(0))
    }
}

impl<R> Drop for KafkaLog<R> {
    fn drop(&mut self) {
        self.held.clear();
        if self.queue.take().is_some() {
            self.parts.fetcher.end(&self.parts.id);
        }
    }
}
