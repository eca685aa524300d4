//! A log, a sink and a dead-letter log in memory, with seeded faults, that check the pipeline's
//! every step: nothing is written unpinned, nothing is passed that is neither held nor dead.
//!
//! The sink counts each record it takes and forgives nothing: a record that is written again,
//! because somebody did not ask or did not listen, is held twice.

use crate::log::{FlushReason, Limits, Log, LogError, LogId, Offset, Position, Range, Records};
use crate::pipeline::{DeadError, DeadTarget, Go, Held, Letter, Poison, PoisonCode, Sink, SinkError, Step, Steps};
use crate::pricing::Snapshot;
use crate::time::{Clock, Micros};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// What a record is; decides for ever whether it is poison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Good,
    Poison,
    Corrupt,
}

/// Everything that survives a crash, and the source of all chance.
pub struct World {
    pub random: SmallRng,
    /// Chance of a fault per call, in percent.
    pub faults: u32,
    /// All records there will ever be; the first `visible` are durable.
    pub kinds: Vec<Kind>,
    pub appended: Vec<Micros>,
    pub position: Position,
    /// A position was stored; before that the log knows none.
    pub stored: bool,
    /// What the sink of this life was told, or said, of the range in hand.
    pub hint: Option<(Range, u32)>,
    pub held: BTreeMap<Offset, u32>,
    pub letters: BTreeMap<Offset, BTreeSet<String>>,
    /// A fault killed the process; the next boundary ends it.
    pub killed: bool,
    /// Boundaries at which a life ended.
    pub crashes: BTreeMap<String, u64>,
    /// Crash at the n-th boundary from here; `None` leaves it to chance.
    pub crash_at: Option<u64>,
    pub trace: bool,
}

pub type Shared = Rc<RefCell<World>>;

/// What a call of the model comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Luck {
    Fine,
    /// Refused before anything happened.
    Refused,
    /// An error after `n` thousandths of the effect.
    Torn(u32),
    /// Killed after `n` thousandths of the effect.
    Killed(u32),
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = SmallRng::seed_from_u64(seed);
        let total = random.random_range(1..60);
        let kinds = (0..total).map(|_| match random.random_range(0..12) {
            0 => Kind::Poison,
            1 => Kind::Corrupt,
            _ => Kind::Good,
        });
        let kinds = kinds.collect();
        let faults = random.random_range(0..40);
        World {
            random,
            faults,
            kinds,
            appended: Vec::new(),
            position: Position::default(),
            stored: false,
            hint: None,
            held: BTreeMap::new(),
            letters: BTreeMap::new(),
            killed: false,
            crashes: BTreeMap::new(),
            crash_at: None,
            trace: false,
        }
    }

    fn luck(&mut self) -> Luck {
        if self.random.random_range(0..100) >= self.faults {
            return Luck::Fine;
        }
        let part = match self.random.random_range(0..3) {
            0 => 0,
            1 => 1000,
            _ => self.random.random_range(0..1000),
        };
        match self.random.random_range(0..3) {
            0 => Luck::Refused,
            1 => Luck::Torn(part),
            _ => {
                self.killed = true;
                Luck::Killed(part)
            }
        }
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{}", what());
        }
    }

    /// The rule that everything else serves: before `to`, every record is held once or is dead.
    pub fn check_passed(&self, to: Offset) {
        for offset in 0..to {
            let (count, dead) = (self.held.get(&offset).copied().unwrap_or(0), self.letters.get(&offset));
            let codes: Vec<&str> = dead.into_iter().flatten().map(String::as_str).collect();
            let expected: (u32, &[&str]) = match self.kinds[usize::try_from(offset).unwrap()] {
                Kind::Good => (1, &[]),
                Kind::Poison => (0, &["invalid"]),
                Kind::Corrupt => (0, &["corrupt"]),
            };
            assert_eq!((count, &codes[..]), expected, "record {offset} (times held, letters)");
        }
    }

    fn apply_position(&mut self, position: Position) {
        let old = self.position;
        assert!(position.next >= old.next, "the position went back from {old:?} to {position:?}");
        match old.pinned.filter(|_| position != old) {
            Some(pinned) => assert_eq!(position.next, pinned, "left a pinned range unfinished"),
            None => assert_eq!(position.next, old.next, "passed a range without a pin"),
        }
        self.check_passed(position.next);
        self.position = position;
        self.stored = true;
    }
}

