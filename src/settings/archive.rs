//! The archive sink.

use super::SettingsError;
use std::path::PathBuf;
use std::time::Duration;

/// The archive sink.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveSettings {
    /// Folder of the files; default DIR/archive.
    pub root: Option<PathBuf>,
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
}

impl Default for ArchiveSettings {
    fn default() -> Self {
        Self {
            root: None,
            max_rows: 1_000_000,
            max_bytes: 32 << 20,
            max_age: Duration::from_secs(30),
            zstd_level: 3,
            timeout: Duration::from_secs(60),
        }
    }
}

impl ArchiveSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let value = |key, value: &dyn std::fmt::Debug, rule| Err(SettingsError::value(key, format!("{value:?}"), rule));
        if !(1..=10_000_000).contains(&self.max_rows) {
            return value("archive.max_rows", &self.max_rows, "must be 1 to 10_000_000");
        }
        if !(1 << 20..=1 << 30).contains(&self.max_bytes) {
            return value("archive.max_bytes", &self.max_bytes, "must be 1048576 to 1073741824 (1 MiB to 1 GiB)");
        }
        if !(Duration::from_millis(100)..=Duration::from_secs(86_400)).contains(&self.max_age) {
            return value("archive.max_age", &self.max_age, "must be 100ms to 1day");
        }
        if !(0..=19).contains(&self.zstd_level) {
            return value("archive.zstd_level", &self.zstd_level, "must be 1 to 19, or 0 for no compression");
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(3_600)).contains(&self.timeout) {
            return value("archive.timeout", &self.timeout, "must be 1s to 1h");
        }
        Ok(())
    }
}
