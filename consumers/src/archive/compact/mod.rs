//! Merges an hour's Avro files into Parquet files of a target size, with the same rows.
//!
//! A compaction writes parts, then one manifest, and later removes what the manifest replaced.
//! Readers go by the manifest with the highest generation, so its appearing is the one moment at
//! which the hour changes. Where a compaction may be cut off, and what is then:
//!
//! - before or after the claim: a claim only spares others the same work; it runs out.
//! - after some or all parts, before the manifest: the parts are of a generation that no manifest
//!   has; nobody counts them. The files they were made of are there, so the hour is compacted
//!   again under the same generation, and with its manifest the parts that this one does not name
//!   are dead: whoever still works on them can no longer commit, because the name is taken.
//! - the manifest's outcome unknown: its nonce tells whether it is ours.
//! - after the manifest: the hour counts by it. The Avro files it took are still there, and are
//!   not counted: readers know them by their names. A late writer that brings one back, however
//!   late, brings back a name that every later manifest goes on naming.
//! - between removals: what is dead stays dead under every later manifest, so a removal that was
//!   cut off, or that comes hours late from a process that slept, removes nothing that lives.
//!
//! Nothing is removed before the manifest is older than `grace`, so that whoever listed the hour
//! before can read what it listed, and a listing that is not of one moment misses nothing; nothing
//! that was taken before all parts are seen whole; and no file that has other records than were
//! taken from it.

mod clean;
mod columns;
mod mill;
pub(in crate::archive) mod plan;

use super::content::ContentError;
use super::hour::{self, Hour};
use super::manifest::{Manifest, Part, Taken, VERSION, claim_name};
use super::name::FileName;
use super::store::{ArchiveStore, Found, StoreError};
use columns::{Finished, Parts, Rows};
use mill::{Mill, ground};
use penstock::codec::columns::ColumnsError;
use penstock::codec::registry::by_fingerprint;
use penstock::event::TYPES;
use penstock::settings::CompactSettings;
use penstock::time::Micros;
use plan::{Run, Source};
use serde::Serialize;
use std::collections::HashMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::Xxh3;

/// Most faults that are listed one by one.
const LISTED: usize = 100;
/// How long a claim holds others off.
const CLAIM: Duration = Duration::from_secs(3_600);
/// Most hours that are remembered as settled.
const SETTLED_MAX: usize = 1 << 20;

/// Why an hour could not be compacted. What it was stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Two ranges of one partition overlap: no pipeline writes them so.
    #[error("ranges overlap: {0}")]
    Overlap(String),
    /// A file that was read before has other records now.
    #[error("{path}: {source}")]
    Content {
        /// Its path.
        path: String,
        /// What is wrong with it.
        #[source]
        source: ContentError,
    },
    /// A part of an earlier generation cannot be read.
    #[error("{path}: {why}")]
    Part {
        /// Its path.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A record does not decode, or the rows are not as many as the records.
    #[error("the rows do not come out: {0}")]
    Rows(String),
    /// The columns cannot be made.
    #[error(transparent)]
    Columns(#[from] ColumnsError),
    /// Arrow refused.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// Parquet refused.
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The manifest could not be written as JSON, or a thread died.
    #[error("{0}")]
    Internal(String),
}

/// What a pass over the archive did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Hours that got a new generation.
    pub hours: u64,
    /// Avro files that were taken.
    pub files: u64,
    /// Their records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Parquet files that were written.
    pub parts: u64,
    /// Their bytes.
    pub part_bytes: u64,
    /// Files that were removed because a manifest has outlived them.
    pub removed: u64,
    /// Hours that another compaction was working on, or committed first.
    pub contended: u64,
    /// Files and hours that were left as they are, with the reason; at most 100.
    pub faults: Vec<Fault>,
    /// How many there are, listed or not.
    pub fault_count: u64,
}

/// A file or an hour that was left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its path below the archive's root.
    pub path: String,
    /// Why.
    pub why: String,
}

impl Report {
    fn fault(&mut self, path: impl Into<String>, why: impl ToString) {
        let fault = Fault { path: path.into(), why: why.to_string() };
        tracing::warn!(path = %fault.path, why = %fault.why, "the archive's compaction leaves this as it is");
        self.fault_count += 1;
        if self.faults.len() < LISTED {
            self.faults.push(fault);
        }
    }
}

/// Compacts an archive. Any number of them may work on one archive: one commits, the others have
/// worked in vain.
pub struct Compactor {
    store: ArchiveStore,
    settings: CompactSettings,
    /// Tells our manifests and claims from others'.
    instance: u64,
    /// Hours in which nothing was left to do, by what their folder showed.
    settled: HashMap<(String, i64), u64>,
}

