//! The HTTP front of the sidecar: addresses, workers, connection bounds, the stop list.

use super::SettingsError;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The HTTP front of the sidecar: addresses, workers, connection bounds, the stop list.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SidecarSettings {
    /// Address of the HTTP listener; port 0 takes a free one. Default "127.0.0.1:7070".
    pub listen: SocketAddr,
    /// Path of an additional Unix socket; absent = none. Created with mode 0660.
    pub unix_socket: Option<PathBuf>,
    /// Worker threads, each with its own spool partition, at most 256; 0 = one a core, but four at most.
    /// Each takes some 100 000 requests of one event a second. Default 0.
    pub workers: usize,
    /// Connections served at once, over all workers; 1 000 to 1 000 000, further ones wait to be
    /// accepted. Default 25_000.
    pub max_connections: usize,
    /// Longest time for a request head to arrive; 100ms to 5m. Default 10s.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// Longest time for a request body to arrive; 100ms to 10m. Default 30s.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// Idle connections are closed after this and at most a quarter more; 1s to 1h. Default 75s.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// A peer that takes in nothing for so long is cut (TCP_USER_TIMEOUT); 1s to 1h. Default 1m.
    #[serde(with = "humantime_serde")]
    pub peer_timeout: Duration,
    /// Longest wait for the device when a request asks for `disk`; then the answer is 503
    /// `sync_timeout`, outcome unknown. 100ms to 10m. Default 30s.
    #[serde(with = "humantime_serde")]
    pub sync_timeout: Duration,
    /// Longest wait for Kafka's acknowledgement when a request asks for `kafka`; then the answer is
    /// 503 `kafka_timeout`, outcome unknown: it is in the spool and will be sent. 100ms to 10m.
    /// Default 30s.
    #[serde(with = "humantime_serde")]
    pub kafka_timeout: Duration,
    /// Longest time that open requests get at shutdown; at most 10m. Default 10s.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// Host names (without port) accepted besides loopback names and the listen address; guards against DNS rebinding.
    pub allowed_hosts: Vec<String>,
    /// Values of `Origin` accepted besides none at all, e.g. `https://ads.example`.
    pub allowed_origins: Vec<String>,
    /// Name written into events that carry no `server`; 1 to 255 bytes. Default the host name.
    pub server: Option<String>,
    /// The stop list says `stale` after so long without a heartbeat; 1s to 1h. Default 15s.
    #[serde(with = "humantime_serde")]
    pub stale_after: Duration,
    /// Changes of campaigns kept in memory for `/v1/stopped?after=`; an older `after` gets the full
    /// set. 16 to 1 000 000. Default 10_000.
    pub stop_history: usize,
    /// Longest `wait` of a long poll; more is cut to it. 1s to 10m. Default 60s.
    #[serde(with = "humantime_serde")]
    pub max_wait: Duration,
    /// A silent event stream carries a heartbeat this often; 100ms to 5m. Default 10s.
    #[serde(with = "humantime_serde")]
    pub stream_heartbeat: Duration,
    /// How often a changed stop list is saved to disk; 100ms to 10m. Default 5s.
    #[serde(with = "humantime_serde")]
    pub snapshot_interval: Duration,
}

impl Default for SidecarSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7070)),
            unix_socket: None,
            workers: 0,
            max_connections: 25_000,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            peer_timeout: Duration::from_secs(60),
            sync_timeout: Duration::from_secs(30),
            kafka_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            server: None,
            stale_after: Duration::from_secs(15),
            stop_history: 10_000,
            max_wait: Duration::from_secs(60),
            stream_heartbeat: Duration::from_secs(10),
            snapshot_interval: Duration::from_secs(5),
        }
    }
}

/// Most workers when nobody says how many. The machine is the ad server's, and each worker's partition sends
/// ranges of its own: the number of those is most of what a sidecar that is not busy costs itself and the brokers.
const WORKERS: usize = 4;

