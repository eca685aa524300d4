//! Counts what the archive holds, by type and partition, for reconcile.
//!
//! It looks at files, not at memories: whatever wrote them, whatever was restored or lost. A
//! range's files are there before its position is stored, so up to a stored position the count is
//! whole, and what lies behind it belongs to a range under way. An hour that was compacted counts
//! by its manifest, and by those files that the manifest has not taken.

use super::hour::{self, Hour};
use super::name::FileName;
use super::reader::{self, HEADER_FIRST, Header, ReadError};
use super::store::{ArchiveStore, Found, StoreError};
use futures::stream::{self, StreamExt as _};
use penstock::log::{LogId, Offset};
use std::collections::BTreeMap;

/// Most damaged or foreign files that are listed one by one.
const LISTED: usize = 100;
/// How often an hour is looked at whose files go.
const LOOKS: usize = 5;
/// Files that are looked into at the same time.
const AT_ONCE: usize = 32;

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
    /// Files they are in; what was compacted counts as the files it came in.
    pub files: u64,
    /// Bytes of these files; of what was compacted, those of the Parquet files.
    pub bytes: u64,
    /// Files of ranges behind the positions: under way, and not counted.
    pub ahead: u64,
    /// Files that begin before a position and end behind it: the position is none of the
    /// archive's own. They are not counted.
    pub straddling: Vec<String>,
    /// Files that are not whole, with what is wrong; at most 100. They are not counted.
    pub damaged: Vec<(String, String)>,
    /// How many there are, listed or not.
    pub damaged_files: u64,
    /// Files that no archive writes; at most 100.
    pub foreign: Vec<String>,
}

/// Counts the records before `upto` of their partition; partitions for which it says `None` are
/// left out.
///
/// Errors: [`StoreError`] when something cannot be listed or does not answer. A file that cannot be
/// read is damaged.
pub async fn count(store: &ArchiveStore, upto: impl Fn(&LogId) -> Option<Offset>) -> Result<Census, StoreError> {
    let mut census = Census::default();
    let days = hour::days(store, None).await?;
    census.foreign(days.foreign);
    for day in days.days {
        let (hours, foreign) = hour::hours(store, &day).await?;
        census.foreign(foreign);
        for ((kind, hour), listed) in hours {
            let mut state = hour::sort(store, &kind, hour, listed).await?;
            // A file that is gone since it was listed was compacted meanwhile: the hour is looked
            // at again, a few times, and then it is missing indeed.
            for look in 1.. {
                let mut part = Census::default();
                if part.take_hour(store, state, &upto, look < LOOKS).await? {
                    census.add_all(part);
                    break;
                }
                state = hour::look(store, &kind, hour).await?;
            }
        }
    }
    Ok(census)
}

impl Census {
    fn foreign(&mut self, files: Vec<Found>) {
        let room = LISTED.saturating_sub(self.foreign.len());
        self.foreign.extend(files.into_iter().map(|f| f.path).take(room));
    }

    fn damaged(&mut self, path: String, why: String) {
        self.damaged_files += 1;
        if self.damaged.len() < LISTED {
            self.damaged.push((path, why));
        }
    }

    fn add_all(&mut self, part: Census) {
        part.records.into_iter().for_each(|(kind, n)| *self.records.entry(kind).or_insert(0) += n);
        self.files += part.files;
        self.bytes += part.bytes;
        self.ahead += part.ahead;
        self.straddling.extend(part.straddling);
        self.damaged_files += part.damaged_files;
        self.damaged.extend(part.damaged.into_iter().take(LISTED.saturating_sub(self.damaged.len())));
        self.foreign.extend(part.foreign.into_iter().take(LISTED.saturating_sub(self.foreign.len())));
    }