impl Compactor {
    /// A compactor; `instance` is a random number.
    #[must_use]
    pub fn new(store: ArchiveStore, settings: CompactSettings, instance: u64) -> Compactor {
        Compactor { store, settings, instance, settled: HashMap::new() }
    }

    /// Goes once over all hours: compacts those that are due, clears away what is dead. Stops
    /// between two hours when `stop` says so.
    ///
    /// Errors: [`StoreError`] when something cannot be listed. What goes wrong with one hour is a
    /// fault in the report and keeps no other hour waiting.
    pub async fn pass(&mut self, now: Micros, stop: &CancellationToken) -> Result<Report, StoreError> {
        let mut report = Report::default();
        let passed = self.hours(now, stop, &mut report).await;
        let metrics = &self.store.metrics;
        metrics.compacted.inc_by(report.files);
        metrics.replaced.inc_by(report.removed);
        metrics.compaction_faults.inc_by(report.fault_count);
        passed.map(|()| report)
    }

    async fn hours(&mut self, now: Micros, stop: &CancellationToken, report: &mut Report) -> Result<(), StoreError> {
        for day in hour::days(&self.store, None).await?.days {
            for ((kind, at), listed) in hour::hours(&self.store, &day).await?.0 {
                if stop.is_cancelled() {
                    return Ok(());
                }
                let shown = fingerprint(&listed);
                if self.settled.get(&(kind.clone(), at)) == Some(&shown) {
                    continue;
                }
                match self.hour(&kind, at, listed, now, report).await {
                    Ok(true) if self.settled.len() < SETTLED_MAX => {
                        self.settled.insert((kind, at), shown);
                    }
                    Ok(_) => {}
                    Err(error) => report.fault(super::name::hour_folder(&kind, at), error),
                }
            }
        }
        Ok(())
    }

    /// Does what there is to do with one hour; `true` when nothing is left as long as its folder
    /// does not change.
    async fn hour(
        &self,
        kind: &str,
        at: i64,
        listed: Vec<Found>,
        now: Micros,
        report: &mut Report,
    ) -> Result<bool, CompactError> {
        let state = hour::sort(&self.store, kind, at, listed).await?;
        if let Some((path, why)) = &state.unreadable {
            report.fault(path, why);
            return Ok(false);
        }
        let (settled, due) = self.due(&state, now);
        if !due.is_empty() {
            self.compact(&state, due, now, report).await?;
            // What it left dead is cleared away by a later pass, when the grace is over.
            return Ok(false);
        }
        let cleaned = clean::clean(&self.store, &state, self.settings.grace, now, report).await?;
        Ok(settled && cleaned)
    }

    /// Files that are to be taken, and whether none will be due later without the folder changing.
    fn due(&self, state: &Hour, now: Micros) -> (bool, Vec<(FileName, Found)>) {
        let over = now.minus(self.settings.older_than);
        let end = Micros::from_secs(state.hour.saturating_add(1).saturating_mul(3_600));
        let mut waiting = false;
        let mut due = Vec::new();
        for (name, found) in &state.files {
            // A schema that this program does not know belongs to a newer one, and waits for it.
            if by_fingerprint(name.schema).is_none() {
                continue;
            }
            if end <= over && found.modified() <= over {
                due.push((name.clone(), found.clone()));
            } else {
                waiting = true;
            }
        }
        (!waiting, due)
    }

    async fn compact(
        &self,
        state: &Hour,
        due: Vec<(FileName, Found)>,
        now: Micros,
        report: &mut Report,
    ) -> Result<(), CompactError> {
        let Some(kind) = TYPES.iter().find(|kind| kind.name == state.kind) else {
            report.fault(state.folder(), "a type that this program does not know");
            return Ok(());
        };
        let generation = state.generation() + 1;
        if !self.claim(state, generation, now).await? {
            report.contended += 1;
            return Ok(());
        }
        let rows = Rows::of(kind)?;
        let target = self.settings.target_bytes;
        let plan = plan::plan(&self.store, state, due, rows.schema(), target).await?;
        let about = [("type", state.kind.clone()), ("generation", generation.to_string())];
        let parts = Parts::new(rows.schema().clone(), target, self.settings.zstd_level, generation, &about)?;
        let mut mill = Mill { rows, parts };
        let mut made = Made::default();
        for run in plan.runs {
            let files = self.fetch(&run).await?;
            let (back, ground) = ground(mill, run, files).await?;
            mill = back;
            for (path, why) in ground.left {
                report.fault(path, why);
            }
            made.taken.extend(ground.taken);
            made.bytes += ground.bytes;
            self.put(state, ground.finished, &mut made).await?;
        }
        let last = mill.parts.finish()?;
        self.put(state, last.into_iter().collect(), &mut made).await?;
        if made.taken.is_empty() {
            return Ok(()); // all that was due is damaged
        }
        self.commit(state, generation, plan.kept, made, now, report).await
    }

