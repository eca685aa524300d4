//! Where the ledger is kept: a SQLite file, or a MariaDB server.

use super::{SecretSource, SettingsError};
use std::path::PathBuf;
use std::time::Duration;

/// Where the ledger is kept.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerSettings {
    /// `mysql://USER@HOST:PORT/DATABASE` of a MariaDB server, 10.6 or later, one primary; none =
    /// the SQLite file of the data folder. No password in it. Default none.
    pub url: Option<String>,
    /// The user's password.
    pub password: SecretSource,
    /// Encrypt with TLS; the server's certificate must be by `ca_file` and for the URL's host.
    /// Default false.
    pub tls: bool,
    /// Certificates of the authorities that the server is trusted by (PEM); needed with `tls`.
    pub ca_file: Option<PathBuf>,
    /// Our certificate (PEM), when the server asks for one.
    pub cert_file: Option<PathBuf>,
    /// Its key (PEM).
    pub key_file: Option<PathBuf>,
    /// Connections of this process, 2 to 1 000: one for each partition that is booked at a time,
    /// and a few for readers. Default 16.
    pub connections: u32,
    /// Longest time that one call waits for the server, retries of deadlocks included, 1 s to
    /// 10 min; the server gives up its side of it by then too. Default 30s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long the one publisher may be silent before another process takes over, 1 s to 1 min.
    /// Default 5s.
    #[serde(with = "humantime_serde")]
    pub publisher_lease: Duration,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self {
            url: None,
            password: SecretSource::default(),
            tls: false,
            ca_file: None,
            cert_file: None,
            key_file: None,
            connections: 16,
            timeout: Duration::from_secs(30),
            publisher_lease: Duration::from_secs(5),
        }
    }
}

impl LedgerSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        if let Some(url) = &self.url {
            check_url(url)?;
        }
        if self.tls && self.ca_file.is_none() {
            return Err(SettingsError::value("ledger.tls", true, "needs ledger.ca_file"));
        }
        if self.cert_file.is_some() != self.key_file.is_some() {
            return Err(SettingsError::value("ledger.cert_file", "", "goes together with `key_file`"));
        }
        if !(2..=1_000).contains(&self.connections) {
            return Err(SettingsError::value("ledger.connections", self.connections, "2 to 1000"));
        }
        let second = Duration::from_secs(1);
        super::balances::between("ledger.timeout", self.timeout, second, 600 * second)?;
        super::balances::between("ledger.publisher_lease", self.publisher_lease, second, 60 * second)
    }
}

/// The URL's parts are looked at without showing what may be a password.
fn check_url(url: &str) -> Result<(), SettingsError> {
    let bad = |rule: &str| Err(SettingsError::value("ledger.url", "…", rule));
    let Some(rest) = url.strip_prefix("mysql://").or_else(|| url.strip_prefix("mariadb://")) else {
        return bad("must be mysql://USER@HOST:PORT/DATABASE");
    };
    let (user, host) = match rest.rsplit_once('@') {
        Some((user, host)) => (user, host),
        None => return bad("names no user: mysql://USER@HOST:PORT/DATABASE"),
    };
    if user.contains(':') {
        return bad("holds a password: it belongs into ledger.password = { file = … } or { env = … }");
    }
    match host.split_once('/') {
        Some((host, database)) if !host.is_empty() && !database.is_empty() && !database.contains(['/', '?']) => Ok(()),
        _ => bad("names no database, or options: mysql://USER@HOST:PORT/DATABASE"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_user_and_database_and_no_password() {
        let with = |url: &str| LedgerSettings { url: Some(url.to_owned()), ..Default::default() }.validate();
        assert!(with("mysql://penstock@db.example:3306/penstock").is_ok());
        assert!(with("mariadb://penstock@127.0.0.1/p").is_ok());
        for bad in ["postgres://a@b/c", "mysql://h/db", "mysql://u@h", "mysql://u@h/", "mysql://u@h/db?ssl-mode=x"] {
            assert!(with(bad).is_err_and(|e| e.to_string().starts_with("ledger.url")), "{bad}");
        }
        let secret = with("mysql://u:geheim@h/db").map_err(|e| e.to_string()).unwrap_err();
        assert!(secret.contains("ledger.password") && !secret.contains("geheim"), "{secret}");
    }

    #[test]
    fn tls_needs_somebody_to_trust() {
        let settings = LedgerSettings { tls: true, ..Default::default() };
        assert!(settings.validate().unwrap_err().to_string().contains("ledger.ca_file"));
    }
}
