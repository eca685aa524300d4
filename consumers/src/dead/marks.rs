//! Marks: what people decided about letters, kept among the letters themselves.
//!
//! A mark is a record of the dead-letter log whose sink is [`MARK`] and whose body is JSON; it
//! stands behind the letters it is about, so it is never gone before them. **Marks are taken in
//! the order of the log, and that order decides**: a replay that names the one it follows takes
//! hold only when nobody else's came in between. So two panels that begin the same replay agree
//! on whose it is without asking each other. A replay is to all sinks of the record's log or to one
//! alone; a record that went to all goes to none alone any more, and the other way round, since a
//! sink that had it alone would take it twice.

use super::index::Key;
use super::record::DeadLetter;
use penstock::log::{LogId, Offset};
use penstock::pipeline::{GapAnswer, Letter};
use penstock::time::Micros;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The sink of a record that is a mark. No sink is called so.
pub const MARK: &str = "mark";

/// A record of a log, whichever sinks put it aside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The partition.
    pub log: LogId,
    /// Its offset there.
    pub offset: Offset,
}

impl Key {
    /// The record that the letter is about.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { log: self.log.clone(), offset: self.offset }
    }
}

/// A replay that was begun: its record is, or will be, appended once at or behind the floors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Who asked for it.
    pub who: String,
    /// Tells the replays of one call from all others.
    pub batch: u64,
    /// Its number within the call.
    pub number: u64,
    /// Where the mark lies that this one follows; `None` for the first.
    pub after: Option<Offset>,
    /// The one sink it is for; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// The log it goes to.
    pub log: String,
    /// Partitions of that log that it may go to, each with its end when the replay was begun.
    pub floors: Vec<(u32, Offset)>,
}

/// A replay that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Who asked for it.
    pub who: String,
    /// The one sink it is for; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// The log it was appended to.
    pub log: String,
    /// The partition.
    pub partition: u32,
    /// Its offset there; `None` when the broker did not say.
    pub offset: Option<Offset>,
}

/// A gap that the sink may pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// The sink that stands before the gap.
    pub sink: String,
    /// Who said so.
    pub who: String,
    /// And why.
    pub why: String,
}

/// A gap that the sink may pass, and when that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// When.
    pub at: Micros,
    /// What was said.
    pub skip: Skip,
}

impl Skipped {
    pub(super) fn answer(self) -> GapAnswer {
        GapAnswer::Skip { who: self.skip.who, why: self.skip.why }
    }
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mark", rename_all = "snake_case")]
pub enum Mark {
    /// A replay begins.
    ReplayBegun(Begun),
    /// It is done.
    Replayed(Done),
    /// A gap may be passed.
    Skip(Skip),
}

impl Mark {
    const fn code(&self) -> &'static str {
        match self {
            Mark::ReplayBegun(_) => "replay_begun",
            Mark::Replayed(_) => "replayed",
            Mark::Skip(_) => "skip",
        }
    }
}

/// A mark on its way into the dead-letter log.
pub(super) struct Written {
    place: Place,
    code: &'static str,
    body: Vec<u8>,
}

impl Written {
    pub fn new(place: Place, mark: &Mark) -> Written {
        // Strings, numbers and lists always have a JSON form.
        Written { place, code: mark.code(), body: serde_json::to_vec(mark).unwrap_or_default() }
    }

    pub fn letter(&self) -> Letter<'_> {
        Letter {
            sink: MARK,
            log: &self.place.log,
            offset: self.place.offset,
            code: self.code,
            field: None,
            message: "a decision of a person about this record",
            body: &self.body,
        }
    }
}

/// How a record's replay stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It was begun; whether the record was appended has to be looked up.
    Begun {
        /// Where its mark lies in the dead-letter log.
        mark: Offset,
        /// When.
        at: Micros,
        /// What.
        begun: Begun,
    },
    /// It was appended.
    Done {
        /// When.
        at: Micros,
        /// Where.
        done: Done,
    },
}

impl Replay {
    /// The one sink that it is for; `None` for all.
    #[must_use]
    pub fn sink(&self) -> Option<&str> {
        match self {
            Replay::Begun { begun, .. } => begun.sink.as_deref(),
            Replay::Done { done, .. } => done.sink.as_deref(),
        }
    }
}

/// The one sink that a replay is for; `None` for all.
type Aim = Option<String>;

/// All marks, as the log's order makes them.
#[derive(Default)]
pub(super) struct Marks {
    replays: BTreeMap<(Place, Aim), Replay>,
    skips: BTreeMap<Key, Skipped>,
}

impl Marks {
    /// Takes a record that says it is a mark, from `at_offset` of the dead-letter log; false when
    /// it is none that this version knows.
    pub fn take(&mut self, letter: &DeadLetter, at_offset: Offset) -> bool {
        let Ok(mark) = serde_json::from_slice::<Mark>(&letter.body) else { return false };
        self.add(letter.key.place(), mark, letter.at, at_offset);
        true
    }

    /// Takes a mark that was written at `at` and lies at `at_offset`.
    pub fn add(&mut self, place: Place, mark: Mark, at: Micros, at_offset: Offset) {
        match mark {
            Mark::ReplayBegun(begun) => {
                let crossed = self.at(&place).any(|(aim, _)| aim.is_some() != begun.sink.is_some());
                let aim = (place, begun.sink.clone());
                let follows = match self.replays.get(&aim) {
                    None => begun.after.is_none(),
                    Some(Replay::Begun { mark, .. }) => begun.after == Some(*mark),
                    Some(Replay::Done { .. }) => false,
                };
                if follows && !crossed {
                    self.replays.insert(aim, Replay::Begun { mark: at_offset, at, begun });
                }
            }
            Mark::Replayed(done) => {
                let aim = (place, done.sink.clone());
                if !matches!(self.replays.get(&aim), Some(Replay::Done { .. })) {
                    self.replays.insert(aim, Replay::Done { at, done });
                }
            }
            Mark::Skip(skip) => {
                let key = Key { sink: skip.sink.as_str().into(), log: place.log, offset: place.offset };
                self.skips.entry(key).or_insert(Skipped { at, skip });
            }
        }
    }

    /// The replay that the letter's sink got: one to all, or one to it alone.
    pub fn replay(&self, key: &Key) -> Option<&Replay> {
        let to_all = self.replays.get(&(key.place(), None));
        to_all.or_else(|| self.replays.get(&(key.place(), Some(key.sink.to_string()))))
    }

    /// All replays of a record: one to all sinks, or some to one each.
    pub fn replays(&self, place: &Place) -> Vec<Replay> {
        self.at(place).map(|(_, replay)| replay.clone()).collect()
    }

    fn at<'a>(&'a self, place: &'a Place) -> impl Iterator<Item = (&'a Aim, &'a Replay)> {
        let all = self.replays.range((place.clone(), None)..).take_while(move |((at, _), _)| at == place);
        all.map(|((_, aim), replay)| (aim, replay))
    }

    /// How many records were replayed; one that went to two sinks alone counts twice.
    pub fn replayed(&self) -> u64 {
        self.replays.values().filter(|r| matches!(r, Replay::Done { .. })).count() as u64
    }

    pub fn skip(&self, key: &Key) -> Option<&Skipped> {
        self.skips.get(key)
    }

    /// Forgets what is about letters that are gone.
    pub fn prune(&mut self, is_there: impl Fn(&Place) -> bool) {
        self.replays.retain(|(place, _), _| is_there(place));
        self.skips.retain(|key, _| is_there(&key.place()));
    }
}
