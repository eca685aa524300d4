//! The log on disk: segment size, syncing, quota and retention.

use super::SettingsError;
use std::time::Duration;

/// The log on disk: segment size, syncing, quota and retention.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolSettings {
    /// Size of a segment file; a new one is started when the next group would not fit. 1 MiB to
    /// 4 GiB; at most an eighth of the quota over all partitions is used. Default 64 << 20.
    pub segment_bytes: u64,
    /// How often written groups are synced in the background; readers see only synced ones.
    /// 1 ms to 10 s. Default 20ms.
    #[serde(with = "humantime_serde")]
    pub sync_interval: Duration,
    /// Quota over all partitions; at the quota intake answers 503 until readers have moved on.
    /// At least 16 MiB and four times the largest group. Default 16 << 30.
    pub max_bytes: u64,
    /// Free space that is left on the device for positions, commits and merges. Default 512 << 20.
    pub reserve_bytes: u64,
    /// Largest group (one request) in bytes, frames included; more is 413. 64 KiB to 1 GiB.
    /// Default 32 << 20.
    pub max_group_bytes: usize,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            sync_interval: Duration::from_millis(20),
            max_bytes: 16 << 30,
            reserve_bytes: 512 << 20,
            max_group_bytes: 32 << 20,
        }
    }
}

impl SpoolSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        if !(1 << 20..=4 << 30).contains(&self.segment_bytes) {
            return Err(SettingsError::value("spool.segment_bytes", self.segment_bytes, "must be 1 MiB to 4 GiB"));
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(10)).contains(&self.sync_interval) {
            let given = format!("{:?}", self.sync_interval);
            return Err(SettingsError::value("spool.sync_interval", given, "must be 1 ms to 10 s"));
        }
        if !(64 << 10..=1 << 30).contains(&self.max_group_bytes) {
            return Err(SettingsError::value("spool.max_group_bytes", self.max_group_bytes, "must be 64 KiB to 1 GiB"));
        }
        let least = (16 << 20).max(4 * self.max_group_bytes as u64);
        if self.max_bytes < least {
            let rule = format!("must be at least 16 MiB and four times spool.max_group_bytes, that is {least}");
            return Err(SettingsError::value("spool.max_bytes", self.max_bytes, rule));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_its_bounds_is_named() {
        let good = SpoolSettings::default();
        assert!(good.validate().is_ok());
        let cases: [(SpoolSettings, &str); 4] = [
            (SpoolSettings { segment_bytes: 1000, ..good.clone() }, "spool.segment_bytes"),
            (SpoolSettings { sync_interval: Duration::ZERO, ..good.clone() }, "spool.sync_interval"),
            (SpoolSettings { max_group_bytes: 10, ..good.clone() }, "spool.max_group_bytes"),
            (SpoolSettings { max_bytes: 64 << 20, ..good }, "spool.max_bytes"),
        ];
        for (settings, key) in cases {
            let message = settings.validate().unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
        }
    }
}