    /// Says to others that this generation is being made; `false` when another is at it.
    async fn claim(&self, state: &Hour, generation: u64, now: Micros) -> Result<bool, StoreError> {
        let path = format!("{}/{}", state.folder(), claim_name(generation));
        let text = format!("{{\"instance\":\"{:016x}\"}}", self.instance).into_bytes();
        if self.store.create(&path, &[text.clone().into()]).await? {
            return Ok(true);
        }
        let held = state.unborn.iter().find(|found| found.path == path);
        let running = |found: &Found| now.since(found.modified()) < CLAIM;
        if held.is_some_and(|found| !running(found)) {
            return Ok(true); // whoever made it is gone, or so slow that one of the two works in vain
        }
        Ok(self.store.read(&path).await.is_ok_and(|there| there == text)) // our own, of a pass that failed
    }

    /// The bytes of a run's files.
    async fn fetch(&self, run: &Run) -> Result<Vec<bytes::Bytes>, StoreError> {
        let mut fetched = Vec::new();
        if let Source::Files(files) = &run.from {
            for (_, found) in files {
                fetched.push(self.store.read(&found.path).await?);
            }
        }
        Ok(fetched)
    }

    async fn put(&self, state: &Hour, finished: Vec<Finished>, made: &mut Made) -> Result<(), CompactError> {
        for (part, bytes) in finished {
            let path = format!("{}/{}", state.folder(), part.file);
            // The name says what is in it, so one that is there is this one, from a pass cut off.
            if !self.store.create(&path, &[bytes]).await? && self.store.length(&path).await? != Some(part.bytes) {
                return Err(CompactError::Part { path, why: "is there with another length".to_owned() });
            }
            made.parts.push(part);
        }
        Ok(())
    }

    async fn commit(
        &self,
        state: &Hour,
        generation: u64,
        kept: Vec<Part>,
        made: Made,
        now: Micros,
        report: &mut Report,
    ) -> Result<(), CompactError> {
        let (files, parts) = (made.taken.len() as u64, made.parts.len() as u64);
        let records = made.taken.iter().map(|taken| taken.records).sum::<u64>();
        let part_bytes = made.parts.iter().map(|part| part.bytes).sum::<u64>();
        let mut taken = state.manifest.as_ref().map_or_else(Vec::new, |(manifest, _)| manifest.taken.clone());
        taken.extend(made.taken);
        let manifest = Manifest {
            version: VERSION,
            kind: state.kind.clone(),
            hour: state.hour,
            generation,
            nonce: format!("{:016x}", self.instance),
            committed_us: now.0,
            taken,
            files: kept.into_iter().chain(made.parts).collect(),
        };
        let (path, bytes) = (manifest.path(), serde_json::to_vec(&manifest));
        let bytes = bytes.map_err(|e| CompactError::Internal(e.to_string()))?;
        // What cannot be read back as it stands must not decide anything.
        Manifest::parse(&path, &bytes).map_err(CompactError::Rows)?;
        // A retry of the store's own may find what its first attempt had written.
        if !self.store.create(&path, &[bytes.clone().into()]).await? && self.store.read(&path).await? != bytes {
            report.contended += 1;
            return Ok(());
        }
        tracing::info!(path, files, records, parts, "compacted an hour of the archive");
        report.hours += 1;
        report.files += files;
        report.records += records;
        report.bytes += made.bytes;
        report.parts += parts;
        report.part_bytes += part_bytes;
        Ok(())
    }
}

/// What came out of the runs so far.
#[derive(Default)]
struct Made {
    taken: Vec<Taken>,
    bytes: u64,
    parts: Vec<Part>,
}

/// What a folder shows, in one number.
fn fingerprint(listed: &[Found]) -> u64 {
    let mut hash = Xxh3::new();
    for Found { path, size, modified } in listed {
        hash.update(path.as_bytes());
        hash.update(&size.to_le_bytes());
        hash.update(&modified.timestamp_micros().to_le_bytes());
    }
    hash.digest()
}
