//! The archive's store: a folder, HDFS or S3 behind one boundary, every call under a deadline.
//!
//! A name is published once and whole: a folder and HDFS write aside and rename, S3 puts on the
//! condition that nothing is there. A range's names and bytes are a function of the range, so what
//! is there already is compared and, when it is the same, kept.

use super::container::Finished;
use super::folder;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use object_store::path::Path as ObjectPath;
use object_store::{Error, GetOptions, GetResultPayload, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};
use penstock::pipeline::SinkError;
use penstock::settings::{ArchiveLocation, ArchiveSettings};
use penstock::telemetry::archive::ArchiveMetrics;
use penstock::time::Micros;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Files of a folder that are written at the same time: their syncs overlap.
const FILES_AT_ONCE: usize = 8;
/// The same of a remote store, where each waits for the network (HDFS: half a second to close).
const OBJECTS_AT_ONCE: usize = 16;
/// Most entries of one listing, a day of one type: some hundred megabytes.
const LISTED_MAX: usize = 2_000_000;

/// Why the archive cannot be opened or read.
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
    /// The store cannot be used with these settings.
    #[error("the archive {at}: {source}")]
    Open {
        /// Folder or URL.
        at: String,
        /// From the object store.
        #[source]
        source: Box<Error>,
    },
    /// The address or an option cannot be used.
    #[error("the archive {at}: {why}")]
    Settings {
        /// The URL.
        at: String,
        /// What is wrong.
        why: String,
    },
    /// A file or a folder of the store cannot be read, written or removed.
    #[error("the archive's {path}: {source}")]
    Access {
        /// Path below the archive's root.
        path: String,
        /// From the object store.
        #[source]
        source: Box<Error>,
    },
    /// No answer in time.
    #[error("the archive's {path}: no answer within {timeout:?}")]
    Timeout {
        /// Path below the archive's root.
        path: String,
        /// `archive.timeout`.
        timeout: Duration,
    },
    /// A folder has more files than are listed at once.
    #[error("the archive's {path} has more than {LISTED_MAX} files")]
    TooMany {
        /// Path below the archive's root.
        path: String,
    },
}

impl StoreError {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, StoreError::Access { source, .. } if matches!(**source, Error::NotFound { .. }))
    }
}

/// What an error means for the pipeline. Whether a failed write left its file does not matter: it
/// is written again, or found there and compared.
impl From<StoreError> for SinkError {
    fn from(error: StoreError) -> SinkError {
        let why = error.to_string();
        match error {
            StoreError::Timeout { .. } => SinkError::Unknown(why),
            StoreError::Access { source, .. } => match *source {
                Error::NotSupported { .. }
                | Error::NotImplemented { .. }
                | Error::InvalidPath { .. }
                | Error::UnknownConfigurationKey { .. } => SinkError::Fatal(why),
                // Among them a full disk and missing rights, which an operator can put right.
                _ => SinkError::Retry(why),
            },
            _ => SinkError::Fatal(why),
        }
    }
}

/// How a name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publish {
    /// By a rename that replaces what is there.
    Replace,
    /// Only when nothing is there; what is there is compared.
    Create,
}

/// A file or an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Path below the archive's root.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// When it was written, by the store's clock.
    pub modified: DateTime<Utc>,
}

impl Found {
    /// When it was written, as a number.
    #[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "what compacts and verifies is of the cluster"))]
    pub(super) fn modified(&self) -> Micros {
        Micros(self.modified.timestamp_micros())
    }
}

/// The archive's store. Cheap to clone; made once a process and shared by all partitions' sinks.
#[derive(Clone, Debug)]
pub struct ArchiveStore {
    store: Arc<dyn ObjectStore>,
    publish: Publish,
    timeout: Duration,
    at: Arc<str>,
    pub(super) metrics: ArchiveMetrics,
}

impl ArchiveStore {
    /// Opens the folder `root`, makes it when it is not there, and removes what writes of `log`
    /// left behind when an earlier process was killed. Each operation then takes at most `timeout`.
    ///
    /// Blocks while it walks the folder: call it where that is allowed. Errors: [`StoreError`].
    pub fn open(root: &Path, log: &str, timeout: Duration, metrics: ArchiveMetrics) -> Result<Self, StoreError> {
        let store = folder::open(root)?;
        metrics.swept.inc_by(folder::sweep(root, log)?);
        Ok(Self::over(Arc::new(store), timeout, metrics).named(root.display().to_string()))
    }

