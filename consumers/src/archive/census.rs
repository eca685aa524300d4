//! Counts what the archive holds, by type and partition, for reconcile.
//!
//! It looks at files, not at memories: whatever wrote them, whatever was restored or lost. A
//! range's files are there before its position is stored, so up to a stored position the count is
//! whole, and what lies behind it belongs to a range under way.

use super::name::FileName;
use super::reader::{self, ReadError};
use penstock::log::{LogId, Offset};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Most damaged or foreign files that are listed one by one.
const LISTED: usize = 100;

/// What is counted: records of one type from one partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    /// The partition.
    pub log: LogId,
    /// The event type.
    pub kind: String,
}

/// What the archive holds up to the positions it was asked for.
#[derive(Debug, Default)]
pub struct Census {
    /// Records.
    pub records: BTreeMap<Kind, u64>,
    /// Files they are in.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Files of ranges behind the positions: under way, and not counted.
    pub ahead: u64,
    /// Files that begin before a position and end behind it: the position is none of the
    /// archive's own. They are not counted.
    pub straddling: Vec<PathBuf>,
    /// Files that are not whole, with what is wrong; at most 100. They are not counted.
    pub damaged: Vec<(PathBuf, ReadError)>,
    /// How many there are, listed or not.
    pub damaged_files: u64,
    /// Files that no archive writes; at most 100.
    pub foreign: Vec<PathBuf>,
}

/// Why nothing was counted.
#[derive(Debug, thiserror::Error)]
#[error("cannot list {path}: {source}")]
pub struct CensusError {
    /// The folder.
    pub path: PathBuf,
    /// The operating system's error.
    #[source]
    pub source: std::io::Error,
}

/// Counts the records below `root` before `upto` of their partition; partitions for which it says
/// `None` are left out. Blocks: call it where that is allowed.
///
/// Errors: [`CensusError`] when a folder cannot be listed. A file that cannot be read is damaged.
pub fn count(root: &Path, upto: impl Fn(&LogId) -> Option<Offset>) -> Result<Census, CensusError> {
    let mut census = Census::default();
    walk(root, String::new(), 0, &mut |path, relative| {
        let Some(name) = FileName::parse(relative) else {
            // What a write under way (or killed) calls its file is nobody's concern here.
            if !relative.contains('#') && census.foreign.len() < LISTED {
                census.foreign.push(path.to_owned());
            }
            return;
        };
        let Some(upto) = upto(&name.log) else { return };
        if name.range.from >= upto {
            census.ahead += 1;
        } else if name.range.to > upto {
            census.straddling.push(path.to_owned());
        } else {
            census.take(path, name);
        }
    })?;
    Ok(census)
}

impl Census {
    fn take(&mut self, path: &Path, name: FileName) {
        let summary = File::open(path).map_err(ReadError::Io).and_then(|file| {
            let summary = reader::summarise(&file)?;
            let says = |key: &str, value: String| summary.header.get(key) == Some(&value);
            let agrees = says("penstock.log", name.log.name.to_string())
                && says("penstock.partition", name.log.partition.to_string())
                && says("penstock.from", name.range.from.to_string())
                && says("penstock.to", name.range.to.to_string());
            if agrees { Ok(summary) } else { Err(ReadError::Format("its header says another range than its name")) }
        });
        match summary {
            Ok(summary) => {
                self.files += 1;
                self.bytes += summary.bytes;
                *self.records.entry(Kind { log: name.log, kind: name.kind }).or_insert(0) += summary.records;
            }
            Err(error) => {
                self.damaged_files += 1;
                if self.damaged.len() < LISTED {
                    self.damaged.push((path.to_owned(), error));
                }
            }
        }
    }
}

/// The type, year, month, day and hour.
const FOLDERS: u32 = 5;

fn walk(dir: &Path, relative: String, depth: u32, each: &mut impl FnMut(&Path, &str)) -> Result<(), CensusError> {
    let failed = |source| CensusError { path: dir.to_owned(), source };
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let relative = if relative.is_empty() { name.into_owned() } else { format!("{relative}/{name}") };
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && depth < FOLDERS {
            walk(&entry.path(), relative, depth + 1, each)?;
        } else {
            each(&entry.path(), &relative);
        }
    }
    Ok(())
}
