//! A gap: retention has passed records that the sink never took.
//!
//! Going on silently would hide a loss, so the gap is written down and the pipeline stands before it
//! until a person says that the sink may pass (`penstock gap skip`). Then the sink's own books and
//! the log's position pass it, in this order: a crash in between leaves books that are ahead of the
//! position, and those are the truth at the next start; sinks without books of their own pass again.

use super::run::{End, Pipeline};
use super::{DeadTarget, GAP, GapAnswer, Letter, PipelineError, Sink, SinkError, State, Steps};
use crate::log::{Limits, Log, LogError, Offset, Position, Range};
use std::time::Duration;

/// How often it is asked whether a person has answered.
const ASK: Duration = Duration::from_secs(2);

impl<L: Log, S: Sink, D: DeadTarget, O: Steps> Pipeline<L, S, D, O> {
    /// Waits before a gap that is written down.
    ///
    /// Errors: always; [`PipelineError::Passed`] when it was passed, so that all of the pipeline
    /// begins anew behind it.
    pub(super) async fn stand_before(&mut self, gap: PipelineError, wanted: Offset, start: Offset) -> Result<(), End> {
        let mut said = false;
        loop {
            match self.dead.answer(self.sink.name(), &self.id, wanted).await {
                Ok(GapAnswer::Never) => return Err(gap.into()),
                Ok(GapAnswer::NotYet) => {}
                Ok(GapAnswer::Skip { who, why }) => return Err(self.pass(wanted, start, who, &why).await?.into()),
                Err(error) => tracing::warn!(sink = self.sink.name(), log = %self.id, %error, "asking about a gap"),
            }
            if !said {
                said = true;
                self.metrics.failures.inc();
                tracing::error!(sink = self.sink.name(), log = %self.id, error = %gap, "the pipeline stands before a gap");
            }
            let reason = format!("{gap}; see `penstock gap list`");
            self.handle.state(State::Failed { reason });
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(End::Stopped),
                () = tokio::time::sleep(ASK) => {}
            }
        }
    }

    /// Passes the gap, in the sink's books and then in the log's position.
    async fn pass(&mut self, wanted: Offset, start: Offset, who: String, why: &str) -> Result<PipelineError, End> {
        // Retention has gone on meanwhile.
        let one = Limits { rows: 1, bytes: usize::MAX, age: Duration::ZERO, idle: Duration::ZERO, end: None };
        let to = match self.log.read(wanted, &one, &mut self.records).await {
            Err(LogError::Gap { start: now, .. }) => now.max(start),
            _ => start,
        };
        let gap = Range { from: wanted, to };
        let stored = loop {
            match self.log.position().await {
                Ok(stored) => break stored.unwrap_or(Position::at(wanted)),
                Err(error) => self.log_may_pass("gap", gap, error).await?,
            }
        };
        let position = loop {
            match self.sink.skip(&self.id, gap, stored, &who, why).await {
                Ok(position) => break position,
                Err(SinkError::Retry(why) | SinkError::Unknown(why)) => self.wait_to_retry("gap", gap, why).await?,
                Err(error) => return Err(self.sink_ended(error)),
            }
        };
        self.store(position).await?;
        tracing::warn!(sink = self.sink.name(), log = %self.id, %gap, who, why, "passed a gap");
        Ok(PipelineError::Passed { log: self.id.clone(), gap, who })
    }

    /// Ends the pipeline, or waits until the same call may be made again; no gap can be met here.
    async fn log_may_pass(&mut self, kind: &'static str, range: Range, error: LogError) -> Result<(), End> {
        match PipelineError::from_log(&self.id, error) {
            Err(may_pass) => self.wait_to_retry(kind, range, may_pass.to_string()).await,
            Ok(error) => Err(error.into()),
        }
    }

    /// A loss is written down where the other losses are.
    pub(super) async fn record_gap(&mut self, wanted: Offset, start: Offset) -> Result<(), End> {
        let message = format!("retention passed offsets [{wanted}, {start}) before this sink had taken them");
        loop {
            let letter = Letter {
                sink: self.sink.name(),
                log: &self.id,
                offset: wanted,
                code: GAP,
                field: None,
                message: &message,
                body: &[],
            };
            let Err(error) = self.dead.bury(&[letter]).await else { return Ok(()) };
            self.wait_to_retry("dead", Range { from: wanted, to: start }, error.to_string()).await?;
        }
    }
}
