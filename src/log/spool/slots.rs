//! A small file that holds one value and survives a torn write and a flipped bit.
//!
//! Two slots are written in turn, so a torn write leaves the value before it. Each slot has a
//! mirror, written after the slot is durable: a damaged slot with a good mirror was bit rot, and
//! the value stands; without one it was a write that never returned, and the one before it
//! stands. All blocks exist from the start, so storing works on a full disk.

use super::disk::{Disk, DiskFile, Open};
use super::error::{FileError, at};
use super::format::{array, u16_at, u64_at};
use std::path::{Path, PathBuf};

/// Slots lie in blocks of their own: a device tears within one, not across.
const BLOCK: u64 = 4096;
const LEN: u64 = 4 * BLOCK;
const SLOT: usize = 56;
const MAGIC: &[u8; 4] = b"PSLT";
const VERSION: u16 = 1;

/// What a slot holds: three numbers whose meaning is the owner's.
pub(super) type Value = [u64; 3];

/// The file, open.
#[derive(Debug)]
pub(super) struct Slots<F> {
    file: F,
    path: PathBuf,
    /// Ties the file to its spool and partition.
    owner: u64,
    sequence: u64,
}

/// What is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// The value, and whether a slot of it was damaged.
    Value { value: Value, damaged: bool },
    /// No slot is readable.
    Unreadable,
    /// Written by a newer version.
    Newer(u16),
}

impl<F: DiskFile> Slots<F> {
    /// Makes the file with `value` in it; it exists whole or not at all.
    pub fn create<D: Disk<File = F>>(disk: &D, path: &Path, owner: u64, value: Value) -> Result<Self, FileError> {
        let tmp = path.with_extension("tmp");
        let file = disk.open(&tmp, Open::Create).map_err(at("create", &tmp))?;
        file.preallocate(LEN).map_err(at("preallocate", &tmp))?;
        file.write_at(&encode(owner, 1, value), BLOCK).map_err(at("write", &tmp))?;
        file.write_at(&encode(owner, 1, value), 3 * BLOCK).map_err(at("write", &tmp))?;
        file.sync_data().map_err(at("sync", &tmp))?;
        disk.rename(&tmp, path).map_err(at("rename", &tmp))?;
        let dir = path.parent().unwrap_or(Path::new("."));
        disk.sync_dir(dir).map_err(at("sync", dir))?;
        Ok(Slots { file, path: path.to_owned(), owner, sequence: 1 })
    }

    /// Opens the file and reads it.
    pub fn open<D: Disk<File = F>>(disk: &D, path: &Path, owner: u64) -> Result<(Self, Held), FileError> {
        let file = disk.open(path, Open::Write).map_err(at("open", path))?;
        let mut best: Option<(u64, Value)> = None;
        let (mut newer, mut bad) = (None, 0);
        for block in 0..4 {
            let mut bytes = [0; SLOT];
            let n = file.read_at(&mut bytes, block * BLOCK).map_err(at("read", path))?;
            match decode(owner, &bytes[..n]) {
                Slot::Good(sequence, value) => {
                    if best.is_none_or(|(s, _)| sequence > s) {
                        best = Some((sequence, value));
                    }
                }
                Slot::Blank => {}
                Slot::Newer(v) => newer = Some(v),
                Slot::Bad => bad += 1,
            }
        }
        let sequence = best.map_or(0, |(s, _)| s);
        let held = match (newer, best) {
            (Some(v), _) => Held::Newer(v),
            (None, Some((_, value))) => Held::Value { value, damaged: bad > 0 },
            (None, None) => Held::Unreadable,
        };
        Ok((Slots { file, path: path.to_owned(), owner, sequence }, held))
    }

    /// Stores a value durably.
    ///
    /// After an error the file holds the old value or this one; the next store goes into the same
    /// slot, so the old one stays until one succeeds.
    pub fn store(&mut self, value: Value) -> Result<(), FileError> {
        let (sequence, bytes) = self.next(value);
        let block = (sequence % 2) * BLOCK;
        self.file.write_at(&bytes, block).map_err(at("write", &self.path))?;
        self.file.sync_data().map_err(at("sync", &self.path))?;
        self.sequence = sequence;
        // Durable already; the mirror goes out with the next sync and guards what lies still.
        self.file.write_at(&bytes, block + 2 * BLOCK).map_err(at("write", &self.path))
    }

    /// Stores a value without a sync: a power cut may bring an older one back.
    pub fn note(&mut self, value: Value) -> Result<(), FileError> {
        let (sequence, bytes) = self.next(value);
        self.file.write_at(&bytes, (sequence % 2) * BLOCK).map_err(at("write", &self.path))?;
        self.sequence = sequence;
        Ok(())
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn next(&self, value: Value) -> (u64, [u8; SLOT]) {
        let sequence = self.sequence + 1;
        (sequence, encode(self.owner, sequence, value))
    }
}

enum Slot {
    Good(u64, Value),
    Blank,
    Newer(u16),
    Bad,
}

fn encode(owner: u64, sequence: u64, value: Value) -> [u8; SLOT] {
    let mut b = [0; SLOT];
    b[0..4].copy_from_slice(MAGIC);
    b[4..6].copy_from_slice(&VERSION.to_le_bytes());
    b[8..16].copy_from_slice(&owner.to_le_bytes());
    b[16..24].copy_from_slice(&sequence.to_le_bytes());
    for (i, v) in value.iter().enumerate() {
        b[24 + i * 8..32 + i * 8].copy_from_slice(&v.to_le_bytes());
    }
    let crc = crc32c::crc32c(&b[..52]);
    b[52..56].copy_from_slice(&crc.to_le_bytes());
    b
}

fn decode(owner: u64, b: &[u8]) -> Slot {
    if b.len() == SLOT && b.iter().all(|&x| x == 0) {
        return Slot::Blank;
    }
    if b.len() < SLOT || &b[..4] != MAGIC || crc32c::crc32c(&b[..52]) != u32::from_le_bytes(array(b, 52)) {
        return Slot::Bad;
    }
    if u16_at(b, 4) > VERSION {
        return Slot::Newer(u16_at(b, 4));
    }
    if u64_at(b, 8) != owner {
        return Slot::Bad;
    }
    Slot::Good(u64_at(b, 16), [u64_at(b, 24), u64_at(b, 32), u64_at(b, 40)])
}
