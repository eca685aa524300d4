//! What the consumers' processes have in common (cluster profile).

use super::SettingsError;
use std::net::SocketAddr;

/// What the consumers' processes have in common (cluster profile).
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumeSettings {
    /// Address of `/healthz`, `/readyz` and `/metrics`; port 0 takes a free one. Default loopback
    /// with port 7071 for statistics, 7072 for balances, 7073 for archive.
    pub listen: Option<SocketAddr>,
    /// Host names (without port) accepted besides loopback names and the listen address.
    pub allowed_hosts: Vec<String>,
}

impl ConsumeSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
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
