//! The local ClickHouse engine, a child process of `penstock up`.

use super::SettingsError;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The local ClickHouse engine, a child process of `penstock up`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSettings {
    /// Address of ClickHouse's HTTP protocol. Default "127.0.0.1:8123".
    pub listen: SocketAddr,
    /// Host names (without port) accepted in `Host` besides loopback names and the listen address. Default none.
    pub allowed_hosts: Vec<String>,
    /// Path of `libchdb.so`; default: `PENSTOCK_LIBCHDB`, beside the binary, or `.parts/chdb/` above it or above the working folder.
    pub library: Option<PathBuf>,
    /// Most memory the engine may use for all queries together. At least 512 << 20. Default 4 << 30.
    pub max_memory_bytes: u64,
    /// Most memory for one query; no request can raise it. Default 2 << 30.
    pub max_query_memory_bytes: u64,
    /// Queries served at once; more are answered 503 with code 202 (TOO_MANY_SIMULTANEOUS_QUERIES). 1 to 1024. Default 64.
    pub max_queries: usize,
    /// How far the engine steps back when processors are short (the niceness of its threads): intake and balances
    /// come first, and statistics may lag. 0 to 19, or 20: it runs only when nobody else wants the processor, so
    /// questions do not show in intake's answers, and statistics stand still while there is nothing left over.
    /// Default 10.
    pub nice: u8,
    /// Longest SQL text of one request. 1 KiB to 64 MiB. Default 1 << 20.
    pub max_query_bytes: usize,
    /// Largest body of one request, decompressed (the data of an INSERT). Default 1 << 30.
    pub max_body_bytes: u64,
    /// A body of which nothing arrives for this long is given up (408, code 209). Default 30s.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// Longest wait for the engine to become ready (lock, port, loading). Default 60s.
    #[serde(with = "humantime_serde")]
    pub start_timeout: Duration,
    /// Longest time for running queries to end when the engine is stopped; after it they are cut. Default 10s.
    #[serde(with = "humantime_serde")]
    pub stop_timeout: Duration,
    /// An engine through which no query comes for so long is taken for hung, ended and started again. 1s to 1h.
    /// Default 1m.
    #[serde(with = "humantime_serde")]
    pub hang_timeout: Duration,
    /// First and longest wait before a dead engine is started again; doubled from one death to the next. Default 200ms and 30s.
    #[serde(with = "humantime_serde")]
    pub restart_first: Duration,
    /// See `restart_first`.
    #[serde(with = "humantime_serde")]
    pub restart_longest: Duration,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8123)),
            allowed_hosts: Vec::new(),
            library: None,
            max_memory_bytes: 4 << 30,
            max_query_memory_bytes: 2 << 30,
            max_queries: 64,
            nice: 10,
            max_query_bytes: 1 << 20,
            max_body_bytes: 1 << 30,
            body_timeout: Duration::from_secs(30),
            start_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(10),
            hang_timeout: Duration::from_secs(60),
            restart_first: Duration::from_millis(200),
            restart_longest: Duration::from_secs(30),
        }
    }
}

impl EngineSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        if self.max_memory_bytes < 512 << 20 {
            return Err(SettingsError::value(
                "engine.max_memory_bytes",
                self.max_memory_bytes,
                "must be at least 512 MiB (536870912)",
            ));
        }
        if self.max_query_memory_bytes < 16 << 20 || self.max_query_memory_bytes > self.max_memory_bytes {
            let rule = "must lie between 16 MiB (16777216) and engine.max_memory_bytes";
            return Err(SettingsError::value("engine.max_query_memory_bytes", self.max_query_memory_bytes, rule));
        }
        if !(1..=1024).contains(&self.max_queries) {
            return Err(SettingsError::value("engine.max_queries", self.max_queries, "must lie between 1 and 1024"));
        }
        if self.nice > 20 {
            return Err(SettingsError::value("engine.nice", self.nice, "must lie between 0 and 20"));
        }
        if !(1 << 10..=64 << 20).contains(&self.max_query_bytes) {
            return Err(SettingsError::value(
                "engine.max_query_bytes",
                self.max_query_bytes,
                "must lie between 1 KiB and 64 MiB",
            ));
        }
        if self.max_body_bytes < 1 << 20 {
            return Err(SettingsError::value(
                "engine.max_body_bytes",
                self.max_body_bytes,
                "must be at least 1 MiB (1048576)",
            ));
        }
        for (key, d) in [
            ("engine.body_timeout", self.body_timeout),
            ("engine.start_timeout", self.start_timeout),
            ("engine.stop_timeout", self.stop_timeout),
            ("engine.restart_first", self.restart_first),
        ] {
            if d < Duration::from_millis(10) || d > Duration::from_secs(3600) {
                return Err(SettingsError::value(
                    key,
                    humantime_serde::re::humantime::format_duration(d),
                    "must lie between 10ms and 1h",
                ));
            }
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&self.hang_timeout) {
            let shown = humantime_serde::re::humantime::format_duration(self.hang_timeout);
            return Err(SettingsError::value("engine.hang_timeout", shown, "must lie between 1s and 1h"));
        }
        if self.restart_longest < self.restart_first {
            let longest = humantime_serde::re::humantime::format_duration(self.restart_longest);
            return Err(SettingsError::value(
                "engine.restart_longest",
                longest,
                "must not be shorter than engine.restart_first",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_may_not_be_allowed_more_memory_than_the_engine() {
        let settings = EngineSettings { max_query_memory_bytes: 8 << 30, ..EngineSettings::default() };
        let error = settings.validate().map_err(|e| e.to_string());
        assert!(error.is_err_and(|e| e.contains("engine.max_query_memory_bytes")));
    }
}