/// The time of the paused runtime.
#[derive(Clone)]
pub struct RuntimeClock(pub Instant);
impl Clock for RuntimeClock {
    fn now(&self) -> Micros {
        Micros::from_secs(1_700_000_000).plus(self.0.elapsed())
    }
}

pub struct ModelLog {
    pub world: Shared,
    pub clock: RuntimeClock,
    pub id: LogId,
}

impl ModelLog {
    /// More records become durable, now and then.
    fn grow(&self) {
        let w = &mut *self.world.borrow_mut();
        let more = w.random.random_range(0..4usize).min(w.kinds.len() - w.appended.len());
        w.appended.extend(std::iter::repeat_n(self.clock.now(), more));
    }

    fn fill(&self, from: Offset, limits: &Limits, out: &mut Records) -> Option<FlushReason> {
        let w = self.world.borrow();
        loop {
            let offset = from + out.len() as u64;
            if limits.end == Some(offset) {
                return Some(FlushReason::End);
            }
            if out.len() >= limits.rows {
                return Some(FlushReason::Rows);
            }
            let index = usize::try_from(offset).unwrap();
            let appended = *w.appended.get(index)?;
            match w.kinds[index] {
                Kind::Corrupt => out.push_corrupt(offset, Micros::MAX),
                _ => out.push(offset, appended, &offset.to_le_bytes()),
            }
        }
    }

    fn io(&self, what: &str) -> LogError {
        LogError::Io { what: what.to_owned(), source: std::io::Error::other("by chance") }
    }
}

impl Log for ModelLog {
    fn id(&self) -> &LogId {
        &self.id
    }

    async fn position(&mut self) -> Result<Option<Position>, LogError> {
        let mut w = self.world.borrow_mut();
        if w.luck() == Luck::Fine { Ok(w.stored.then_some(w.position)) } else { Err(self.io("position")) }
    }

