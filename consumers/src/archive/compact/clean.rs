//! Removes what a manifest has outlived; [`super`] argues why no moment for it is too late.

use super::{CompactError, Report};
use crate::archive::content::Content;
use crate::archive::hour::Hour;
use crate::archive::manifest::{Manifest, Taken};
use crate::archive::name::FileName;
use crate::archive::store::{ArchiveStore, Found};
use penstock::time::Micros;
use std::time::Duration;

/// A temporary name so old is nobody's any more. One that is removed from under a writer fails its
/// write, which is then repeated.
const LEFT_FOR: Duration = Duration::from_secs(3_600);

/// Clears an hour; `true` when nothing is left to clear as long as its folder does not change.
///
/// Errors: [`CompactError::Store`].
pub(super) async fn clean(
    store: &ArchiveStore,
    state: &Hour,
    grace: Duration,
    now: Micros,
    report: &mut Report,
) -> Result<bool, CompactError> {
    let mut settled = state.leftovers.is_empty() && state.unborn.is_empty();
    for left in &state.leftovers {
        if age(left, now) >= LEFT_FOR {
            remove(store, left, report).await?;
        }
    }
    let Some((manifest, found)) = &state.manifest else { return Ok(settled) };
    if state.dead.is_empty() && state.taken.is_empty() {
        return Ok(settled);
    }
    let committed = now.since(manifest.committed());
    if age(found, now).min(committed) < grace {
        return Ok(false);
    }
    // The records are nowhere else once their files are gone.
    for part in &manifest.files {
        let path = format!("{}/{}", state.folder(), part.file);
        if store.length(&path).await? != Some(part.bytes) {
            report.fault(path, "the manifest's part is missing or not whole; nothing of the hour is removed");
            return Ok(false);
        }
    }
    let by_name = manifest.by_name();
    for file in &state.taken {
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        match by_name.get(name) {
            Some(taken) if is_what_was_taken(store, manifest, taken, file).await? => {
                remove(store, file, report).await?
            }
            _ => {
                report.fault(&file.path, "it has other records than were taken from a file of this name");
                settled = false;
            }
        }
    }
    for dead in &state.dead {
        remove(store, dead, report).await?;
    }
    Ok(settled)
}

fn age(found: &Found, now: Micros) -> Duration {
    now.since(found.modified())
}

async fn remove(store: &ArchiveStore, found: &Found, report: &mut Report) -> Result<(), CompactError> {
    store.remove(&found.path).await?;
    tracing::debug!(path = %found.path, "removed what a compaction has replaced");
    report.removed += 1;
    Ok(())
}

/// Whether the records of the file are those that were taken from one of its name.
async fn is_what_was_taken(
    store: &ArchiveStore,
    manifest: &Manifest,
    taken: &Taken,
    file: &Found,
) -> Result<bool, CompactError> {
    let Some(name): Option<FileName> = manifest.name(taken) else { return Ok(false) };
    let bytes = match store.read(&file.path).await {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(true), // somebody else removed it
        Err(error) => return Err(error.into()),
    };
    let (records, digest) = (taken.records, taken.digest.clone());
    let compare = move || {
        let content = Content::read(&bytes, &name);
        content.is_ok_and(|c| c.len() as u64 == records && format!("{:016x}", c.digest) == digest)
    };
    tokio::task::spawn_blocking(compare).await.map_err(|e| CompactError::Internal(e.to_string()))
}
