//! The statistics sink.

use super::SettingsError;
use std::time::Duration;

/// The statistics sink.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatisticsSettings {
    /// ClickHouse URL; default the local engine.
    pub url: Option<String>,
    /// User on that URL; default none. The local engine has its own.
    pub user: Option<String>,
    /// Name of the environment variable that holds the user's password. Default none.
    pub password_env: Option<String>,
    /// Database name: letters, digits and `_`. Default "penstock".
    pub database: String,
    /// Rows of one insert (one block). 1 to 1_000_000. Default 65_536.
    pub max_rows: usize,
    /// Bytes of one insert before decoding. 1 KiB to 256 MiB. Default 32 << 20.
    pub max_bytes: usize,
    /// Longest time a row waits for others. 1 ms to 5 min. Default 1s.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// Most inserts a second into the table, all partitions of the logs together; each makes parts
    /// that ClickHouse must merge. 1 to 1_000. Default 10.
    pub max_inserts_per_second: u32,
    /// Longest time for one insert; after it the outcome is unknown and the table is asked. Default 60s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for StatisticsSettings {
    fn default() -> Self {
        Self {
            url: None,
            user: None,
            password_env: None,
            database: "penstock".to_owned(),
            max_rows: 65_536,
            max_bytes: 32 << 20,
            max_age: Duration::from_secs(1),
            max_inserts_per_second: 10,
            timeout: Duration::from_secs(60),
        }
    }
}

impl StatisticsSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = &self.database;
        if name.is_empty()
            || name.len() > 64
            || !name.chars().all(word)
            || name.starts_with(|c: char| c.is_ascii_digit())
        {
            let rule = "must be 1 to 64 letters, digits and `_`, not beginning with a digit";
            return Err(SettingsError::value("statistics.database", name, rule));
        }
        if let Some(url) = self.url.as_ref().filter(|url| !url.starts_with("http://")) {
            return Err(SettingsError::value("statistics.url", url, "must begin with http://"));
        }
        if !(1..=1_000_000).contains(&self.max_rows) {
            return Err(SettingsError::value("statistics.max_rows", self.max_rows, "must lie between 1 and 1000000"));
        }
        if !(1 << 10..=256 << 20).contains(&self.max_bytes) {
            let rule = "must lie between 1 KiB (1024) and 256 MiB (268435456)";
            return Err(SettingsError::value("statistics.max_bytes", self.max_bytes, rule));
        }
        if !(1..=1_000).contains(&self.max_inserts_per_second) {
            let rule = "must lie between 1 and 1000";
            return Err(SettingsError::value("statistics.max_inserts_per_second", self.max_inserts_per_second, rule));
        }
        let shown = |d| humantime_serde::re::humantime::format_duration(d).to_string();
        if !(Duration::from_millis(1)..=Duration::from_secs(300)).contains(&self.max_age) {
            return Err(SettingsError::value("statistics.max_age", shown(self.max_age), "must lie between 1ms and 5m"));
        }
        if !(Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&self.timeout) {
            return Err(SettingsError::value(
                "statistics.timeout",
                shown(self.timeout),
                "must lie between 100ms and 1h",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_name_cannot_carry_sql() {
        for database in ["", "a.b", "a`; DROP", "1a", "ä"] {
            let settings = StatisticsSettings { database: database.to_owned(), ..StatisticsSettings::default() };
            assert!(settings.validate().is_err(), "{database}");
        }
    }
}
