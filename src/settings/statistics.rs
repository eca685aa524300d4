//! The statistics sink.

use super::{SecretSource, SettingsError};
use std::path::PathBuf;
use std::time::Duration;

/// The statistics sink.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatisticsSettings {
    /// URL of one ClickHouse; default the local engine.
    pub url: Option<String>,
    /// Instead of `url`: a sharded, replicated ClickHouse. One list of URLs a shard, its replicas.
    /// The place of a shard in the list names it in stored positions: append new ones, move none.
    pub shards: Vec<Vec<String>>,
    /// With `shards`: the name that the cluster has in ClickHouse's `remote_servers`.
    pub cluster: Option<String>,
    /// With `shards`: where the tables' replicas meet in Keeper, ending in `/`; the database's and
    /// the table's name are added. `{shard}` and `{replica}` are the servers' own macros.
    /// Default "/clickhouse/tables/{shard}/".
    pub keeper_path: String,
    /// With `shards`: how many replicas must have an insert before it counts as done; 0 = the
    /// majority. 0 to 100. Default 0.
    pub insert_quorum: u16,
    /// Longest time one consumer may be kept from writing while the others go on; so long
    /// ClickHouse remembers which ranges it has (deduplication window). 1 min to 30 days. Default 15m.
    #[serde(with = "humantime_serde")]
    pub longest_outage: Duration,
    /// User on that ClickHouse; default none. The local engine has its own.
    pub user: Option<String>,
    /// The user's password.
    pub password: SecretSource,
    /// Certificates of the authorities that an https ClickHouse is trusted by (PEM); default
    /// Mozilla's.
    pub ca_file: Option<PathBuf>,
    /// Compression of inserts on their way: "none", "lz4", "zstd", or "auto": lz4, except to
    /// loopback, where it costs more than it saves. Default "auto".
    pub compression: Wire,
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

/// Compression of inserts on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wire {
    /// LZ4, except to loopback.
    #[default]
    Auto,
    /// None.
    None,
    /// LZ4: cheap for both sides.
    Lz4,
    /// Zstandard, level 1: for links that cost money. Only in a build with the cluster profile.
    Zstd,
}

impl Default for StatisticsSettings {
    fn default() -> Self {
        Self {
            url: None,
            shards: Vec::new(),
            cluster: None,
            keeper_path: "/clickhouse/tables/{shard}/".to_owned(),
            insert_quorum: 0,
            longest_outage: Duration::from_secs(15 * 60),
            user: None,
            password: SecretSource::default(),
            ca_file: None,
            compression: Wire::Auto,
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
        self.validate_servers()?;
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
        let outage = Duration::from_secs(60)..=Duration::from_secs(30 * 86_400);
        if !outage.contains(&self.longest_outage) {
            let rule = "must lie between 1m and 30d";
            return Err(SettingsError::value("statistics.longest_outage", shown(self.longest_outage), rule));
        }
        Ok(())
    }

    /// Where the events are written, and with what.
    fn validate_servers(&self) -> Result<(), SettingsError> {
        let bad = |key, value: &str, rule: &str| Err(SettingsError::value(key, value, rule));
        let web = |url: &&String| !url.starts_with("http://") && !url.starts_with("https://");
        if let Some(url) = self.url.iter().find(web) {
            return bad("statistics.url", url, "must begin with http:// or https://");
        }
        if let Some(url) = self.shards.iter().flatten().find(web) {
            return bad("statistics.shards", url, "each must begin with http:// or https://");
        }
        if self.shards.iter().any(Vec::is_empty) || self.shards.len() > 10_000 {
            return bad("statistics.shards", "[]", "a shard has one URL at least, and there are 10000 at most");
        }
        if self.url.is_some() && !self.shards.is_empty() {
            return bad("statistics.url", "", "give `url` or `shards`, not both");
        }
        if self.cluster.is_some() == self.shards.is_empty() {
            let cluster = self.cluster.as_deref().unwrap_or_default();
            return bad("statistics.cluster", cluster, "goes together with `shards`");
        }
        let word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if let Some(name) = self.cluster.iter().find(|n| n.is_empty() || !n.chars().all(word)) {
            return bad("statistics.cluster", name, "must be letters, digits, `_`, `-` and `.`");
        }
        let path = |c: char| c.is_ascii_alphanumeric() || "/_-.{}".contains(c);
        let whole = self.keeper_path.starts_with('/') && self.keeper_path.ends_with('/');
        if !whole || !self.keeper_path.chars().all(path) {
            let rule = "must begin and end with `/`, of letters, digits and `_-.{}`";
            return bad("statistics.keeper_path", &self.keeper_path, rule);
        }
        if self.shards.len() > 1 && !self.keeper_path.contains("{shard}") {
            return bad("statistics.keeper_path", &self.keeper_path, "must hold {shard} when there are several");
        }
        if self.insert_quorum > 100 {
            return bad("statistics.insert_quorum", &self.insert_quorum.to_string(), "must lie between 0 and 100");
        }
        if self.password.is_set() && self.user.is_none() {
            return bad("statistics.password", "…", "goes together with statistics.user");
        }
        Ok(())
    }

    /// How many inserts ClickHouse must remember: as many as are made in `longest_outage`.
    #[must_use]
    pub fn deduplication_window(&self) -> u64 {
        let inserts = u64::from(self.max_inserts_per_second).saturating_mul(self.longest_outage.as_secs());
        inserts.clamp(10_000, 1_000_000)
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

    #[test]
    fn a_cluster_is_given_whole() {
        let shards = vec![vec!["https://a:8443".to_owned(), "https://b:8443".to_owned()]];
        let whole = StatisticsSettings { shards, cluster: Some("main".to_owned()), ..StatisticsSettings::default() };
        whole.validate().unwrap();
        let nameless = StatisticsSettings { cluster: None, ..whole.clone() };
        assert!(nameless.validate().unwrap_err().to_string().contains("statistics.cluster"));
        let both = StatisticsSettings { url: Some("http://c".to_owned()), ..whole.clone() };
        assert!(both.validate().unwrap_err().to_string().contains("not both"));
        let quote = StatisticsSettings { keeper_path: "/a'/".to_owned(), ..whole };
        assert!(quote.validate().unwrap_err().to_string().contains("keeper_path"));
    }

    #[test]
    fn the_window_holds_what_is_inserted_in_the_longest_outage() {
        let settings = StatisticsSettings::default();
        assert_eq!(settings.deduplication_window(), 10_000, "what earlier versions made tables with");
        let longer = StatisticsSettings { longest_outage: Duration::from_secs(3600), ..settings };
        assert_eq!(longer.deduplication_window(), 36_000);
    }
}
