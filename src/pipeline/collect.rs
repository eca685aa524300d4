//! The reading half of the pull loop: the position, a pinned range, a new range, the catalogue.

use super::run::{End, InHand, Pipeline};
use super::status::State;
use super::{DeadTarget, PipelineError, Sink, SinkError, Step, Steps};
use crate::log::{FlushReason, Limits, Log, LogError, Offset, Position, Range};
use crate::pricing::Snapshot;
use crate::time::Micros;
use std::sync::Arc;
use std::time::Duration;

/// No range is in hand yet.
const NOWHERE: Range = Range { from: 0, to: 0 };

impl<L: Log, S: Sink, D: DeadTarget, O: Steps> Pipeline<L, S, D, O> {
    /// Reads the stored position and lets the sink correct it.
    pub(super) async fn start(&mut self) -> Result<Position, End> {
        self.hold_while_paused().await?;
        let stored = loop {
            match self.log.position().await {
                Ok(Some(position)) => break position,
                Ok(None) => break self.begin().await?,
                Err(error) => self.log_failed("start", NOWHERE, error).await?,
            }
        };
        let at = Range { from: stored.next, to: stored.next };
        let position = loop {
            match self.sink.start(&self.id, stored).await {
                Ok(position) => break position,
                Err(SinkError::Retry(why) | SinkError::Unknown(why)) => self.wait_to_retry("start", at, why).await?,
                Err(error) => return Err(self.sink_ended(error)),
            }
        };
        if position != stored {
            // The sink's own position is the truth (the ledger commits it with the rows).
            tracing::warn!(sink = self.sink.name(), log = %self.id, ?stored, ?position, "the sink moved the position");
        }
        let pinned = position.pinned.filter(|to| *to > position.next);
        let position = Position { pinned, ..position };
        self.stands(position);
        self.step(Step::Started, Range { from: position.next, to: position.next })?;
        Ok(position)
    }

    /// Where a log without a stored position begins: at its first offset, if the sink has nothing
    /// of it. When retention has passed that one, the first read says so ([`LogError::Gap`]).
    async fn begin(&mut self) -> Result<Position, End> {
        loop {
            match self.sink.untouched(&self.id).await {
                Ok(true) => return Ok(Position::at(0)),
                Ok(false) => {
                    let (log, sink) = (self.id.clone(), self.sink.name());
                    return Err(PipelineError::PositionLost { log, sink }.into());
                }
                Err(SinkError::Retry(why) | SinkError::Unknown(why)) => {
                    self.wait_to_retry("start", NOWHERE, why).await?;
                }
                Err(error) => return Err(self.sink_ended(error)),
            }
        }
    }

    /// Reads exactly the range that an earlier life had pinned.
    pub(super) async fn read_pinned(&mut self, range: Range) -> Result<InHand, End> {
        // No limit but the pin: other limits may have been configured when it was made. All of it
        // is durable, since readers see nothing else, so `idle` and `age` are only met by a log
        // that has lost it.
        let limits = Limits {
            rows: usize::MAX,
            bytes: usize::MAX,
            age: Duration::from_secs(60),
            idle: Duration::from_secs(5),
            end: Some(range.to),
        };
        loop {
            match self.log.read(range.from, &limits, &mut self.records).await {
                Ok(_) if self.records.range() == Some(range) => {
                    return Ok(InHand { range, reason: FlushReason::End, pinned: true, ask: true });
                }
                Ok(_) => {
                    let found = self.records.len();
                    return Err(PipelineError::PinLost { log: self.id.clone(), range, found }.into());
                }
                Err(error) => self.log_failed("read", range, error).await?,
            }
        }
    }

