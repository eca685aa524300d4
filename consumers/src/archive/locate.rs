//! Where one record lies in the archive, by the names of its hour's files alone: nothing is read.

use super::hour;
use super::name::hour_folder;
use super::store::{ArchiveStore, StoreError};
use penstock::log::{LogId, Offset};
use penstock::time::Micros;

/// Where a record lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Path below the archive's root: of the file; of the hour's folder when the record is not
    /// there yet, or is in one of several compacted files.
    pub path: String,
    /// Whether a file of its hour has taken the range it stood in.
    pub found: bool,
}

/// Looks for the record at `offset` of `log`, of an event of type `kind` that happened at `time`.
///
/// A type that is no folder's name is not there. Errors: [`StoreError`] when the hour cannot be
/// listed.
pub async fn locate(
    store: &ArchiveStore,
    kind: &str,
    time: Micros,
    log: &LogId,
    offset: Offset,
) -> Result<Located, StoreError> {
    let folder = hour_folder(kind, time.hour());
    if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
        return Ok(Located { path: folder, found: false });
    }
    let hour = match hour::look(store, kind, time.hour()).await {
        Err(error) if error.is_not_found() => return Ok(Located { path: folder, found: false }),
        looked => looked?,
    };
    let holds = |name: &super::name::FileName| name.log == *log && (name.range.from..name.range.to).contains(&offset);
    if let Some((_, file)) = hour.files.iter().find(|(name, _)| holds(name)) {
        return Ok(Located { path: file.path.clone(), found: true });
    }
    if let Some((manifest, _)) = &hour.manifest
        && manifest.taken.iter().filter_map(|taken| manifest.name(taken)).any(|name| holds(&name))
    {
        let path = match manifest.files.as_slice() {
            [one] => format!("{folder}/{}", one.file),
            _ => folder,
        };
        return Ok(Located { path, found: true });
    }
    Ok(Located { path: folder, found: false })
}
