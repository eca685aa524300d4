//! The archive's folder: opened once a process, swept of what a crash left, written under deadlines.
//!
//! Sweeping belongs to the start of the process and to nowhere else: a write that ran into its
//! deadline may go on in the background under the same `name#N`, and removing that from under it
//! would let its rename take a file that a later write has just begun under this name.

use super::container::Finished;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutPayload};
use penstock::pipeline::SinkError;
use penstock::telemetry::archive::ArchiveMetrics;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Files that are written at the same time: their syncs overlap.
const FILES_AT_ONCE: usize = 8;

/// Why the archive cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made, read or swept.
    #[error("the archive folder {path}: {source}")]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// The object store refuses the folder.
    #[error("the archive folder {path}: {source}")]
    Store {
        /// The folder.
        path: PathBuf,
        /// From the object store.
        #[source]
        source: Box<Error>,
    },
}

/// The archive's folder. Cheap to clone; made once a process and shared by all partitions' sinks.
#[derive(Clone, Debug)]
pub struct ArchiveStore {
    store: Arc<dyn ObjectStore>,
    timeout: Duration,
    pub(super) metrics: ArchiveMetrics,
}

impl ArchiveStore {
    /// Opens `root`, makes it when it is not there, and removes what writes of `log` left behind
    /// when an earlier process was killed. Each operation then takes at most `timeout`.
    ///
    /// Blocks while it walks the folder: call it where that is allowed. Errors: [`StoreError`].
    pub fn open(root: &Path, log: &str, timeout: Duration, metrics: ArchiveMetrics) -> Result<Self, StoreError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Folder { path, source }
        };
        std::fs::create_dir_all(root).map_err(at(root))?;
        if let Some(parent) = root.parent().filter(|p| !p.as_os_str().is_empty()) {
            // The folder's own name must outlive a power cut as its files do.
            std::fs::File::open(parent).and_then(|dir| dir.sync_all()).map_err(at(parent))?;
        }
        let swept = sweep(root, &format!("{log}-"), 0)?;
        metrics.swept.inc_by(swept);
        let store = LocalFileSystem::new_with_prefix(root)
            .map_err(|source| StoreError::Store { path: root.to_owned(), source: Box::new(source) })?;
        Ok(Self::over(Arc::new(store.with_fsync(true)), timeout, metrics))
    }

    /// Over a store that is opened already: another file system, or a test's.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>, timeout: Duration, metrics: ArchiveMetrics) -> Self {
        ArchiveStore { store, timeout, metrics }
    }

    /// Writes files; each appears whole, or not at all. Identical files may be there already.
    ///
    /// Errors: [`SinkError`]; any of the files may have appeared.
    pub(super) async fn write(&self, files: &[Finished]) -> Result<(), SinkError> {
        stream::iter(files).map(|file| self.put(file)).buffer_unordered(FILES_AT_ONCE).try_collect().await
    }

    async fn put(&self, file: &Finished) -> Result<(), SinkError> {
        let path = parse(&file.path)?;
        let payload: PutPayload = [file.header.clone(), file.blocks.clone()].into_iter().collect();
        // The default mode replaces what is there by a rename: what is there has the same bytes.
        self.within(&file.path, self.store.put(&path, payload)).await?;
        self.metrics.wrote(file.len(), file.records);
        Ok(())
    }

    /// Whether each of the files is there with its length.
    pub(super) async fn holds(&self, files: &[Finished]) -> Result<bool, SinkError> {
        let lengths = stream::iter(files).map(|file| self.length(&file.path)).buffered(FILES_AT_ONCE);
        let lengths: Vec<Option<u64>> = lengths.try_collect().await?;
        Ok(lengths.iter().zip(files).all(|(length, file)| *length == Some(file.len() as u64)))
    }

    async fn length(&self, name: &str) -> Result<Option<u64>, SinkError> {
        let path = parse(name)?;
        let head = async {
            match self.store.head(&path).await {
                Ok(meta) => Ok(Some(meta.size)),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.within(name, head).await
    }

    async fn within<T>(&self, name: &str, call: impl Future<Output = Result<T, Error>>) -> Result<T, SinkError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(result) => result.map_err(|error| classify(name, &error)),
            Err(_) => {
                self.metrics.timeouts.inc();
                Err(SinkError::Unknown(format!("{name}: no answer within {:?}", self.timeout)))
            }
        }
    }
}

fn parse(name: &str) -> Result<ObjectPath, SinkError> {
    ObjectPath::parse(name).map_err(|e| SinkError::Fatal(format!("{name} cannot be a path of the archive: {e}")))
}

/// What an error means. Whether a failed write left its file does not matter: it is written again.
fn classify(name: &str, error: &Error) -> SinkError {
    let why = format!("{name}: {error}");
    match error {
        Error::NotSupported { .. }
        | Error::NotImplemented { .. }
        | Error::InvalidPath { .. }
        | Error::UnknownConfigurationKey { .. } => SinkError::Fatal(why),
        // Among them a full disk and missing rights, which an operator can put right meanwhile.
        _ => SinkError::Retry(why),
    }
}

/// The root, the type, year, month, day and hour: nothing of ours lies deeper.
const DEEPEST: u32 = 5;

/// Removes the `name#N` that a killed write of this log left; symbolic links are not followed.
fn sweep(dir: &Path, log: &str, depth: u32) -> Result<u64, StoreError> {
    let failed = |path: &Path, source| StoreError::Folder { path: path.to_owned(), source };
    let mut swept = 0;
    for entry in std::fs::read_dir(dir).map_err(|e| failed(dir, e))? {
        let entry = entry.map_err(|e| failed(dir, e))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(|e| failed(&path, e))?;
        if kind.is_dir() && depth < DEEPEST {
            swept += sweep(&path, log, depth + 1)?;
        } else if kind.is_file() && is_leftover(&entry.file_name().to_string_lossy(), log) {
            std::fs::remove_file(&path).map_err(|e| failed(&path, e))?;
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
