//! What the panel sees of archive and dead letters.

use penstock::log::{LogId, Offset};
use penstock::time::Micros;
use penstock_consumers::archive::ArchiveStore;
use penstock_consumers::archive::census::{self, Census};
use penstock_consumers::archive::locate;
use penstock_consumers::dead::{self, DeadLetters};
use penstock_panel::api::types::{ArchivePlace, DeadLetter, DeadSummary, Time};
use penstock_panel::reconcile::{ArchiveCounts, ArchiveSource, Later, Mark, MarkSource, SinkName, SourceError};
use penstock_panel::{DeadFilter, DeadKey, DeadStore};
use std::collections::BTreeMap;

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
pub struct DeadView(pub DeadLetters);

impl MarkSource for DeadView {
    fn marks(&self) -> Later<'_, Vec<Mark>> {
        let marks = self.0.marks().into_iter().filter_map(mark).collect();
        Box::pin(async move { Ok(marks) })
    }
}

impl DeadStore for DeadView {
    fn summary(&self) -> Later<'_, DeadSummary> {
        let dead::Summary { total, by_code, by_sink, .. } = self.0.summary();
        Box::pin(async move { Ok(DeadSummary { total, by_code, by_sink }) })
    }

    fn counts(&self) -> Later<'_, BTreeMap<(String, String), u64>> {
        let counts = self.0.summary().by_both;
        Box::pin(async move { Ok(counts) })
    }

    fn list<'a>(&'a self, filter: &'a DeadFilter) -> Later<'a, Vec<DeadLetter>> {
        Box::pin(async move {
            let filter = dead::Filter {
                sink: filter.sink.clone(),
                code: filter.code.clone(),
                after: filter.after.as_ref().map(key),
                limit: filter.limit,
            };
            let letters = self.0.list(&filter).await.map_err(|e| SourceError::Dead(e.to_string()))?;
            Ok(letters.iter().map(|letter| shown(letter, false)).collect())
        })
    }

    fn show<'a>(&'a self, wanted: &'a DeadKey) -> Later<'a, Option<DeadLetter>> {
        Box::pin(async move {
            let letter = self.0.show(&key(wanted)).await.map_err(|e| SourceError::Dead(e.to_string()))?;
            Ok(letter.map(|letter| shown(&letter, true)))
        })
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

/// Most bytes of a record that are shown in hexadecimal.
const SHOWN_BYTES: usize = 64 << 10;

/// A letter as the panel shows it.
pub(crate) fn shown(letter: &dead::DeadLetter, with_body: bool) -> DeadLetter {
    let key = DeadKey { sink: letter.key.sink.to_string(), log: letter.key.log.clone(), offset: letter.key.offset };
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
        event: if with_body { letter.json() } else { None },
        body_hex: with_body.then(|| letter.hex(SHOWN_BYTES)),
    }
}