    async fn read(&mut self, from: Offset, limits: &Limits, out: &mut Records) -> Result<FlushReason, LogError> {
        out.clear();
        let began = Instant::now();
        let mut first = None;
        loop {
            if self.world.borrow_mut().luck() != Luck::Fine {
                return Err(self.io("read"));
            }
            self.grow();
            if let Some(reason) = self.fill(from, limits, out) {
                return Ok(reason);
            }
            if out.is_empty() && began.elapsed() >= limits.idle {
                return Ok(FlushReason::Idle);
            }
            let first = if out.is_empty() { None } else { Some(*first.get_or_insert_with(Instant::now)) };
            if first.is_some_and(|first| first.elapsed() >= limits.age) {
                return Ok(FlushReason::Age);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn store(&mut self, position: Position) -> Result<(), LogError> {
        let mut w = self.world.borrow_mut();
        let luck = w.luck();
        w.say(|| format!("store {position:?} {luck:?}"));
        if let Luck::Fine | Luck::Torn(501..) | Luck::Killed(501..) = luck {
            w.apply_position(position);
        }
        drop(w);
        if luck == Luck::Fine { Ok(()) } else { Err(self.io("store")) }
    }

    fn end(&self) -> Offset {
        self.world.borrow().appended.len() as u64
    }
}

pub struct ModelSink(pub Shared);

impl Sink for ModelSink {
    type Batch = Vec<Offset>;

    fn name(&self) -> &'static str {
        "model"
    }

    fn prepare(
        &mut self,
        _: &LogId,
        range: Range,
        records: &Records,
        catalogue: &Snapshot,
        bad: &mut Vec<Poison>,
    ) -> Vec<Offset> {
        assert_eq!(records.range(), Some(range));
        let w = self.0.borrow();
        let mut good = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let Ok(body) = record.body else { continue };
            assert_eq!(body, record.offset.to_le_bytes(), "the log's bytes");
            assert!(record.appended <= catalogue.complete_through, "priced with a catalogue that may lack a version");
            match w.kinds[usize::try_from(record.offset).unwrap()] {
                Kind::Good => good.push(record.offset),
                _ => bad.push(Poison {
                    index,
                    offset: record.offset,
                    code: PoisonCode::Invalid,
                    field: Some("n".to_owned()),
                    message: "a rule".to_owned(),
                }),
            }
        }
        good
    }

    async fn untouched(&mut self, _: &LogId) -> Result<bool, SinkError> {
        let mut w = self.0.borrow_mut();
        if w.luck() == Luck::Fine { Ok(w.held.is_empty()) } else { Err(SinkError::Retry("by chance".to_owned())) }
    }

    fn hint(&mut self, _: &LogId, range: Range) -> u32 {
        let mut w = self.0.borrow_mut();
        let hint = w.random.random();
        w.hint = Some((range, hint));
        hint
    }

    fn resume(&mut self, _: &LogId, range: Range, hint: u32) {
        self.0.borrow_mut().hint = Some((range, hint));
    }

    async fn held(&mut self, _: &LogId, range: Range, batch: &Vec<Offset>) -> Result<Held, SinkError> {
        let mut w = self.0.borrow_mut();
        if w.luck() != Luck::Fine {
            return Err(SinkError::Retry("by chance".to_owned()));
        }
        let held: Vec<Offset> = w.held.range(range.from..range.to).map(|(offset, _)| *offset).collect();
        w.say(|| format!("held {range} {held:?}"));
        Ok(match held.len() {
            n if n == batch.len() => Held::All,
            0 => Held::Nothing,
            _ => Held::Some(held),
        })
    }

    async fn write(&mut self, _: &LogId, range: Range, batch: &Vec<Offset>, held: &Held) -> Result<(), SinkError> {
        let mut w = self.0.borrow_mut();
        let hint = w.position.hint;
        let pinned = Position { next: range.from, pinned: Some(range.to), hint };
        assert_eq!(w.position, pinned, "wrote {range} without its pin");
        assert_eq!(w.hint, Some((range, hint)), "wrote {range} without the hint of its pin");
        let luck = w.luck();
        w.say(|| format!("write {range} {held:?} {luck:?}"));
        let skip: &[Offset] = if let Held::Some(offsets) = held { offsets } else { &[] };
        let part = match luck {
            Luck::Fine => 1000,
            Luck::Refused => 0,
            Luck::Torn(part) | Luck::Killed(part) => part as usize,
        };
        let missing: Vec<Offset> = batch.iter().copied().filter(|o| !skip.contains(o)).collect();
        for offset in &missing[..missing.len() * part / 1000] {
            *w.held.entry(*offset).or_insert(0) += 1;
        }
        match luck {
            Luck::Fine => Ok(()),
            Luck::Refused => Err(SinkError::Retry("busy".to_owned())),
            Luck::Torn(_) | Luck::Killed(_) => Err(SinkError::Unknown("no answer".to_owned())),
        }
    }
}

pub struct ModelDead(pub Shared);

impl DeadTarget for ModelDead {
    async fn bury(&mut self, letters: &[Letter<'_>]) -> Result<(), DeadError> {
        let mut w = self.0.borrow_mut();
        let luck = w.luck();
        let part = match luck {
            Luck::Fine => 1000,
            Luck::Refused => 0,
            Luck::Torn(part) | Luck::Killed(part) => part as usize,
        };
        for letter in &letters[..letters.len() * part / 1000] {
            let body: &[u8] = if letter.code == "corrupt" { &[] } else { &letter.offset.to_le_bytes() };
            assert_eq!(letter.body, body);
            w.letters.entry(letter.offset).or_default().insert(letter.code.to_owned());
        }
        if luck == Luck::Fine { Ok(()) } else { Err(DeadError("by chance".to_owned())) }
    }
}

pub struct ModelSteps(pub Shared);

impl Steps for ModelSteps {
    fn at(&mut self, step: Step, range: Range) -> Go {
        let mut w = self.0.borrow_mut();
        w.say(|| format!("{step:?} {range}"));
        let chosen = match &mut w.crash_at {
            Some(0) => true,
            Some(n) => {
                *n -= 1;
                false
            }
            None => {
                let faults = w.faults;
                w.random.random_range(0..400) < faults
            }
        };
        if !chosen && !w.killed {
            return Go::On;
        }
        *w.crashes.entry(format!("{step:?}")).or_insert(0) += 1;
        Go::Crash
    }
}