    /// Waits for records from `next` on and closes a range of them.
    pub(super) async fn collect(&mut self, next: Offset) -> Result<InHand, End> {
        loop {
            if self.last_range {
                return Err(End::Stopped);
            }
            self.hold_while_paused().await?;
            self.hear_flush();
            // A stop closes one more range with what is there, so that a drained system has
            // nothing left to do in the common case; its size is bounded like any other's.
            self.last_range = self.stop.is_cancelled();
            let asked = self.flush_to.is_some_and(|to| next < to);
            let read = if asked || self.last_range {
                let now = Limits { age: Duration::ZERO, idle: Duration::ZERO, ..self.limits.clone() };
                self.log.read(next, &now, &mut self.records).await
            } else {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => continue,
                    _ = self.control.changed() => continue,
                    read = self.log.read(next, &self.limits, &mut self.records) => read,
                }
            };
            match read {
                Ok(reason) => {
                    self.succeeded();
                    self.stands(Position::at(next));
                    let Some(range) = self.records.range() else {
                        self.flush_to = None; // nothing was there, whatever the end had said
                        continue;
                    };
                    let early = matches!(reason, FlushReason::Age | FlushReason::Idle);
                    let reason = if early && (asked || self.last_range) { FlushReason::Asked } else { reason };
                    return Ok(InHand { range, reason, pinned: false, ask: false });
                }
                Err(error) => self.log_failed("read", Range { from: next, to: next }, error).await?,
            }
        }
    }

    /// Reads what is there behind a range that is written, if that is due now: full, or old
    /// enough. Then the commit of the one range pins the next, which saves a store; otherwise the
    /// next range is collected with time to fill. Never waits and never fails: what cannot be
    /// read now is met again by [`collect`](Self::collect).
    pub(super) async fn look_ahead(&mut self, next: Offset) -> Option<InHand> {
        if self.stop.is_cancelled()
            || *self.control.borrow() != (super::handle::Control { paused: false, flush: self.flush_seen })
        {
            return None;
        }
        let now = Limits { age: Duration::ZERO, idle: Duration::ZERO, ..self.limits.clone() };
        let reason = self.log.read(next, &now, &mut self.records).await.ok()?;
        let range = self.records.range()?;
        let full = matches!(reason, FlushReason::Rows | FlushReason::Bytes);
        let first = self.records.iter().find(|r| r.body.is_ok()).map_or(Micros::MAX, |r| r.appended);
        let due = self.clock.now().since(first) >= self.limits.age;
        (full || due).then_some(InHand { range, reason, pinned: true, ask: false })
    }

    /// The catalogue that is complete through the newest record in hand.
    pub(super) async fn snapshot(&mut self) -> Result<Arc<Snapshot>, End> {
        let Some(catalogue) = &mut self.catalogue else { return Ok(Arc::new(Snapshot::default())) };
        // A corrupt record's time cannot be trusted, and nothing of it is priced.
        let newest = self.records.iter().filter(|r| r.body.is_ok()).map(|r| r.appended).max();
        let mut alert = std::pin::pin!(tokio::time::sleep(self.settings.snapshot_wait_alert));
        let mut alerted = false;
        loop {
            let snapshot = Arc::clone(&catalogue.borrow_and_update());
            if newest.is_none_or(|newest| newest <= snapshot.complete_through) {
                if alerted {
                    self.handle.state(State::Running);
                }
                return Ok(snapshot);
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(End::Stopped),
                changed = catalogue.changed() => if changed.is_err() {
                    return Err(PipelineError::Catalogue(self.id.clone()).into());
                },
                () = &mut alert, if !alerted => {
                    alerted = true;
                    self.metrics.snapshot_alerts.inc();
                    let reason = format!("waiting for a catalogue newer than {}", snapshot.complete_through);
                    tracing::error!(sink = self.sink.name(), log = %self.id, reason, "the catalogue is late");
                    self.handle.state(State::Retrying { reason });
                }
            }
        }
    }

    /// A flush that was asked for reaches to the end that the log has now.
    fn hear_flush(&mut self) {
        let asked = self.control.borrow_and_update().flush;
        if asked != self.flush_seen {
            self.flush_seen = asked;
            self.flush_to = Some(self.log.end());
        }
    }

    /// Ends the pipeline, or waits until the same call may be made again.
    pub(super) async fn log_failed(&mut self, kind: &'static str, range: Range, error: LogError) -> Result<(), End> {
        match PipelineError::from_log(&self.id, error) {
            Err(may_pass) => self.wait_to_retry(kind, range, may_pass.to_string()).await,
            Ok(PipelineError::Gap { log, wanted, start }) => {
                self.metrics.gaps.inc();
                self.record_gap(wanted, start).await?;
                // Boxed: it stores a position, and what fails there comes here again.
                Box::pin(self.stand_before(PipelineError::Gap { log, wanted, start }, wanted, start)).await
            }
            Ok(error) => Err(error.into()),
        }
    }
}
