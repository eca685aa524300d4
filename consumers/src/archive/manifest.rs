//! What a compaction took and what it made of it: the one file that decides how an hour is read.
//!
//! A manifest is complete: the one with the highest generation says which Avro files were ever
//! taken and which Parquet files hold their records now. It appears whole, under a name that only
//! one compaction can take; with it the Parquet files count and the Avro files it names do not,
//! whether they are still there or brought back by a late writer. What a manifest has declared dead
//! no later one brings to life again, so removing by any manifest, however old, is right.

use super::name::{FileName, hour_folder};
use penstock::time::Micros;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Longest manifest that is read: some hundred thousand files.
pub(super) const MANIFEST_MAX: u64 = 256 << 20;

/// An hour's manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of this format: 1.
    pub version: u32,
    /// The event type.
    pub kind: String,
    /// Hour of the events' time, counted from the epoch in UTC.
    pub hour: i64,
    /// How often the hour was compacted, from 1.
    pub generation: u64,
    /// Tells two compactions apart that made the same generation.
    pub nonce: String,
    /// When, by the clock of who compacted, in microseconds since the epoch.
    pub committed_us: i64,
    /// The Avro files whose records are in `files`, of all generations.
    pub taken: Vec<Taken>,
    /// The Parquet files that hold the records.
    pub files: Vec<Part>,
}

/// An Avro file that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Its name in the hour's folder.
    pub file: String,
    /// Its records.
    pub records: u64,
    /// The records of its whole range, all types and hours; 0 when the file did not say.
    pub range_records: u64,
    /// XXH3 of its datums one behind the other, in hexadecimal: whatever it was compressed with.
    pub digest: String,
}

/// A Parquet file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name in the hour's folder.
    pub file: String,
    /// Its rows.
    pub rows: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// XXH3 of its bytes, in hexadecimal.
    pub xxh3: String,
}

/// The one version of the format.
pub(super) const VERSION: u32 = 1;

impl Manifest {
    /// Reads a manifest that lies at `folder`/`file`. Errors: one sentence.
    pub fn parse(path: &str, bytes: &[u8]) -> Result<Manifest, String> {
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if manifest.version != VERSION {
            return Err(format!("its version is {}, this program knows {VERSION}", manifest.version));
        }
        if manifest.path() != path {
            return Err(format!("it says that it is {}", manifest.path()));
        }
        let known = manifest.taken.iter().all(|taken| manifest.name(taken).is_some());
        let parts = manifest.files.iter().all(|part| parse_part(&part.file).is_some_and(|g| g <= manifest.generation));
        let (taken, rows) = (manifest.records(), manifest.files.iter().fold(0u64, |n, p| n.saturating_add(p.rows)));
        if !known || !parts || taken != rows {
            return Err(format!("it names files that none are, or {taken} records and {rows} rows"));
        }
        Ok(manifest)
    }

    /// Its path below the archive's root.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", hour_folder(&self.kind, self.hour), manifest_name(self.generation))
    }

    /// What the name of a taken file says.
    #[must_use]
    pub fn name(&self, taken: &Taken) -> Option<FileName> {
        FileName::parse(&format!("{}/{}", hour_folder(&self.kind, self.hour), taken.file))
    }

    /// Records of all that was taken.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.taken.iter().fold(0, |n, taken| n.saturating_add(taken.records))
    }

    /// When it was committed.
    #[must_use]
    pub fn committed(&self) -> Micros {
        Micros(self.committed_us)
    }

    /// The taken files by name.
    pub(super) fn by_name(&self) -> HashMap<&str, &Taken> {
        self.taken.iter().map(|taken| (taken.file.as_str(), taken)).collect()
    }
}

/// The name of a generation's manifest.
#[must_use]
pub fn manifest_name(generation: u64) -> String {
    format!("_manifest-{generation:08}.json")
}

/// The generation of a manifest of this name.
#[must_use]
pub fn parse_manifest(file: &str) -> Option<u64> {
    let generation = file.strip_prefix("_manifest-")?.strip_suffix(".json")?.parse().ok()?;
    (manifest_name(generation) == file).then_some(generation)
}

/// The name of the `n`th Parquet file of a generation, by what it holds.
#[must_use]
pub fn part_name(generation: u64, n: usize, xxh3: u64) -> String {
    format!("part-{generation:08}-{n:05}-{xxh3:016x}.parquet")
}

/// The generation of a Parquet file of this name.
#[must_use]
pub fn parse_part(file: &str) -> Option<u64> {
    let mut fields = file.strip_prefix("part-")?.strip_suffix(".parquet")?.split('-');
    let generation = fields.next()?.parse().ok()?;
    let n = fields.next()?.parse().ok()?;
    let xxh3 = u64::from_str_radix(fields.next()?, 16).ok()?;
    (part_name(generation, n, xxh3) == file).then_some(generation)
}

/// The name of the note that somebody is making this generation.
pub(super) fn claim_name(generation: u64) -> String {
    format!("_claim-{generation:08}.json")
}

/// The generation of a claim of this name.
pub(super) fn parse_claim(file: &str) -> Option<u64> {
    let generation = file.strip_prefix("_claim-")?.strip_suffix(".json")?.parse().ok()?;
    (claim_name(generation) == file).then_some(generation)
}
