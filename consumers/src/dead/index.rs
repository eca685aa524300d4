//! Which letters there are, in memory: about 150 bytes each, rebuilt from their log at open.
//!
//! The sidecar admits no bad event, so letters come from damage and from versions that do not
//! know a schema: thousands would be many.

use super::marks::{MARK, Marks, Place};
use super::record::DeadLetter;
use super::replay::Standing;
use penstock::log::{LogId, Offset, Records};
use penstock::pipeline::{GAP, PoisonCode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names one letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The sink that could not take the record.
    pub sink: Arc<str>,
    /// The partition it stands in.
    pub log: LogId,
    /// Its offset there.
    pub offset: Offset,
}

/// A letter as far as counting goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Its key.
    pub key: Key,
    /// Why.
    pub code: Arc<str>,
    /// Type of the event, when its frame says so.
    pub event_type: Option<&'static str>,
}

/// How many letters there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// All that stand for one record; a record that two sinks refuse counts twice.
    pub total: u64,
    /// By reason.
    pub by_code: BTreeMap<String, u64>,
    /// By sink.
    pub by_sink: BTreeMap<String, u64>,
    /// By sink and reason.
    pub by_both: BTreeMap<(String, String), u64>,
    /// Letters that record a gap of a log; not among the others.
    pub gaps: u64,
    /// Records of the dead-letter log that are damaged themselves.
    pub unreadable: u64,
    /// Records that were appended anew; their letters are still among the others.
    pub replayed: u64,
}

pub(super) struct Entry {
    /// Offset in the dead-letter log.
    pub(super) at: Offset,
    pub(super) code: Arc<str>,
    pub(super) event_type: Option<&'static str>,
}

/// Whether a letter only accounts for an offset that a barrier takes, or a record for another sink
/// alone: no event was lost with it.
pub(super) fn is_no_loss(code: &str) -> bool {
    PoisonCode::NO_LOSS.iter().any(|no_loss| no_loss.name() == code)
}

#[derive(Default)]
pub(super) struct Index {
    entries: BTreeMap<Key, Entry>,
    /// One copy of each code's name.
    codes: Vec<Arc<str>>,
    /// Every sink that has a letter.
    sinks: BTreeSet<Arc<str>>,
    /// What people decided.
    pub(super) marks: Marks,
    pub(super) unreadable: u64,
    /// First offset of the dead-letter log that is known to be there.
    start: Offset,
}

impl Index {
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.entries.contains_key(key)
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Adds what was read from the dead-letter log.
    pub(super) fn take(&mut self, records: &Records) {
        for record in records.iter() {
            match record.body.ok().and_then(|body| DeadLetter::decode(body).ok()) {
                Some(letter) if &*letter.key.sink == MARK => {
                    self.unreadable += u64::from(!self.marks.take(&letter, record.offset));
                }
                Some(letter) => {
                    let event_type = letter.event_type();
                    self.add(letter.key, &letter.code, event_type, record.offset);
                }
                None => self.unreadable += 1,
            }
        }
    }

    /// Adds a letter; the first one of a key stays.
    pub(super) fn add(&mut self, key: Key, code: &str, event_type: Option<&'static str>, at: Offset) {
        let code = match self.codes.iter().find(|c| ***c == *code) {
            Some(known) => Arc::clone(known),
            None => {
                let code: Arc<str> = code.into();
                self.codes.push(Arc::clone(&code));
                code
            }
        };
        self.sinks.insert(Arc::clone(&key.sink));
        self.entries.entry(key).or_insert(Entry { at, code, event_type });
    }

    /// Forgets letters that retention has removed.
    pub(super) fn prune(&mut self, start: Offset) {
        if start > self.start {
            self.entries.retain(|_, entry| entry.at >= start);
            let Index { entries, marks, sinks, .. } = self;
            marks.prune(|place| at_place(entries, sinks, place).next().is_some());
            self.start = start;
        }
    }

    /// How a record stands, and where one of its letters lies, which is left out.
    pub(super) fn standing(&self, place: &Place) -> (Standing, Option<Offset>) {
        let letters = || at_place(&self.entries, &self.sinks, place);
        let sinks = letters().map(|(key, _)| Arc::clone(&key.sink)).collect();
        let replays = self.marks.replays(place);
        (Standing { sinks, letter: None, replays }, letters().next().map(|(_, entry)| entry.at))
    }

    /// All letters behind `after`, ordered by key.
    pub(super) fn after<'a>(&'a self, after: Option<&Key>) -> impl Iterator<Item = (&'a Key, &'a Entry)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.entries.range::<Key, _>((from, Unbounded))
    }

    pub(super) fn marks(&self) -> Vec<Marked> {
        let records = self.entries.iter().filter(|(_, entry)| *entry.code != *GAP);
        let mark = |(key, entry): (&Key, &Entry)| Marked {
            key: key.clone(),
            code: Arc::clone(&entry.code),
            event_type: entry.event_type,
        };
        records.map(mark).collect()
    }

    pub(super) fn summary(&self) -> Summary {
        let (unreadable, replayed) = (self.unreadable, self.marks.replayed());
        let mut summary = Summary { unreadable, replayed, ..Summary::default() };
        for (key, entry) in &self.entries {
            if *entry.code == *GAP {
                summary.gaps += 1;
                continue;
            }
            if is_no_loss(&entry.code) {
                continue;
            }
            summary.total += 1;
            *summary.by_code.entry(entry.code.to_string()).or_insert(0) += 1;
            *summary.by_sink.entry(key.sink.to_string()).or_insert(0) += 1;
            *summary.by_both.entry((key.sink.to_string(), entry.code.to_string())).or_insert(0) += 1;
        }
        summary
    }

    /// Records of one sink and partition before `upto`.
    pub(super) fn count(&self, sink: &str, log: &LogId, upto: Offset) -> u64 {
        let key = |offset| Key { sink: sink.into(), log: log.clone(), offset };
        self.entries.range(key(0)..key(upto)).filter(|(_, entry)| *entry.code != *GAP).count() as u64
    }
}

fn at_place<'a>(
    entries: &'a BTreeMap<Key, Entry>,
    sinks: &'a BTreeSet<Arc<str>>,
    place: &'a Place,
) -> impl Iterator<Item = (&'a Key, &'a Entry)> {
    sinks.iter().filter_map(|sink| {
        let key = Key { sink: Arc::clone(sink), log: place.log.clone(), offset: place.offset };
        entries.get_key_value(&key)
    })
}
