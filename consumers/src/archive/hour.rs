//! One type's hour as its folder shows it: what counts, what is dead, what is nobody's.

use super::manifest::{MANIFEST_MAX, Manifest, parse_claim, parse_manifest, parse_part};
use super::marks;
use super::name::{FileName, hour_folder};
use super::store::{ArchiveStore, Found, StoreError};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What is in an hour's folder.
#[derive(Debug, Default)]
pub struct Hour {
    /// The event type.
    pub kind: String,
    /// Hour of the events' time, counted from the epoch in UTC.
    pub hour: i64,
    /// The manifest that holds, with its file.
    pub manifest: Option<(Manifest, Found)>,
    /// Avro files that count beside it.
    pub files: Vec<(FileName, Found)>,
    /// Avro files that it has taken and that are still (or again) there.
    pub taken: Vec<Found>,
    /// Parquet files that it names.
    pub parts: Vec<Found>,
    /// Parquet files, manifests and claims that it has outlived.
    pub dead: Vec<Found>,
    /// Parquet files and claims of the next generation: a compaction under way, or cut off.
    pub unborn: Vec<Found>,
    /// Temporary names of writes under way, or cut off.
    pub leftovers: Vec<Found>,
    /// What no archive writes.
    pub foreign: Vec<Found>,
    /// A manifest that cannot be read, with the reason. Nothing of the hour counts then.
    pub unreadable: Option<(String, String)>,
}

/// How often a folder is listed again when a manifest is gone that was just listed.
const LISTINGS: usize = 5;

/// Lists and sorts the folder of one hour. Errors: [`StoreError`].
pub(super) async fn look(store: &ArchiveStore, kind: &str, hour: i64) -> Result<Hour, StoreError> {
    let folder = hour_folder(kind, hour);
    sort(store, kind, hour, store.list(&folder).await?).await
}

/// Sorts what a listing found in the folder of one hour. Errors: [`StoreError`].
pub(super) async fn sort(
    store: &ArchiveStore,
    kind: &str,
    hour: i64,
    mut listed: Vec<Found>,
) -> Result<Hour, StoreError> {
    let folder = hour_folder(kind, hour);
    for listing in 1.. {
        let newest = listed
            .iter()
            .filter_map(|f| Some((parse_manifest(f.path.rsplit('/').next()?)?, f)))
            .max_by_key(|(g, _)| *g);
        let Some((_, found)) = newest else { break };
        let found = found.clone();
        let read = if found.size > MANIFEST_MAX {
            Ok(Err(format!("it has {} bytes", found.size)))
        } else {
            store.read(&found.path).await.map(|bytes| Manifest::parse(&found.path, &bytes))
        };
        match read {
            Ok(Ok(manifest)) => return Ok(Hour::sorted(kind, hour, Some((manifest, found)), listed)),
            Ok(Err(why)) => {
                let mut sorted = Hour::sorted(kind, hour, None, listed);
                sorted.unreadable = Some((found.path, why));
                return Ok(sorted);
            }
            // A later generation has come and this one was cleared away.
            Err(error) if error.is_not_found() && listing < LISTINGS => listed = store.list(&folder).await?,
            Err(error) => return Err(error),
        }
    }
    Ok(Hour::sorted(kind, hour, None, listed))
}

impl Hour {
    fn sorted(kind: &str, hour: i64, manifest: Option<(Manifest, Found)>, listed: Vec<Found>) -> Hour {
        let mut sorted = Hour { kind: kind.to_owned(), hour, ..Hour::default() };
        let generation = manifest.as_ref().map_or(0, |(m, _)| m.generation);
        let (mut taken, mut live) = (HashMap::new(), HashSet::new());
        if let Some((m, _)) = &manifest {
            taken = m.by_name();
            live.extend(m.files.iter().map(|p| p.file.as_str()));
        }
        let prefix = format!("{}/", hour_folder(kind, hour));
        for found in listed {
            let file = found.path.strip_prefix(&prefix).unwrap_or(&found.path);
            let to = if let Some(name) = FileName::parse(&found.path) {
                if !taken.contains_key(file) {
                    sorted.files.push((name, found));
                    continue;
                }
                &mut sorted.taken
            } else if is_leftover(file) {
                &mut sorted.leftovers
            } else if live.contains(file) {
                &mut sorted.parts
            } else if parse_manifest(file) == Some(generation) {
                continue; // the one that holds
            } else if let Some(of) = parse_part(file).or_else(|| parse_manifest(file)).or_else(|| parse_claim(file)) {
                if of <= generation { &mut sorted.dead } else { &mut sorted.unborn }
            } else {
                &mut sorted.foreign
            };
            to.push(found);
        }
        drop((taken, live));
        sorted.manifest = manifest;
        sorted
    }

    /// The generation that holds; 0 = never compacted.
    #[must_use]
    #[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "what compacts and verifies is of the cluster"))]
    pub fn generation(&self) -> u64 {
        self.manifest.as_ref().map_or(0, |(m, _)| m.generation)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> String {
        hour_folder(&self.kind, self.hour)
    }
}

/// Names that a write under way has: `name#N` in a folder, `.name.tmp.N` on HDFS.
fn is_leftover(file: &str) -> bool {
    file.contains('#') || (file.starts_with('.') && file.contains(".tmp."))
}

/// What is beside the hours.
#[derive(Debug, Default)]
pub(super) struct Days {
    /// Folders of one type's day, below the root.
    pub days: Vec<String>,
    /// Files that lie where no archive puts any.
    pub foreign: Vec<Found>,
}

/// Lists the folders of days of all types, or of one. Errors: [`StoreError`].
pub(super) async fn days(store: &ArchiveStore, kind: Option<&str>) -> Result<Days, StoreError> {
    let mut found = Days::default();
    let (kinds, files) = store.folder("").await?;
    found.foreign.extend(files.into_iter().filter(|f| !is_leftover(&f.path)));
    let mut level: Vec<String> =
        kinds.into_iter().filter(|k| k != marks::FOLDER && kind.is_none_or(|kind| kind == k)).collect();
    for key in ["year=", "month=", "day="] {
        let mut below = Vec::new();
        for folder in level {
            let (folders, files) = store.folder(&folder).await?;
            found.foreign.extend(files);
            for name in folders {
                let path = format!("{folder}/{name}");
                if name.starts_with(key) { below.push(path) } else { found.foreign.extend(store.list(&path).await?) }
            }
        }
        level = below;
    }
    level.sort_unstable();
    found.days = level;
    Ok(found)
}

/// The files of one day by hour, and those that lie where no hour is. Errors: [`StoreError`].
pub(super) async fn hours(
    store: &ArchiveStore,
    day: &str,
) -> Result<(BTreeMap<(String, i64), Vec<Found>>, Vec<Found>), StoreError> {
    let mut hours: BTreeMap<(String, i64), Vec<Found>> = BTreeMap::new();
    let mut foreign = Vec::new();
    for found in store.list(day).await? {
        match FileName::parse_folder(&found.path) {
            Some(place) => hours.entry(place).or_default().push(found),
            None => foreign.push(found),
        }
    }
    Ok((hours, foreign))
}
