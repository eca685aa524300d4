//! What the consumers' processes have in common (cluster profile).

use super::SettingsError;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// What the consumers' processes have in common (cluster profile).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumeSettings {
    /// Address of `/healthz`, `/readyz` and `/metrics`; port 0 takes a free one. Default loopback
    /// with port 7071 for statistics, 7072 for balances, 7073 for archive.
    pub listen: Option<SocketAddr>,
    /// Host names (without port) accepted besides loopback names and the listen address.
    pub allowed_hosts: Vec<String>,
    /// Consumer groups are called PREFIX-SINK; a second Penstock on the same brokers needs another
    /// prefix. Default "penstock".
    pub group_prefix: String,
    /// Name of this process in its group that outlives restarts (static membership): one that
    /// comes back within `session_timeout` finds its partitions without a rebalance. No two
    /// processes of one sink may share one. Default: the host's name and the data folder's path.
    pub instance_id: Option<String>,
    /// A consumer that is not heard for so long has lost its partitions to others; so long, too,
    /// nobody reads those of one that died. 1 s to 30 min, and within the brokers'
    /// `group.min.session.timeout.ms` (6 s unless configured) and `group.max…`. Default 10s.
    #[serde(with = "humantime_serde")]
    pub session_timeout: Duration,
    /// How long a pipeline waits for a position to be stored before it asks again. 1 s to 5 min.
    /// Default 15s.
    #[serde(with = "humantime_serde")]
    pub commit_timeout: Duration,
    /// Most bytes fetched ahead of each pipeline, of one partition. 64 KiB to 2 GiB. Default 16 MiB.
    pub ahead_bytes: usize,
}

impl Default for ConsumeSettings {
    fn default() -> Self {
        Self {
            listen: None,
            allowed_hosts: Vec::new(),
            group_prefix: "penstock".to_owned(),
            instance_id: None,
            session_timeout: Duration::from_secs(10),
            commit_timeout: Duration::from_secs(15),
            ahead_bytes: 16 << 20,
        }
    }
}

impl ConsumeSettings {
    /// The consumer group of a sink.
    #[must_use]
    pub fn group(&self, sink: &str) -> String {
        format!("{}-{sink}", self.group_prefix)
    }

    /// The name of the process that keeps its things in `data`: `instance_id`, or one that stays
    /// the same over restarts and differs between machines and folders.
    #[must_use]
    pub fn instance(&self, data: &Path) -> String {
        if let Some(name) = &self.instance_id {
            return name.clone();
        }
        let folder = std::fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
        let folder = xxhash_rust::xxh3::xxh3_64(folder.as_os_str().as_encoded_bytes());
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let host: String = host.chars().map(|c| if plain(c) { c } else { '_' }).take(64).collect();
        format!("{host}-{folder:016x}")
    }

    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let plain = |name: &str| {
            (1..=128).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        let names =
            [("consume.group_prefix", Some(&self.group_prefix)), ("consume.instance_id", self.instance_id.as_ref())];
        for (key, name) in names {
            if let Some(name) = name.filter(|name| !plain(name)) {
                return Err(SettingsError::value(key, name, "1 to 128 of letters, digits, `.`, `-` and `_`"));
            }
        }
        let seconds = Duration::from_secs;
        if !(seconds(1)..=seconds(1800)).contains(&self.session_timeout) {
            let value = format!("{:?}", self.session_timeout);
            return Err(SettingsError::value("consume.session_timeout", value, "must lie between 1s and 30m"));
        }
        if !(seconds(1)..=seconds(300)).contains(&self.commit_timeout) {
            let value = format!("{:?}", self.commit_timeout);
            return Err(SettingsError::value("consume.commit_timeout", value, "must lie between 1s and 5m"));
        }
        if !(64 << 10..=2_147_483_647).contains(&self.ahead_bytes) {
            let rule = "must lie between 65536 (64 KiB) and 2147483647 (2 GiB)";
            return Err(SettingsError::value("consume.ahead_bytes", self.ahead_bytes, rule));
        }
        match self.allowed_hosts.iter().find(|host| host.is_empty() || host.contains(['/', ' ', '@'])) {
            Some(host) => Err(SettingsError::value(
                "consume.allowed_hosts",
                host,
                "a host name or address without scheme, port or path (an IPv6 address in brackets)",
            )),
            None => Ok(()),
        }
    }
}
