//! The writing half of the pull loop: prepare, pin, bury, write, commit.

use super::run::{End, InHand, Pipeline};
use super::{DeadTarget, Held, Letter, PipelineError, Poison, PoisonCode, Sink, SinkError, Step, Steps};
use crate::codec::frame;
use crate::log::{FlushReason, Log, Position, Range, Records};
use crate::pricing::Snapshot;
use crate::time::Micros;
use std::collections::BTreeMap;

/// What a range comes to, kept until its commit is stored.
pub(super) struct Done {
    range: Range,
    reason: FlushReason,
    written: u64,
    dead: BTreeMap<&'static str, u64>,
    newest: Option<Micros>,
}

impl<L: Log, S: Sink, D: DeadTarget, O: Steps> Pipeline<L, S, D, O> {
    /// Makes the batch of the range in hand and lists its poison in `self.bad`.
    pub(super) fn prepare(&mut self, range: Range, snapshot: &Snapshot) -> S::Batch {
        self.bad.clear();
        let mut batch = self.sink.prepare(&self.id, range, &self.records, snapshot, &mut self.bad);
        // Rare, so that no range pays for it but one with a record that is for one sink alone.
        // Letters keep the record as it stands in the log.
        if let Some(unwrapped) = for_sink(&self.records, &self.bad, self.sink.name()) {
            self.bad.clear();
            batch = self.sink.prepare(&self.id, range, &unwrapped, snapshot, &mut self.bad);
        }
        complete(&self.records, &mut self.bad);
        batch
    }

    /// Stores a position; the pin of a range before its write, or its commit. After an error the
    /// old or the new one may be on disk, so the very same one is stored again until it succeeds.
    pub(super) async fn store(&mut self, position: Position) -> Result<(), End> {
        loop {
            match self.log.store(position).await {
                Ok(()) => {
                    self.succeeded();
                    self.stands(position);
                    return Ok(());
                }
                Err(error) => {
                    let range = Range { from: position.next, to: position.pinned.unwrap_or(position.next) };
                    self.log_failed("store", range, error).await?;
                }
            }
        }
    }

    /// Makes the poison of the range durable, before its commit could pass it.
    pub(super) async fn bury(&mut self) -> Result<(), End> {
        if self.bad.is_empty() {
            return Ok(());
        }
        loop {
            let letters: Vec<Letter<'_>> = self
                .bad
                .iter()
                .map(|poison| Letter {
                    sink: self.sink.name(),
                    log: &self.id,
                    offset: poison.offset,
                    code: poison.code.name(),
                    field: poison.field.as_deref(),
                    message: &poison.message,
                    body: self.records.get(poison.index).and_then(|r| r.body.ok()).unwrap_or_default(),
                })
                .collect();
            let Err(error) = self.dead.bury(&letters).await else {
                self.succeeded();
                return Ok(());
            };
            let range = self.records.range().unwrap_or(Range { from: 0, to: 0 });
            self.wait_to_retry("dead", range, error.to_string()).await?;
        }
    }

    /// Writes the range until the sink holds all of it. `ask` first when it may hold some.
    ///
    /// A batch without records is written too: the sink may keep a position of its own.
    pub(super) async fn write(&mut self, range: Range, batch: &S::Batch, ask: bool) -> Result<(), End> {
        let began = tokio::time::Instant::now();
        let mut held = if ask { self.ask(range, batch).await? } else { Held::Nothing };
        while held != Held::All {
            match self.sink.write(&self.id, range, batch, &held).await {
                Ok(()) => break,
                // Nothing was written, so what was held is what is held.
                Err(SinkError::Retry(why)) => self.wait_to_retry("write", range, why).await?,
                // Some of it may have been: only the sink knows, and only asking tells.
                Err(SinkError::Unknown(why)) => {
                    self.wait_to_retry("write_unknown", range, why).await?;
                    held = self.ask(range, batch).await?;
                }
                Err(error) => return Err(self.sink_ended(error)),
            }
        }
        self.succeeded();
        self.metrics.wrote(began.elapsed());
        Ok(())
    }

    async fn ask(&mut self, range: Range, batch: &S::Batch) -> Result<Held, End> {
        loop {
            match self.sink.held(&self.id, range, batch).await {
                Ok(held) => {
                    self.step(Step::Asked, range)?;
                    return Ok(held);
                }
                Err(SinkError::Retry(why) | SinkError::Unknown(why)) => self.wait_to_retry("held", range, why).await?,
                Err(error) => return Err(self.sink_ended(error)),
            }
        }
    }

    /// What the range in hand comes to, taken while its records are still in memory.
    pub(super) fn done(&self, hand: &InHand) -> Done {
        let mut dead = BTreeMap::new();
        // A barrier is no dead record; counting it would raise alerts.
        for poison in self.bad.iter().filter(|p| !PoisonCode::NO_LOSS.contains(&p.code)) {
            *dead.entry(poison.code.name()).or_insert(0) += 1;
        }
        Done {
            range: hand.range,
            reason: hand.reason,
            written: (self.records.len() - self.bad.len()) as u64,
            dead,
            newest: self.records.iter().filter(|r| r.body.is_ok()).map(|r| r.appended).max(),
        }
    }

