//! What the panel sees of archive and dead letters.

use penstock::ledger::Change;
use penstock::log::{LogId, Offset};
use penstock::pipeline::GAP;
use penstock::time::{Clock, Micros};
use penstock_consumers::archive::ArchiveStore;
use penstock_consumers::archive::census::{self, Census};
use penstock_consumers::archive::locate;
use penstock_consumers::dead::marks::{Mark as Decision, Place, Replay, Skip, Skipped};
use penstock_consumers::dead::replay::{Book, Replayer, Report, Target, Wanted};
use penstock_consumers::dead::{self, DeadLetters};
use penstock_panel::api::types::{
    ArchivePlace, DeadLetter, DeadSummary, Gap, GapSkip, RefusedLetter, ReplayReport, ReplayedBy, ReplayedLetter, Time,
};
use penstock_panel::reconcile::{ArchiveCounts, ArchiveSource, Later, Mark, MarkSource, SinkName, SourceError};
use penstock_panel::{DeadFilter, DeadKey, DeadReplay, DeadStore};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The archive's files, wherever they are.
pub struct ArchiveView(pub ArchiveStore);

/// Files that are named one by one in a note.
const NAMED: usize = 3;

impl ArchiveSource for ArchiveView {
    fn counts<'a>(&'a self, below: &'a BTreeMap<LogId, Offset>) -> Later<'a, ArchiveCounts> {
        Box::pin(async move {
            let counted = census::count(&self.0, |log| below.get(log).copied()).await;
            let census = counted.map_err(|e| SourceError::Archive(e.to_string()))?;
            let notes = notes(&census);
            let mut records: BTreeMap<LogId, BTreeMap<String, u64>> = BTreeMap::new();
            for (kind, count) in census.records {
                records.entry(kind.log).or_default().insert(kind.kind, count);
            }
            Ok(ArchiveCounts { records, notes })
        })
    }

    fn locate<'a>(&'a self, kind: &'a str, time: Micros, log: &'a LogId, offset: Offset) -> Later<'a, ArchivePlace> {
        Box::pin(async move {
            let located = locate::locate(&self.0, kind, time, log, offset).await;
            let located = located.map_err(|e| SourceError::Archive(e.to_string()))?;
            Ok(ArchivePlace { path: located.path, found: located.found })
        })
    }
}

/// What was found beside whole files of our own.
fn notes(census: &Census) -> Vec<String> {
    let mut notes = Vec::new();
    if census.damaged_files > 0 {
        let some: Vec<String> = census.damaged.iter().take(NAMED).map(|(path, why)| format!("{path}: {why}")).collect();
        notes.push(format!("{} archive files are damaged: {}", census.damaged_files, some.join("; ")));
    }
    let list = |paths: &[String]| paths.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if !census.straddling.is_empty() {
        let (count, some) = (census.straddling.len(), list(&census.straddling));
        notes.push(format!("{count} archive files do not end where the archive stood: {some}"));
    }
    if !census.foreign.is_empty() {
        let (count, some) = (census.foreign.len(), list(&census.foreign));
        notes.push(format!("{count} or more files in the archive's folder are not its own: {some}"));
    }
    notes
}

/// The dead letters of this process.
pub struct DeadView<T> {
    letters: DeadLetters,
    replayer: Arc<Replayer<DeadLetters, T>>,
}

impl<T: Target> DeadView<T> {
    /// Shows `letters` and replays them into `target`.
    pub fn new(letters: DeadLetters, target: T, clock: Arc<dyn Clock>) -> Self {
        let replayer = Arc::new(Replayer::new(letters.clone(), target, clock));
        DeadView { letters, replayer }
    }
}

impl<T: Target> MarkSource for DeadView<T> {
    fn marks(&self) -> Later<'_, Vec<Mark>> {
        let marks = self.letters.marks().into_iter().filter_map(mark).collect();
        Box::pin(async move { Ok(marks) })
    }
}

impl<T: Target + 'static> DeadStore for DeadView<T> {
    fn summary(&self) -> Later<'_, DeadSummary> {
        let summary = summary(self.letters.summary());
        Box::pin(async move { Ok(summary) })
    }

    fn counts(&self) -> Later<'_, BTreeMap<(String, String), u64>> {
        let counts = self.letters.summary().by_both;
        Box::pin(async move { Ok(counts) })
    }

    fn list<'a>(&'a self, filter: &'a DeadFilter) -> Later<'a, Vec<DeadLetter>> {
        Box::pin(async move {
            let letters = self.letters.list(&filtered(filter)).await.map_err(dead_error)?;
            Ok(letters.iter().map(|letter| shown(letter, self.letters.replay(&letter.key), false)).collect())
        })
    }

    fn show<'a>(&'a self, wanted: &'a DeadKey) -> Later<'a, Option<DeadLetter>> {
        Box::pin(async move {
            let letter = self.letters.show(&key(wanted)).await.map_err(dead_error)?;
            Ok(letter.map(|letter| shown(&letter, self.letters.replay(&letter.key), true)))
        })
    }

    fn replay(&self, asked: DeadReplay) -> Later<'static, ReplayReport> {
        replay(&self.replayer, asked)
    }

    fn gaps(&self) -> Later<'_, Vec<Gap>> {
        Box::pin(async {
            let letters = self.letters.list(&gaps()).await.map_err(dead_error)?;
            Ok(letters.iter().map(|letter| gap(letter, self.letters.skip(&letter.key))).collect())
        })
    }

    fn skip_gap(&self, wanted: &DeadKey, change: &Change) -> Later<'static, ()> {
        let (mark, letters) = (skip_mark(wanted, change), self.letters.clone());
        Box::pin(async move { letters.mark(vec![mark]).await.map_err(dead_error) })
    }
}

