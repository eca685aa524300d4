//! Who reads a partition, and how far each has come: position files and the fence around them.
//!
//! A reader is registered by its position file `NAME.pos`, so retention waits for it also while
//! it does not run. Opening a reader takes it over: whoever had it before is fenced and can store
//! nothing more, so a supervisor may start a new generation without waiting for the old one.

use super::disk::Disk;
use super::error::{FileError, at};
use super::partition::locked;
use super::slots::{Held, Slots};
use crate::log::{Offset, Position};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Flag in the third number of a position's slot: there is a pin.
const PINNED: u64 = 1;
/// The upper half of that number is the hint; versions before it wrote zeroes there.
const HINT_SHIFT: u32 = 32;

struct State<D: Disk> {
    slots: Slots<D::File>,
    position: Result<Position, String>,
    /// Counts takeovers; the newest one may store.
    generation: u64,
    retired: bool,
}

/// One reader of one partition.
pub(super) struct Reader<D: Disk> {
    pub name: String,
    state: Mutex<State<D>>,
}

/// The readers of one partition.
pub(super) struct Readers<D: Disk> {
    disk: D,
    dir: PathBuf,
    owner: u64,
    all: Mutex<BTreeMap<String, Arc<Reader<D>>>>,
}

/// Why a position was not stored.
pub(super) enum StoreError {
    Fenced,
    /// What is stored cannot be read; writing over it would hide that. The reader has to be
    /// retired by command and registered anew.
    Unreadable(String),
    File(FileError),
}

/// Whether `name` can name a reader.
pub(super) fn valid_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

fn decode([next, pinned, flags]: [u64; 3]) -> Position {
    let hint = u32::try_from(flags >> HINT_SHIFT).unwrap_or_default();
    Position { next, pinned: (flags & PINNED != 0).then_some(pinned), hint }
}

fn encode(p: Position) -> [u64; 3] {
    let pinned = if p.pinned.is_some() { PINNED } else { 0 };
    [p.next, p.pinned.unwrap_or(0), pinned | u64::from(p.hint) << HINT_SHIFT]
}

impl<D: Disk> Readers<D> {
    /// Opens all position files of `dir`. The second value counts those with damage.
    pub fn open(disk: D, dir: &Path, owner: u64, names: &[String]) -> Result<(Self, usize), FileError> {
        let mut all = BTreeMap::new();
        let mut damaged = 0;
        for file in names {
            let Some(name) = file.strip_suffix(".pos").filter(|n| valid_name(n)) else { continue };
            let (slots, held) = Slots::open(&disk, &dir.join(file), owner)?;
            let position = match held {
                Held::Value { value, damaged: bad } => {
                    damaged += usize::from(bad);
                    Ok(decode(value))
                }
                Held::Unreadable => Err("no copy of it has a valid checksum".to_owned()),
                Held::Newer(v) => Err(format!("it has format version {v}, this binary reads 1")),
            };
            damaged += usize::from(position.is_err());
            let state = State { slots, position, generation: 0, retired: false };
            all.insert(name.to_owned(), Arc::new(Reader { name: name.to_owned(), state: Mutex::new(state) }));
        }
        Ok((Readers { disk, dir: dir.to_owned(), owner, all: Mutex::new(all) }, damaged))
    }

    /// Takes over the reader `name`, registering it at `start` when it is new. The number is what
    /// [`Reader::store`] asks for.
    pub fn take(&self, name: &str, start: Offset) -> Result<(Arc<Reader<D>>, u64), FileError> {
        let mut all = locked(&self.all);
        let reader = match all.get(name) {
            Some(reader) => reader.clone(),
            None => {
                let position = Position::at(start);
                let path = self.dir.join(format!("{name}.pos"));
                let slots = Slots::create(&self.disk, &path, self.owner, encode(position))?;
                let state = State { slots, position: Ok(position), generation: 0, retired: false };
                let reader = Arc::new(Reader { name: name.to_owned(), state: Mutex::new(state) });
                all.insert(name.to_owned(), reader.clone());
                reader
            }
        };
        let mut state = locked(&reader.state);
        state.generation += 1;
        let generation = state.generation;
        drop(state);
        Ok((reader, generation))
    }

    /// Removes the reader for good; false when there is none.
    pub fn retire(&self, name: &str) -> Result<bool, FileError> {
        let mut all = locked(&self.all);
        let Some(reader) = all.get(name).cloned() else { return Ok(false) };
        let mut state = locked(&reader.state);
        let path = state.slots.path().to_owned();
        self.disk.remove(&path).map_err(at("remove", &path))?;
        state.retired = true;
        drop(state);
        all.remove(name);
        self.disk.sync_dir(&self.dir).map_err(at("sync", &self.dir))?;
        Ok(true)
    }

    /// Offset that every reader has passed; `None` without readers. A reader whose position is
    /// unreadable has passed nothing.
    pub fn slowest(&self) -> Option<Offset> {
        locked(&self.all).values().map(|r| r.position().map_or(0, |p| p.next)).min()
    }

    /// First offset behind what stored positions prove to have been durable: a position is only
    /// stored for what was read, and only what is synced is read.
    pub fn proof(&self) -> Offset {
        let furthest = |p: Position| p.pinned.map_or(p.next, |pin| pin.max(p.next));
        locked(&self.all).values().filter_map(|r| r.position().ok().map(furthest)).max().unwrap_or(0)
    }

    /// All readers with their positions (`Err`: why it is unreadable).
    pub fn positions(&self) -> Vec<(String, Result<Position, String>)> {
        locked(&self.all).values().map(|r| (r.name.clone(), r.position())).collect()
    }
}

impl<D: Disk> Reader<D> {
    /// The stored position; `Err` says why it is unreadable.
    pub fn position(&self) -> Result<Position, String> {
        locked(&self.state).position.clone()
    }

    /// Whether `generation` still owns the reader.
    pub fn owns(&self, generation: u64) -> bool {
        let state = locked(&self.state);
        !state.retired && state.generation == generation
    }

    /// Stores a position durably.
    pub fn store(&self, generation: u64, position: Position) -> Result<(), StoreError> {
        let mut state = locked(&self.state);
        if state.retired || state.generation != generation {
            return Err(StoreError::Fenced);
        }
        if let Err(why) = &state.position {
            return Err(StoreError::Unreadable(why.clone()));
        }
        state.slots.store(encode(position)).map_err(StoreError::File)?;
        state.position = Ok(position);
        Ok(())
    }
}
