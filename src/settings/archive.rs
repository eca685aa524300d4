//! The archive sink, and the compaction of what it wrote.

use super::{SecretSource, SettingsError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The archive sink.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveSettings {
    /// Folder of the files; default DIR/archive.
    pub root: Option<PathBuf>,
    /// Where the files are instead of `root`: `file:///folder`, `hdfs://host:port/path` (or
    /// `hdfs://nameservice/path`), `s3://bucket/prefix`. Default none.
    pub url: Option<String>,
    /// Records of one range. 1 to 10_000_000. Default 1_000_000.
    pub max_rows: usize,
    /// Bytes of one range before compression: a partition's sink holds so much twice. 1 MiB to
    /// 1 GiB. Default 32 MiB.
    pub max_bytes: usize,
    /// A file appears at the latest so long after its first event. 100 ms to a day. Default 30s.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// Compression level of the `zstandard` codec, 1 to 19; 0 = codec `null`. Default 3.
    pub zstd_level: i32,
    /// Longest time for one file operation; after it the range is looked at again. 1 s to 1 h.
    /// Default 60s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The compaction of an hour's files into Parquet.
    pub compact: CompactSettings,
    /// What the store of `url` is told besides: Hadoop's own properties (`dfs.ha.namenodes.…`,
    /// `hadoop.security.authentication`) and `user`, `kerberos.principal`, `kerberos.keytab`,
    /// `kerberos.cache`, `config.dir`; of S3 `region`, `endpoint`, `allow_http`, `access_key_id`, ….
    pub options: BTreeMap<String, String>,
    /// Options that are secrets, e.g. `secret_access_key`.
    pub secrets: BTreeMap<String, SecretSource>,
}

/// The compaction of an hour's files into Parquet.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompactSettings {
    /// `penstock consume archive` compacts so often by itself; none = only by command. 1 min to
    /// 7 days. Default none.
    #[serde(with = "humantime_serde")]
    pub every: Option<Duration>,
    /// An hour is compacted when it ended so long ago, and takes the files that are at least so
    /// old. 0 s to 365 days. Default 2h.
    #[serde(with = "humantime_serde")]
    pub older_than: Duration,
    /// Parquet files are closed when they reach so many bytes. 1 MiB to 4 GiB; a compaction holds
    /// one in memory. Default 128 MiB.
    pub target_bytes: usize,
    /// Files that a compaction replaced are removed so much later, so that whoever had listed
    /// them can still read them. 0 s to 7 days. Default 15min.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// Compression level of Parquet's zstd, 1 to 19. Default 3.
    pub zstd_level: i32,
}

impl Default for ArchiveSettings {
    fn default() -> Self {
        Self {
            root: None,
            url: None,
            max_rows: 1_000_000,
            max_bytes: 32 << 20,
            max_age: Duration::from_secs(30),
            zstd_level: 3,
            timeout: Duration::from_secs(60),
            compact: CompactSettings::default(),
            options: BTreeMap::new(),
            secrets: BTreeMap::new(),
        }
    }
}

impl Default for CompactSettings {
    fn default() -> Self {
        Self {
            every: None,
            older_than: Duration::from_secs(2 * 3_600),
            target_bytes: 128 << 20,
            grace: Duration::from_secs(15 * 60),
            zstd_level: 3,
        }
    }
}

const DAY: Duration = Duration::from_secs(86_400);