impl SidecarSettings {
    /// How many worker threads run; the spool is opened with at least as many partitions.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get).min(WORKERS),
            n => n,
        }
    }

    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        const SECOND: Duration = Duration::from_secs(1);
        const MINUTE: Duration = Duration::from_secs(60);
        const TENTH: Duration = Duration::from_millis(100);
        count("sidecar.workers", self.workers, 0, 256)?;
        count("sidecar.max_connections", self.max_connections, 1_000, 1_000_000)?;
        count("sidecar.stop_history", self.stop_history, 16, 1_000_000)?;
        span("sidecar.head_timeout", self.head_timeout, TENTH, 5 * MINUTE)?;
        span("sidecar.body_timeout", self.body_timeout, TENTH, 10 * MINUTE)?;
        span("sidecar.keep_alive", self.keep_alive, SECOND, 60 * MINUTE)?;
        span("sidecar.peer_timeout", self.peer_timeout, SECOND, 60 * MINUTE)?;
        span("sidecar.sync_timeout", self.sync_timeout, TENTH, 10 * MINUTE)?;
        span("sidecar.kafka_timeout", self.kafka_timeout, TENTH, 10 * MINUTE)?;
        span("sidecar.drain_timeout", self.drain_timeout, Duration::ZERO, 10 * MINUTE)?;
        span("sidecar.stale_after", self.stale_after, SECOND, 60 * MINUTE)?;
        span("sidecar.max_wait", self.max_wait, SECOND, 10 * MINUTE)?;
        span("sidecar.stream_heartbeat", self.stream_heartbeat, TENTH, 5 * MINUTE)?;
        span("sidecar.snapshot_interval", self.snapshot_interval, TENTH, 10 * MINUTE)?;
        for host in &self.allowed_hosts {
            let bracketed = host.starts_with('[') && host.ends_with(']');
            if host.is_empty() || (host.contains(':') && !bracketed) || host.contains(['/', ' ', '@']) {
                let rule = "a host name or address without scheme, port or path (an IPv6 address in brackets)";
                return Err(SettingsError::value("sidecar.allowed_hosts", host, rule));
            }
        }
        for origin in &self.allowed_origins {
            let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            if rest.is_none_or(|r| r.is_empty() || r.contains(['/', ' '])) {
                let rule = "scheme://host[:port] without a path, as browsers send it in Origin";
                return Err(SettingsError::value("sidecar.allowed_origins", origin, rule));
            }
        }
        if let Some(name) = &self.server
            && (name.is_empty() || name.len() > 255 || name.chars().any(char::is_control))
        {
            return Err(SettingsError::value("sidecar.server", name, "1 to 255 bytes without control characters"));
        }
        if let Some(path) = &self.unix_socket
            && (path.as_os_str().is_empty() || path.as_os_str().len() > 107)
        {
            return Err(SettingsError::value("sidecar.unix_socket", path.display(), "1 to 107 bytes (sun_path)"));
        }
        Ok(())
    }
}

fn count(key: &'static str, value: usize, low: usize, high: usize) -> Result<(), SettingsError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(SettingsError::value(key, value, format!("from {low} to {high}")))
}

fn span(key: &'static str, value: Duration, low: Duration, high: Duration) -> Result<(), SettingsError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(SettingsError::value(key, format!("{value:?}"), format!("from {low:?} to {high:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut SidecarSettings)) -> String {
        let mut settings = SidecarSettings::default();
        change(&mut settings);
        settings.validate().map_err(|e| e.to_string()).err().unwrap_or_default()
    }

    #[test]
    fn a_value_out_of_bounds_names_its_key() {
        assert!(refused(|s| s.max_connections = 999).contains("sidecar.max_connections = 999"));
        assert!(refused(|s| s.body_timeout = Duration::ZERO).contains("sidecar.body_timeout"));
        assert!(refused(|s| s.allowed_hosts = vec!["http://x".into()]).contains("sidecar.allowed_hosts"));
        assert!(refused(|s| s.allowed_origins = vec!["https://x/path".into()]).contains("sidecar.allowed_origins"));
        assert!(refused(|s| s.server = Some(String::new())).contains("sidecar.server"));
        assert_eq!(refused(|s| s.allowed_hosts = vec!["[2001:db8::1]".into()]), "");
        assert_eq!(refused(|s| s.allowed_origins = vec!["https://ads.example:8443".into()]), "");
    }

    #[test]
    fn no_workers_set_means_one_a_core_up_to_a_few() {
        let cores = std::thread::available_parallelism().unwrap().get();
        assert_eq!(SidecarSettings::default().worker_count(), cores.min(4));
        assert_eq!(SidecarSettings { workers: 3, ..SidecarSettings::default() }.worker_count(), 3);
    }
}
