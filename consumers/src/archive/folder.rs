//! The archive's folder on this machine: made, and swept of what a crash left.
//!
//! Sweeping belongs to the start of the process and to nowhere else: a write that ran into its
//! deadline may go on in the background under the same `name#N`, and removing that from under it
//! would let its rename take a file that a later write has just begun under this name.

use super::store::StoreError;
use object_store::local::LocalFileSystem;
use std::path::Path;

/// Makes the folder when it is not there, and opens it. Errors: [`StoreError`].
pub(super) fn open(root: &Path) -> Result<LocalFileSystem, StoreError> {
    std::fs::create_dir_all(root).map_err(failed(root))?;
    if let Some(parent) = root.parent().filter(|p| !p.as_os_str().is_empty()) {
        // The folder's own name must outlive a power cut as its files do.
        std::fs::File::open(parent).and_then(|dir| dir.sync_all()).map_err(failed(parent))?;
    }
    let store = LocalFileSystem::new_with_prefix(root)
        .map_err(|source| StoreError::Open { at: root.display().to_string(), source: Box::new(source) })?;
    Ok(store.with_fsync(true))
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Folder { path, source }
}

/// The root, the type, year, month, day and hour: nothing of ours lies deeper.
const DEEPEST: u32 = 5;

/// Removes the `name#N` that killed writes of the log `log` left below `root`, and says how many;
/// symbolic links are not followed. Errors: [`StoreError::Folder`].
pub(super) fn sweep(root: &Path, log: &str) -> Result<u64, StoreError> {
    sweep_below(root, &format!("{log}-"), 0)
}

fn sweep_below(dir: &Path, log: &str, depth: u32) -> Result<u64, StoreError> {
    let mut swept = 0;
    for entry in std::fs::read_dir(dir).map_err(failed(dir))? {
        let entry = entry.map_err(failed(dir))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(failed(&path))?;
        if kind.is_dir() && depth < DEEPEST {
            swept += sweep_below(&path, log, depth + 1)?;
        } else if kind.is_file() && is_leftover(&entry.file_name().to_string_lossy(), log) {
            std::fs::remove_file(&path).map_err(failed(&path))?;
            tracing::info!(path = %path.display(), "removed what a killed write left");
            swept += 1;
        }
    }
    Ok(swept)
}

fn is_leftover(name: &str, log: &str) -> bool {
    let Some((file, number)) = name.rsplit_once('#') else { return false };
    let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    numbered && file.starts_with(log) && file.ends_with(".avro")
}
