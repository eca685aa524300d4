//! The panel and its API.

use super::access::check_public_url;
use super::{AccessMode, LoginSettings, OidcSettings, SettingsError};
use std::net::SocketAddr;
use std::time::Duration;

/// The panel and its API.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PanelSettings {
    /// Address of the HTTP listener. Default "127.0.0.1:7080".
    pub listen: SocketAddr,
    /// Who may come in: "open" (everybody who reaches it, as an admin; on loopback only) or
    /// "login" (users with passwords or an identity provider, programs with tokens). Default "open".
    pub access: AccessMode,
    /// Address under which browsers reach the panel, when a reverse proxy stands before it:
    /// `https://ads.example`. Its host and origin are accepted, cookies are for https only when it
    /// is one. Default none.
    pub public_url: Option<String>,
    /// Host names (without port) accepted besides loopback names and the listen address.
    pub allowed_hosts: Vec<String>,
    /// Values of `Origin` that may send changes besides the panel's own, e.g. `https://ads.example`.
    pub allowed_origins: Vec<String>,
    /// Worker threads, 1 to 64. Default 2.
    pub workers: usize,
    /// How far the workers step back when processors are short (their niceness): intake and balances on the same
    /// machine come first. 0 to 19, or 20: only when nobody else wants the processor. Default 10.
    pub nice: u8,
    /// Connections served at once, over all workers, 16 to 100 000. Default 1_000.
    pub max_connections: usize,
    /// Longest time that open requests get at shutdown. Default 5s.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// Longest time for one ClickHouse query of the API, 1s to 10m. Default 10s.
    #[serde(with = "humantime_serde")]
    pub query_timeout: Duration,
    /// Most memory for one ClickHouse query of the API, 16 MiB and up. Default 1 << 30.
    pub query_memory_bytes: u64,
    /// How old a repeated statistics answer may be, 0s to 10m. Default 1s.
    #[serde(with = "humantime_serde")]
    pub cache_ttl: Duration,
    /// Longest time range that may be asked of the events one by one, 1 to 36 600. Default 400.
    pub max_range_days: u32,
    /// Most rows of one page, 1 to 10 000. Default 1_000.
    pub max_limit: usize,
    /// Most steps of one time series, 1 to 100 000. Default 10_000.
    pub max_points: u64,
    /// Large questions (groups, funnels, exports) that ClickHouse answers at once, 1 to 64. Default 4.
    pub max_heavy_queries: usize,
    /// Most rows of one exported file, 1 to 100 000 000. Default 1_000_000.
    pub max_export_rows: u64,
    /// Longest time for the query of one exported file, 1s to 1h. Default 2m.
    #[serde(with = "humantime_serde")]
    pub export_timeout: Duration,
    /// Longest catalogue that is taken, 64 KiB to 1 GiB. Default 64 << 20.
    pub max_catalogue_bytes: usize,
    /// Longest time for one ClickHouse query of reconcile, 1s to 1h. Default 5m.
    #[serde(with = "humantime_serde")]
    pub reconcile_query_timeout: Duration,
    /// The panel compares log, archive, statistics and ledger so often by itself, and shows the verdict in its
    /// metrics; none = only when asked. It reads the positions of all rows. Set it for one panel of several.
    /// 1 min to 7 days. Default none.
    #[serde(with = "humantime_serde")]
    pub reconcile_every: Option<Duration>,
    /// Addresses of the other roles, which the status asks for theirs (cluster profile):
    /// `http://host:port` of each sidecar and consumer.
    pub roles: Vec<String>,
    /// Sessions, and how often somebody may try to log in.
    pub login: LoginSettings,
    /// An identity provider.
    pub oidc: OidcSettings,
}

impl Default for PanelSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7080)),
            access: AccessMode::Open,
            public_url: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            workers: 2,
            nice: 10,
            max_connections: 1_000,
            drain_timeout: Duration::from_secs(5),
            query_timeout: Duration::from_secs(10),
            query_memory_bytes: 1 << 30,
            cache_ttl: Duration::from_secs(1),
            max_range_days: 400,
            max_limit: 1_000,
            max_points: 10_000,
            max_heavy_queries: 4,
            max_export_rows: 1_000_000,
            export_timeout: Duration::from_secs(120),
            max_catalogue_bytes: 64 << 20,
            reconcile_query_timeout: Duration::from_secs(300),
            reconcile_every: None,
            roles: Vec::new(),
            login: LoginSettings::default(),
            oidc: OidcSettings::default(),
        }
    }
}

impl PanelSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        self.access.check(self.listen)?;
        self.public_url.as_deref().map_or(Ok(()), check_public_url)?;
        self.login.validate()?;
        self.oidc.validate(self.public_url.as_deref())?;
        const SECOND: Duration = Duration::from_secs(1);
        let no_address =
            |url: &&String| url.strip_prefix("http://").is_none_or(|rest| rest.is_empty() || rest.contains(['/', ' ']));
        if let Some(url) = self.roles.iter().find(no_address) {
            return Err(SettingsError::value("panel.roles", url, "each must be http://host:port without a path"));
        }
        number("panel.workers", self.workers as u64, 1, 64)?;
        number("panel.nice", u64::from(self.nice), 0, 20)?;
        number("panel.max_connections", self.max_connections as u64, 16, 100_000)?;
        number("panel.query_memory_bytes", self.query_memory_bytes, 16 << 20, 1 << 50)?;
        number("panel.max_range_days", u64::from(self.max_range_days), 1, 36_600)?;
        number("panel.max_limit", self.max_limit as u64, 1, 10_000)?;
        number("panel.max_points", self.max_points, 1, 100_000)?;
        number("panel.max_catalogue_bytes", self.max_catalogue_bytes as u64, 64 << 10, 1 << 30)?;
        number("panel.max_heavy_queries", self.max_heavy_queries as u64, 1, 64)?;
        number("panel.max_export_rows", self.max_export_rows, 1, 100_000_000)?;
        time("panel.export_timeout", self.export_timeout, SECOND, 3_600 * SECOND)?;
        if let Some(every) = self.reconcile_every {
            time("panel.reconcile_every", every, 60 * SECOND, 7 * 86_400 * SECOND)?;
        }
        time("panel.drain_timeout", self.drain_timeout, Duration::ZERO, 600 * SECOND)?;
        time("panel.query_timeout", self.query_timeout, SECOND, 600 * SECOND)?;
        time("panel.cache_ttl", self.cache_ttl, Duration::ZERO, 600 * SECOND)?;
        time("panel.reconcile_query_timeout", self.reconcile_query_timeout, SECOND, 3_600 * SECOND)
    }
}

fn number(key: &'static str, value: u64, min: u64, max: u64) -> Result<(), SettingsError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(SettingsError::value(key, value, format!("{min} to {max}")))
}

fn time(key: &'static str, value: Duration, min: Duration, max: Duration) -> Result<(), SettingsError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(SettingsError::value(key, format!("{value:?}"), format!("{min:?} to {max:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_outside_its_bounds_is_refused() {
        assert!(PanelSettings::default().validate().is_ok());
        assert!(PanelSettings { workers: 0, ..PanelSettings::default() }.validate().is_err());
        assert!(PanelSettings { max_limit: 10_001, ..PanelSettings::default() }.validate().is_err());
        assert!(PanelSettings { query_timeout: Duration::ZERO, ..PanelSettings::default() }.validate().is_err());
        let every = |s| PanelSettings { reconcile_every: Some(Duration::from_secs(s)), ..PanelSettings::default() };
        assert!(every(60).validate().is_ok());
        assert!(every(59).validate().is_err());
    }
}
