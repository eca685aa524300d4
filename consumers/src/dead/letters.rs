//! The dead-letter log: appended by all pipelines of a process, listed and shown by the panel.

use super::index::{Index, Key, Marked, Summary, is_no_loss};
use super::marks::{Mark, Place, Replay, Skipped, Written};
use super::record::{self, BODY_MAX, DeadLetter};
use super::replay::{Book, Standing};
use penstock::log::spool::{AppendError, Disk, Group, GroupBuf, HandleError, RealDisk, Spool, Watermarks, Writer};
use penstock::log::{Limits, Log as _, LogError, LogId, Offset, Records};
use penstock::pipeline::{DeadError, DeadTarget, GAP, GapAnswer, Letter};
use penstock::time::Clock;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The dead-letter log has one partition: letters are rare, and lists want an order.
const PARTITION: u32 = 0;
/// A group of letters is closed at so many bytes: with one more letter whose body was left out it
/// is within the least that `spool.max_group_bytes` may be.
const GROUP_BYTES: usize = 32 << 10;

/// Why letters cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LettersError {
    /// The log cannot be opened or read.
    #[error("the dead-letter log: {0}")]
    Log(#[from] LogError),
    /// A writer or reader of the log cannot be had.
    #[error("the dead-letter log: {0}")]
    Handle(#[from] HandleError),
    /// A mark cannot be written.
    #[error(transparent)]
    Dead(#[from] DeadError),
}

/// Which letters to list, in the order of their keys.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this sink.
    pub sink: Option<String>,
    /// With this reason. `barrier` and `elsewhere`, with which nothing is lost, are listed only when
    /// they are asked for.
    pub code: Option<String>,
    /// Only letters whose record was not replayed, and that stand for one.
    pub replayable: bool,
    /// Behind this one: the last of the page before.
    pub after: Option<Key>,
    /// At most so many.
    pub limit: usize,
}

impl Filter {
    /// Whether a letter is one of those.
    pub(super) fn wants(&self, index: &Index, key: &Key, code: &str) -> bool {
        let replayed = || matches!(index.marks.replay(key), Some(Replay::Done { .. }));
        self.sink.as_deref().is_none_or(|sink| sink == &*key.sink)
            && self.code.as_deref().map_or(!is_no_loss(code), |c| c == code)
            && !(self.replayable && (code == GAP || replayed()))
    }
}

struct Inner<D: Disk> {
    spool: Spool<D>,
    /// Held for an append and its write, never over a wait.
    writer: Mutex<Writer<D>>,
    watermarks: Arc<Watermarks>,
    index: Mutex<Index>,
    clock: Arc<dyn Clock>,
}

/// The dead letters of a data folder. Clones share them; each pipeline has one.
pub struct DeadLetters<D: Disk = RealDisk>(Arc<Inner<D>>);

impl<D: Disk> Clone for DeadLetters<D> {
    fn clone(&self) -> Self {
        DeadLetters(Arc::clone(&self.0))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn one_batch() -> Limits {
    Limits { rows: 1_000, bytes: 8 << 20, age: Duration::ZERO, idle: Duration::ZERO, end: None }
}

impl<D: Disk> DeadLetters<D> {
    /// Takes the writer of a spool that is kept for letters alone, and reads which are there.
    ///
    /// Errors: [`LettersError`].
    pub async fn open(spool: Spool<D>, clock: Arc<dyn Clock>) -> Result<Self, LettersError> {
        let writer = spool.writer(PARTITION)?;
        let watermarks = writer.watermarks();
        let mut index = Index::default();
        let mut log = spool.viewer(PARTITION)?;
        let (mut next, mut records) = (spool.start(PARTITION)?, Records::new());
        loop {
            log.read(next, &one_batch(), &mut records).await?;
            let Some(range) = records.range() else { break };
            index.take(&records);
            next = range.to;
        }
        let (writer, index) = (Mutex::new(writer), Mutex::new(index));
        Ok(DeadLetters(Arc::new(Inner { spool, writer, watermarks, index, clock })))
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        let mut index = locked(&self.0.index);
        if let Ok(start) = self.0.spool.start(PARTITION) {
            index.prune(start);
        }
        index
    }

    /// How many there are.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.index().summary()
    }

    /// Every letter that stands for one record, each once.
    #[must_use]
    pub fn marks(&self) -> Vec<Marked> {
        self.index().marks()
    }

    /// How many records of a partition before `upto` the sink put away.
    #[must_use]
    pub fn count(&self, sink: &str, log: &LogId, upto: Offset) -> u64 {
        self.index().count(sink, log, upto)
    }

    /// Letters in the order of their keys, with their bodies. Errors: [`LettersError`].
    pub async fn list(&self, filter: &Filter) -> Result<Vec<DeadLetter>, LettersError> {
        let found: Vec<Offset> = {
            let index = self.index();
            let all = index.after(filter.after.as_ref()).filter(|(key, e)| filter.wants(&index, key, &e.code));
            all.take(filter.limit).map(|(_, entry)| entry.at).collect()
        };
        let mut letters = Vec::with_capacity(found.len());
        for at in found {
            letters.extend(self.read(at).await?);
        }
        Ok(letters)
    }

    /// One letter; `None` when there is none of this key. Errors: [`LettersError`].
    pub async fn show(&self, key: &Key) -> Result<Option<DeadLetter>, LettersError> {
        let Some(at) = self.index().get(key).map(|entry| entry.at) else { return Ok(None) };
        self.read(at).await
    }

    /// How the replay of the letter's record to its sink stands, if there was one.
    #[must_use]
    pub fn replay(&self, key: &Key) -> Option<Replay> {
        self.index().marks.replay(key).cloned()
    }

    /// Writes decisions durably.
    ///
    /// Errors: [`DeadError`], after which any of them may or may not be there.
    pub async fn mark(&self, marks: Vec<(Place, Mark)>) -> Result<(), DeadError> {
        let written: Vec<Written> = marks.iter().map(|(place, mark)| Written::new(place.clone(), mark)).collect();
        let letters: Vec<Letter<'_>> = written.iter().map(Written::letter).collect();
        let places = self.append(&letters.iter().collect::<Vec<_>>())?;
        let end = places.last().map_or(0, |last| last + 1);
        self.0.watermarks.wait_synced(end).await.map_err(|e| DeadError(e.to_string()))?;
        let at = self.0.clock.now();
        let mut index = self.index();
        for ((place, mark), offset) in marks.into_iter().zip(places) {
            index.marks.add(place, mark, at, offset);
        }
        Ok(())
    }

    /// Reads a letter at its place in the dead-letter log; `None` when it was damaged or removed
    /// since it was listed.
    async fn read(&self, at: Offset) -> Result<Option<DeadLetter>, LettersError> {
        let mut records = Records::new();
        let one = Limits { rows: 1, ..one_batch() };
        match self.0.spool.viewer(PARTITION)?.read(at, &one, &mut records).await {
            Ok(_) => {}
            Err(LogError::Gap { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        Ok(records.get(0).and_then(|r| r.body.ok()).and_then(|body| DeadLetter::decode(body).ok()))
    }

    /// Appends and writes letters; returns where each lies. Blocks for the writes.
    pub(super) fn append(&self, letters: &[&Letter<'_>]) -> Result<Vec<Offset>, DeadError> {
        let now = self.0.clock.now();
        let mut places = Vec::with_capacity(letters.len());
        let mut writer = locked(&self.0.writer);
        let mut group = GroupBuf::new();
        let mut rest = letters;
        while let Some((letter, others)) = rest.split_first() {
            record::encode(letter, now, BODY_MAX, group.begin_record());
            group.end_record();
            rest = others;
            if group.bytes() < GROUP_BYTES && !rest.is_empty() {
                continue;
            }
            let range = match writer.append(&Group::plain(&group)) {
                // Larger than the spool takes: the reason is worth more than the body.
                Err(AppendError::TooLarge { .. }) => {
                    let count = group.count() as usize;
                    let end = letters.len() - rest.len();
                    group.clear();
                    for letter in &letters[end - count..end] {
                        record::encode(letter, now, 0, group.begin_record());
                        group.end_record();
                    }
                    writer.append(&Group::plain(&group))
                }
                appended => appended,
            };
            places.extend({
                let range = range.map_err(|e| DeadError(e.to_string()))?;
                range.from..range.to
            });
            group.clear();
        }
        writer.flush().map_err(|e| DeadError(e.to_string()))?;
        Ok(places)
    }
}

impl<D: Disk> DeadTarget for DeadLetters<D> {
    async fn answer(&mut self, sink: &str, log: &LogId, offset: Offset) -> Result<GapAnswer, DeadError> {
        let key = Key { sink: sink.into(), log: log.clone(), offset };
        Ok(self.skip(&key).map_or(GapAnswer::NotYet, Skipped::answer))
    }

    /// Letters that are known already are not written again.
    async fn bury(&mut self, letters: &[Letter<'_>]) -> Result<(), DeadError> {
        let key = |l: &Letter<'_>| Key { sink: l.sink.into(), log: l.log.clone(), offset: l.offset };
        let new: Vec<&Letter<'_>> = {
            let index = self.index();
            letters.iter().filter(|letter| !index.contains(&key(letter))).collect()
        };
        if new.is_empty() {
            return Ok(());
        }
        let places = self.append(&new)?;
        let end = places.last().map_or(0, |last| last + 1);
        self.0.watermarks.wait_synced(end).await.map_err(|e| DeadError(e.to_string()))?;
        let mut index = self.index();
        for (letter, at) in new.iter().zip(places) {
            index.add(key(letter), letter.code, record::event_type(letter.body), at);
        }
        Ok(())
    }
}

impl<D: Disk> DeadLetters<D> {
    /// What was said about the gap of this letter, and when.
    #[must_use]
    pub fn skip(&self, key: &Key) -> Option<Skipped> {
        self.index().marks.skip(key).cloned()
    }
}

impl<D: Disk> Book for DeadLetters<D> {
    async fn standing(&self, places: &[Place]) -> Result<Vec<Standing>, LettersError> {
        let mut all = Vec::with_capacity(places.len());
        for place in places {
            let (mut standing, at) = self.index().standing(place);
            if let Some(at) = at {
                standing.letter = self.read(at).await?;
            }
            all.push(standing);
        }
        Ok(all)
    }

    async fn write(&self, marks: Vec<(Place, Mark)>) -> Result<(), DeadError> {
        self.mark(marks).await
    }
}