impl ArchiveSettings {
    /// Where the files are: `url` as it stands, else the folder `root`, else `default_root`.
    #[must_use]
    pub fn location(&self, default_root: &Path) -> ArchiveLocation {
        match (&self.url, &self.root) {
            (Some(url), _) => match url.strip_prefix("file://") {
                Some(path) => ArchiveLocation::Folder(PathBuf::from(path)),
                None => ArchiveLocation::Remote(url.clone()),
            },
            (None, Some(root)) => ArchiveLocation::Folder(root.clone()),
            (None, None) => ArchiveLocation::Folder(default_root.to_owned()),
        }
    }

    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let value = |key, value: &dyn std::fmt::Debug, rule| Err(SettingsError::value(key, format!("{value:?}"), rule));
        if let Some(url) = &self.url {
            if self.root.is_some() {
                return value("archive.url", url, "give `root` or `url`, not both");
            }
            let known = ["file:///", "hdfs://", "s3://"].iter().any(|s| url.len() > s.len() && url.starts_with(s));
            if !known || url.contains(['?', '#', '@']) {
                return value(
                    "archive.url",
                    url,
                    "must be file:///folder, hdfs://host:port/path or s3://bucket/prefix",
                );
            }
        }
        if !(1..=10_000_000).contains(&self.max_rows) {
            return value("archive.max_rows", &self.max_rows, "must be 1 to 10_000_000");
        }
        if !(1 << 20..=1 << 30).contains(&self.max_bytes) {
            return value("archive.max_bytes", &self.max_bytes, "must be 1048576 to 1073741824 (1 MiB to 1 GiB)");
        }
        if !(Duration::from_millis(100)..=DAY).contains(&self.max_age) {
            return value("archive.max_age", &self.max_age, "must be 100ms to 1day");
        }
        if !(0..=19).contains(&self.zstd_level) {
            return value("archive.zstd_level", &self.zstd_level, "must be 1 to 19, or 0 for no compression");
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(3_600)).contains(&self.timeout) {
            return value("archive.timeout", &self.timeout, "must be 1s to 1h");
        }
        if let Some(name) = self.secrets.keys().find(|name| self.options.contains_key(*name)) {
            return value("archive.secrets", name, "this option is given in archive.options too");
        }
        self.compact.validate()
    }
}

impl CompactSettings {
    fn validate(&self) -> Result<(), SettingsError> {
        let value = |key, value: &dyn std::fmt::Debug, rule| Err(SettingsError::value(key, format!("{value:?}"), rule));
        if self.every.is_some_and(|every| !(Duration::from_secs(60)..=7 * DAY).contains(&every)) {
            return value("archive.compact.every", &self.every, "must be 1min to 7days");
        }
        if self.older_than > 365 * DAY {
            return value("archive.compact.older_than", &self.older_than, "must be at most 365days");
        }
        if !(1 << 20..=4 << 30).contains(&self.target_bytes) {
            return value("archive.compact.target_bytes", &self.target_bytes, "must be 1 MiB to 4 GiB");
        }
        if self.grace > 7 * DAY {
            return value("archive.compact.grace", &self.grace, "must be at most 7days");
        }
        if !(1..=19).contains(&self.zstd_level) {
            return value("archive.compact.zstd_level", &self.zstd_level, "must be 1 to 19");
        }
        Ok(())
    }
}

/// Where the archive's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveLocation {
    /// A folder of this machine.
    Folder(PathBuf),
    /// `hdfs://…` or `s3://…` (cluster profile).
    Remote(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_store_and_a_folder_stays_a_folder() {
        let at = |url: &str| ArchiveSettings { url: Some(url.to_owned()), ..ArchiveSettings::default() };
        for good in ["file:///srv/a", "hdfs://nn:9000/ads", "s3://bucket/ads"] {
            assert!(at(good).validate().is_ok(), "{good}");
        }
        for bad in ["/srv/a", "file://", "s3://", "http://x/y", "s3://key@bucket", "hdfs://nn/a?b=c"] {
            assert!(at(bad).validate().is_err(), "{bad}");
        }
        let default = Path::new("data/archive");
        assert_eq!(at("file:///srv/a").location(default), ArchiveLocation::Folder("/srv/a".into()));
        assert_eq!(at("s3://b/p").location(default), ArchiveLocation::Remote("s3://b/p".to_owned()));
        assert_eq!(ArchiveSettings::default().location(default), ArchiveLocation::Folder(default.to_owned()));
        let both = ArchiveSettings { root: Some("x".into()), ..at("s3://b/p") };
        assert!(both.validate().is_err());
    }
}