/// Most gaps that are listed: one a sink and partition would be many.
const GAPS: usize = 1_000;

/// All letters that record a gap.
pub(crate) fn gaps() -> dead::Filter {
    dead::Filter { code: Some(GAP.to_owned()), limit: GAPS, ..dead::Filter::default() }
}

/// A gap as the panel shows it; whether it was passed is for who knows the positions.
pub(crate) fn gap(letter: &dead::DeadLetter, skip: Option<Skipped>) -> Gap {
    let key = dead_key(&letter.key);
    Gap {
        id: key.id(),
        sink: key.sink,
        log: key.log.name.to_string(),
        partition: key.log.partition,
        offset: key.offset,
        message: letter.message.clone(),
        time: Time(letter.at),
        skip: skip.map(|s| GapSkip { who: s.skip.who, time: Time(s.at), why: s.skip.why }),
        passed: None,
    }
}

/// The mark by which a person lets a sink pass a gap.
pub(crate) fn skip_mark(wanted: &DeadKey, change: &Change) -> (Place, Decision) {
    let skip = Skip { sink: wanted.sink.clone(), who: change.who.clone(), why: change.why.clone() };
    (key(wanted).place(), Decision::Skip(skip))
}

/// What went wrong with the letters, as the panel's sources say it.
pub(crate) fn dead_error(error: impl std::fmt::Display) -> SourceError {
    SourceError::Dead(error.to_string())
}

/// A filter as the letters' own log has it.
pub(crate) fn filtered(filter: &DeadFilter) -> dead::Filter {
    dead::Filter {
        sink: filter.sink.clone(),
        code: filter.code.clone(),
        replayable: filter.replayable,
        after: filter.after.as_ref().map(key),
        limit: filter.limit,
    }
}

/// How many letters there are, as the panel shows it.
pub(crate) fn summary(of: dead::Summary) -> DeadSummary {
    let dead::Summary { total, by_code, by_sink, replayed, .. } = of;
    DeadSummary { total, by_code, by_sink, replayed }
}

/// Begins a replay in a task of its own, so that a client who goes away does not cut it.
pub(crate) fn replay<B: Book + 'static, T: Target + 'static>(
    replayer: &Arc<Replayer<B, T>>,
    asked: DeadReplay,
) -> Later<'static, ReplayReport> {
    let DeadReplay { letters, who, to, dry_run } = asked;
    let wanted = Wanted { letters: letters.iter().map(key).collect(), who, to, dry_run };
    let replayer = Arc::clone(replayer);
    let task = tokio::spawn(async move { replayer.replay(&wanted).await });
    Box::pin(async move { task.await.map_err(dead_error)?.map(reported).map_err(dead_error) })
}

fn reported(report: Report) -> ReplayReport {
    let id = |key: &dead::Key| dead_key(key).id();
    let replayed = report.replayed.iter().map(|r| ReplayedLetter {
        id: id(&r.key),
        log: r.landed.as_ref().map(|l| l.log.clone()),
        partition: r.landed.as_ref().map(|l| l.partition),
        offset: r.landed.as_ref().and_then(|l| l.offset),
    });
    let refused = report.refused.into_iter();
    ReplayReport {
        replayed: replayed.collect(),
        refused: refused.map(|r| RefusedLetter { id: id(&r.key), code: r.code.to_owned(), why: r.why }).collect(),
    }
}

/// A letter of one of the sinks that are compared.
pub(crate) fn mark(m: dead::Marked) -> Option<Mark> {
    let sink = SinkName::from_name(&m.key.sink)?;
    let event_type = m.event_type.map(str::to_owned);
    Some(Mark { sink, log: m.key.log, offset: m.key.offset, event_type })
}

/// A letter's key as the letters' own log has it.
pub(crate) fn key(key: &DeadKey) -> dead::Key {
    dead::Key { sink: key.sink.as_str().into(), log: key.log.clone(), offset: key.offset }
}

fn dead_key(key: &dead::Key) -> DeadKey {
    DeadKey { sink: key.sink.to_string(), log: key.log.clone(), offset: key.offset }
}

/// Most bytes of a record that are shown in hexadecimal.
const SHOWN_BYTES: usize = 64 << 10;

/// A letter as the panel shows it.
pub(crate) fn shown(letter: &dead::DeadLetter, replay: Option<Replay>, with_body: bool) -> DeadLetter {
    let key = dead_key(&letter.key);
    let replayed = match replay {
        Some(Replay::Done { at, done }) => Some(ReplayedBy {
            who: done.who,
            time: Time(at),
            log: done.log,
            partition: done.partition,
            offset: done.offset,
        }),
        _ => None,
    };
    DeadLetter {
        id: key.id(),
        sink: key.sink,
        log: key.log.name.to_string(),
        partition: key.log.partition,
        offset: key.offset,
        code: letter.code.clone(),
        field: letter.field.clone(),
        message: letter.message.clone(),
        event_type: letter.event_type().map(str::to_owned),
        time: Some(Time(letter.at)),
        bytes: letter.body_bytes,
        replayed,
        event: if with_body { letter.json() } else { None },
        body_hex: with_body.then(|| letter.hex(SHOWN_BYTES)),
    }
}