    /// Opens what the settings name: a folder (`default_root` when they name none), HDFS or S3.
    /// Nothing is swept; of a remote store nothing is asked yet.
    ///
    /// Errors: [`StoreError`], in a build without the cluster profile also for remote stores.
    pub fn connect(
        settings: &ArchiveSettings,
        default_root: &Path,
        metrics: ArchiveMetrics,
    ) -> Result<Self, StoreError> {
        match settings.location(default_root) {
            ArchiveLocation::Folder(root) => {
                let store = Arc::new(folder::open(&root)?);
                Ok(Self::over(store, settings.timeout, metrics).named(root.display().to_string()))
            }
            #[cfg(feature = "cluster")]
            ArchiveLocation::Remote(url) => {
                let store = super::remote::open(&url, settings)?;
                Ok(Self { publish: Publish::Create, ..Self::over(store, settings.timeout, metrics).named(url) })
            }
            #[cfg(not(feature = "cluster"))]
            ArchiveLocation::Remote(url) => {
                let why = "this build has no HDFS and no S3; it needs the feature `cluster`".to_owned();
                Err(StoreError::Settings { at: url, why })
            }
        }
    }

    /// Over a store that is opened already: another file system, or a test's.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>, timeout: Duration, metrics: ArchiveMetrics) -> Self {
        let at = store.to_string().into();
        ArchiveStore { store, publish: Publish::Replace, timeout, at, metrics }
    }

    fn named(mut self, at: String) -> Self {
        self.at = at.into();
        self
    }

    /// The same store, with names taken as S3 and HDFS do it.
    #[cfg(all(test, feature = "cluster"))]
    pub(super) fn creating(mut self) -> Self {
        self.publish = Publish::Create;
        self
    }

    fn at_once(&self) -> usize {
        match self.publish {
            Publish::Replace => FILES_AT_ONCE,
            Publish::Create => OBJECTS_AT_ONCE,
        }
    }

    /// Where it is: a folder or a URL, for messages.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Writes files; each appears whole, or not at all. Identical files may be there already.
    ///
    /// Errors: [`StoreError`]; any of the files may have appeared.
    pub(super) async fn write(&self, files: &[Finished]) -> Result<(), StoreError> {
        stream::iter(files).map(|file| self.put(file)).buffer_unordered(self.at_once()).try_collect().await
    }

    async fn put(&self, file: &Finished) -> Result<(), StoreError> {
        let parts = [file.header.clone(), file.blocks.clone()];
        self.publish(&file.path, &parts).await?;
        self.metrics.wrote(file.len(), file.records);
        Ok(())
    }

    /// Puts a file whose bytes follow from its name: what is there already is the same, or was
    /// written by a version that compressed otherwise and is replaced.
    pub(super) async fn publish(&self, path: &str, parts: &[Bytes]) -> Result<(), StoreError> {
        if self.publish == Publish::Create {
            if self.create(path, parts).await? {
                return Ok(());
            }
            let there = self.read(path).await?;
            if same(&there, parts) {
                return Ok(());
            }
            tracing::warn!(path, at = %self.at, "a file of this range is there with other bytes; it is replaced");
        }
        self.put_as(path, parts, PutMode::Overwrite).await
    }

    /// Puts a file when there is none of this name; otherwise does nothing and says `false`.
    pub(super) async fn create(&self, path: &str, parts: &[Bytes]) -> Result<bool, StoreError> {
        match self.put_as(path, parts, PutMode::Create).await {
            Ok(()) => Ok(true),
            Err(StoreError::Access { source, .. }) if matches!(*source, Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn put_as(&self, path: &str, parts: &[Bytes], mode: PutMode) -> Result<(), StoreError> {
        let at = parse(path)?;
        let payload: PutPayload = parts.iter().cloned().collect();
        self.within(path, self.store.put_opts(&at, payload, mode.into())).await.map(drop)
    }

    /// Whether each of the files is there with its length.
    pub(super) async fn holds(&self, files: &[Finished]) -> Result<bool, StoreError> {
        let lengths = stream::iter(files).map(|file| self.length(&file.path)).buffered(self.at_once());
        let lengths: Vec<Option<u64>> = lengths.try_collect().await?;
        Ok(lengths.iter().zip(files).all(|(length, file)| *length == Some(file.len() as u64)))
    }

    /// The length of a file, `None` when there is none.
    pub(super) async fn length(&self, path: &str) -> Result<Option<u64>, StoreError> {
        let at = parse(path)?;
        match self.within(path, self.store.head(&at)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A whole file.
    pub(super) async fn read(&self, path: &str) -> Result<Bytes, StoreError> {
        let at = parse(path)?;
        self.within(path, async { self.store.get(&at).await?.bytes().await }).await
    }

    /// A part of a file, as far as there is one.
    pub(super) async fn read_part(&self, path: &str, part: std::ops::Range<u64>) -> Result<Bytes, StoreError> {
        let at = parse(path)?;
        self.within(path, self.store.get_range(&at, part)).await
    }

    /// The open file itself, when the store is a folder.
    pub(super) async fn local(&self, path: &str) -> Result<Option<File>, StoreError> {
        if self.publish == Publish::Create {
            return Ok(None); // remote: asking would begin to fetch it
        }
        let at = parse(path)?;
        let opened = self.within(path, self.store.get_opts(&at, GetOptions::default())).await?;
        Ok(match opened.payload {
            GetResultPayload::File(file, _) => Some(file),
            GetResultPayload::Stream(_) => None,
        })
    }

    /// Removes a file; one that is not there is removed.
    #[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "what compacts and verifies is of the cluster"))]
    pub(super) async fn remove(&self, path: &str) -> Result<(), StoreError> {
        let at = parse(path)?;
        match self.within(path, self.store.delete(&at)).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// Folders and files directly below a folder (`""`: the root); folders without their own path
    /// in front.
    pub(super) async fn folder(&self, path: &str) -> Result<(Vec<String>, Vec<Found>), StoreError> {
        let at = if path.is_empty() { None } else { Some(parse(path)?) };
        let listed = self.within(path, self.store.list_with_delimiter(at.as_ref())).await?;
        let folders = listed.common_prefixes.iter().filter_map(|p| p.filename().map(str::to_owned)).collect();
        Ok((folders, listed.objects.into_iter().map(found).collect()))
    }

    /// All files below a folder, sorted by path; each step of the listing has its deadline.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<Found>, StoreError> {
        let at = parse(path)?;
        let mut listing = self.store.list(Some(&at));
        let mut files = Vec::new();
        while let Some(meta) = self.within(path, async { listing.next().await.transpose() }).await? {
            if files.len() == LISTED_MAX {
                return Err(StoreError::TooMany { path: path.to_owned() });
            }
            files.push(found(meta));
        }
        files.sort_unstable_by(|a: &Found, b: &Found| a.path.cmp(&b.path));
        Ok(files)
    }

    async fn within<T>(&self, path: &str, call: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(result) => {
                result.map_err(|source| StoreError::Access { path: path.to_owned(), source: Box::new(source) })
            }
            Err(_) => {
                self.metrics.timeouts.inc();
                Err(StoreError::Timeout { path: path.to_owned(), timeout: self.timeout })
            }
        }
    }
}

fn found(meta: object_store::ObjectMeta) -> Found {
    Found { path: meta.location.to_string(), size: meta.size, modified: meta.last_modified }
}

fn same(there: &[u8], parts: &[Bytes]) -> bool {
    let mut rest = there;
    for part in parts {
        match rest.split_at_checked(part.len()) {
            Some((begin, behind)) if begin == part => rest = behind,
            _ => return false,
        }
    }
    rest.is_empty()
}

fn parse(path: &str) -> Result<ObjectPath, StoreError> {
    ObjectPath::parse(path)
        .map_err(|e| StoreError::Access { path: path.to_owned(), source: Box::new(Error::InvalidPath { source: e }) })
}