    /// Counts a range, now that its position is stored.
    pub(super) fn committed(&mut self, done: &Done) {
        self.metrics.written.inc_by(done.written);
        self.metrics.range(done.reason);
        for (code, n) in &done.dead {
            self.metrics.dead(code, *n);
        }
        let now = self.clock.now();
        self.handle.report(|s| {
            s.last_commit = Some(now);
            s.newest_committed = s.newest_committed.max(done.newest);
            s.written += done.written;
            for (code, n) in &done.dead {
                *s.dead.entry(code).or_insert(0) += n;
            }
        });
        if self.flush_to.is_some_and(|to| to <= done.range.to) {
            self.flush_to = None;
        }
    }

    /// Shows a stored position and the end of the log.
    pub(super) fn stands(&self, position: Position) {
        let (end, now) = (self.log.end(), self.clock.now());
        let (mut generation, mut fresh) = (0, None);
        self.handle.report(|s| {
            s.next = Some(position.next);
            s.pinned = position.pinned;
            s.end = Some(end);
            if end <= position.next {
                s.caught_up = Some(now);
            }
            generation = s.generation;
            fresh = s.fresh();
        });
        self.metrics.stands(position.next, end, generation, fresh);
    }

    pub(super) fn sink_ended(&self, error: SinkError) -> End {
        let log = self.id.clone();
        let why = error.to_string();
        End::Error(match error {
            SinkError::Fenced(_) => PipelineError::Fenced { log, why },
            SinkError::Fatal(_) | SinkError::Retry(_) | SinkError::Unknown(_) => PipelineError::Fatal { log, why },
        })
    }
}

/// The records with those that are for this sink alone as what they hold; `None` when there is none
/// among the `bad`.
fn for_sink(records: &Records, bad: &[Poison], sink: &str) -> Option<Records> {
    let inside = |body| frame::addressed(body).filter(|(to, _)| *to == sink).map(|(_, inside)| inside);
    let mut elsewhere = bad.iter().filter(|p| p.code == PoisonCode::Elsewhere);
    elsewhere.find(|p| records.get(p.index).and_then(|r| r.body.ok()).is_some_and(|body| inside(body).is_some()))?;
    let mut unwrapped = Records::new();
    for record in records.iter() {
        match record.body {
            Ok(body) => unwrapped.push(record.offset, record.appended, inside(body).unwrap_or(body)),
            Err(_) => unwrapped.push_corrupt(record.offset, record.appended),
        }
    }
    Some(unwrapped)
}

/// Orders the poison by record, drops what was named twice, and adds the holes of the log that a
/// sink did not name: no record may end neither written nor dead.
fn complete(records: &Records, bad: &mut Vec<Poison>) {
    for (index, record) in records.iter().enumerate() {
        if let Err(corrupt) = record.body {
            let (offset, message) = (record.offset, corrupt.to_string());
            bad.push(Poison { index, offset, code: PoisonCode::Corrupt, field: None, message });
        }
    }
    bad.sort_by_key(|p| p.index);
    bad.dedup_by_key(|p| p.index);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_for_one_sink_alone_is_what_it_holds_there_and_nothing_elsewhere() {
        let mut records = Records::new();
        let address = |sink, body: &[u8]| {
            let mut out = Vec::new();
            frame::address(sink, body, &mut out);
            out
        };
        records.push(10, Micros(1), b"an event");
        records.push(11, Micros(2), &address("balances", b"one more"));
        records.push_corrupt(12, Micros(3));
        records.push(13, Micros(4), &address("archive", b"another"));
        let mut bad = Vec::new();
        for (index, record) in records.iter().enumerate() {
            match record.body.map(frame::check) {
                Ok(Err(error)) => bad.push(error.poison(index, &record)),
                Ok(Ok(_)) => panic!("text is no event"),
                Err(_) => bad.push(frame::hole(index, &record)),
            }
        }
        let unwrapped = for_sink(&records, &bad, "balances").unwrap();
        let seen: Vec<_> = unwrapped.iter().map(|r| (r.offset, r.appended, r.body.map(<[u8]>::to_vec))).collect();
        assert_eq!(seen[1], (11, Micros(2), Ok(b"one more".to_vec())));
        for (index, record) in records.iter().enumerate().filter(|(index, _)| *index != 1) {
            assert_eq!(seen[index], (record.offset, record.appended, record.body.map(<[u8]>::to_vec)));
        }
        assert!(for_sink(&records, &bad, "statistics").is_none(), "nothing is copied for a sink that gets none");
        assert!(for_sink(&records, &bad[..1], "balances").is_none());
    }

    #[test]
    fn a_hole_becomes_a_letter_once_whether_the_sink_named_it_or_not() {
        let mut records = Records::new();
        records.push(10, Micros(1), b"a");
        records.push_corrupt(11, Micros(1));
        records.push_corrupt(12, Micros(1));
        let named =
            Poison { index: 2, offset: 12, code: PoisonCode::BadFrame, field: None, message: "named".to_owned() };
        let mut bad = vec![named];
        complete(&records, &mut bad);
        let seen: Vec<_> = bad.iter().map(|p| (p.offset, p.code.name())).collect();
        assert_eq!(seen, [(11, "corrupt"), (12, "bad_frame")]);
    }
}