    /// Counts an hour; `false` when one of its files is gone and `again` allows another look.
    async fn take_hour(
        &mut self,
        store: &ArchiveStore,
        hour: Hour,
        upto: impl Fn(&LogId) -> Option<Offset>,
        again: bool,
    ) -> Result<bool, StoreError> {
        if let Some((path, why)) = hour.unreadable {
            self.damaged(path, why);
            return Ok(true);
        }
        if let Some((manifest, _)) = &hour.manifest {
            let mut complete = true;
            for part in &manifest.files {
                if !hour.parts.iter().any(|f| f.size == part.bytes && f.path.ends_with(&part.file)) {
                    complete = false;
                    self.damaged(format!("{}/{}", hour.folder(), part.file), "missing, or not whole".to_owned());
                }
            }
            // Which of the records are in a part that is missing, nobody knows: none of them count.
            for taken in manifest.taken.iter().filter(|_| complete) {
                let Some(name) = manifest.name(taken) else { continue };
                let path = || format!("{}/{}", hour.folder(), taken.file);
                if self.wanted(&name, path, &upto) {
                    self.files += 1;
                    self.add(&name, taken.records);
                }
            }
            self.bytes += if complete { manifest.files.iter().map(|p| p.bytes).sum() } else { 0 };
        }
        self.foreign(hour.foreign);
        let mut files = Vec::new();
        for (name, found) in hour.files {
            if self.wanted(&name, || found.path.clone(), &upto) {
                files.push((name, found));
            }
        }
        let mut heads = stream::iter(files)
            .map(|(name, found)| async { (records(store, &name, &found).await, name, found) })
            .buffer_unordered(AT_ONCE);
        while let Some((read, name, found)) = heads.next().await {
            match read {
                Ok(records) => {
                    self.files += 1;
                    self.bytes += found.size;
                    self.add(&name, records);
                }
                Err(ReadError::Store(error)) if error.is_not_found() && again => return Ok(false),
                Err(ReadError::Store(error)) if matches!(*error, StoreError::Timeout { .. }) => return Err(*error),
                Err(error) => self.damaged(found.path, error.to_string()),
            }
        }
        Ok(true)
    }

    fn add(&mut self, name: &FileName, records: u64) {
        *self.records.entry(Kind { log: name.log.clone(), kind: name.kind.clone() }).or_insert(0) += records;
    }

    /// Whether the range lies before the position of its partition.
    fn wanted(&mut self, name: &FileName, path: impl Fn() -> String, upto: &impl Fn(&LogId) -> Option<Offset>) -> bool {
        let Some(upto) = upto(&name.log) else { return false };
        if name.range.from >= upto {
            self.ahead += 1;
        } else if name.range.to > upto {
            self.straddling.push(path());
        } else {
            return true;
        }
        false
    }
}

/// How many records a file has. One that is at hand is walked over; of a remote one both ends are
/// read, which shows that it is whole, and its header is believed (`verify` reads all of it).
async fn records(store: &ArchiveStore, name: &FileName, found: &Found) -> Result<u64, ReadError> {
    if let Some(file) = store.local(&found.path).await? {
        let walk = move || reader::summarise(&file).map(|s| (s.header, s.records));
        let walked = tokio::task::spawn_blocking(walk).await;
        let (header, records) = walked.map_err(|e| ReadError::Io(std::io::Error::other(e)))??;
        agrees(&header, name)?;
        return Ok(records);
    }
    let mut size = HEADER_FIRST as u64;
    let (header, head) = loop {
        let head = store.read_part(&found.path, 0..size.min(found.size)).await?;
        match reader::header(&head[..]) {
            Err(ReadError::Wire(_)) if size < found.size && size < reader::HEADER_MAX as u64 => size *= 8,
            header => break (header?, head),
        }
    };
    agrees(&header, name)?;
    if head.len() as u64 == found.size {
        return Ok(reader::summarise(&head[..])?.records);
    }
    let tail = store.read_part(&found.path, found.size - header.sync.len() as u64..found.size).await?;
    if tail[..] != header.sync {
        return Err(ReadError::Format("it does not end with its marker"));
    }
    let said = header.get("penstock.records").and_then(|v| v.parse().ok());
    said.ok_or(ReadError::Format("its header says no number of records"))
}

/// Whether a file's header says what its name does.
pub(super) fn agrees(header: &Header, name: &FileName) -> Result<(), ReadError> {
    let says = |key: &str, value: String| header.get(key) == Some(&value);
    let agrees = says("penstock.log", name.log.name.to_string())
        && says("penstock.partition", name.log.partition.to_string())
        && says("penstock.from", name.range.from.to_string())
        && says("penstock.to", name.range.to.to_string());
    if agrees { Ok(()) } else { Err(ReadError::Format("its header says another range than its name")) }
}
