//! Who may come into the panel, and how they show who they are.

use super::{SecretSource, SettingsError};
use crate::accounts::Role;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Whether the panel asks who somebody is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessMode {
    /// It does not: everybody who reaches it is an admin. On a loopback address only.
    #[default]
    Open,
    /// It does: a session or a token, whose role decides.
    Login,
}

impl AccessMode {
    /// Whether the panel may listen on `address` so. Errors: it is open, and others would reach it.
    pub fn check(self, address: SocketAddr) -> Result<(), SettingsError> {
        if self == AccessMode::Login || address.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        Err(SettingsError::value(
            "panel.listen",
            address,
            "not a loopback address, and panel.access = \"open\" lets in everybody: set panel.access = \"login\"",
        ))
    }
}

/// Sessions, and how often somebody may try.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoginSettings {
    /// A session that nobody used for so long is over. 1m to 30d. Default 12h.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// A session is over after this, used or not. 1m to 90d. Default 7d.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// Failed logins with one name, or from one address (IPv6: one /64), after which the next ones
    /// are refused unlooked at until the window is over. 3 to 1 000. Default 10.
    pub attempts: u32,
    /// How long failed logins count. 1m to 1d. Default 15m.
    #[serde(with = "humantime_serde")]
    pub attempts_window: Duration,
    /// Reverse proxies whose `X-Forwarded-For` names the address that a login comes from. Default none.
    pub trusted_proxies: Vec<IpAddr>,
}

impl Default for LoginSettings {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(12 * 3_600),
            max_age: Duration::from_secs(7 * 86_400),
            attempts: 10,
            attempts_window: Duration::from_secs(900),
            trusted_proxies: Vec::new(),
        }
    }
}

impl LoginSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        const MINUTE: Duration = Duration::from_secs(60);
        const DAY: Duration = Duration::from_secs(86_400);
        let between = |key, value: Duration, most: Duration| {
            let rule = || format!("{MINUTE:?} to {most:?}");
            if (MINUTE..=most).contains(&value) {
                Ok(())
            } else {
                Err(SettingsError::value(key, format!("{value:?}"), rule()))
            }
        };
        between("panel.login.idle_timeout", self.idle_timeout, 30 * DAY)?;
        between("panel.login.max_age", self.max_age, 90 * DAY)?;
        between("panel.login.attempts_window", self.attempts_window, DAY)?;
        if !(3..=1_000).contains(&self.attempts) {
            return Err(SettingsError::value("panel.login.attempts", self.attempts, "3 to 1000"));
        }
        Ok(())
    }
}

/// An OpenID Connect provider that people may log in through, besides passwords. Needs
/// `panel.public_url`; builds with the feature `cluster` have it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OidcSettings {
    /// The provider's issuer URL, under which its discovery document lies. Default none.
    pub issuer: Option<String>,
    /// What the provider knows this panel by.
    pub client_id: String,
    /// The secret it gave out with that; none for a public client.
    pub client_secret: SecretSource,
    /// What stands on the button. Default "Single sign-on".
    pub label: String,
    /// Scopes asked for besides `openid`. Default `profile`, `email`.
    pub scopes: Vec<String>,
    /// The claim that holds somebody's name here; then `email`, then one made from the subject.
    /// Default "preferred_username".
    pub name_claim: String,
    /// The claim that roles follow from, a text or a list of texts. Default "groups".
    pub role_claim: String,
    /// Role by value of that claim: `ads-admins = "admin"`. Of several the highest holds.
    pub roles: BTreeMap<String, Role>,
    /// Role of those whom no value gives one. None = they are refused. Default none.
    pub default_role: Option<Role>,
}

impl Default for OidcSettings {
    fn default() -> Self {
        Self {
            issuer: None,
            client_id: String::new(),
            client_secret: SecretSource::default(),
            label: "Single sign-on".to_owned(),
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            name_claim: "preferred_username".to_owned(),
            role_claim: "groups".to_owned(),
            roles: BTreeMap::new(),
            default_role: None,
        }
    }
}

impl OidcSettings {
    pub(super) fn validate(&self, public_url: Option<&str>) -> Result<(), SettingsError> {
        let Some(issuer) = &self.issuer else { return Ok(()) };
        let local = issuer.strip_prefix("http://").is_some_and(is_loopback);
        if !issuer.starts_with("https://") && !local {
            let rule = "must be https:// (http:// only on a loopback address)";
            return Err(SettingsError::value("panel.oidc.issuer", issuer, rule));
        }
        if self.client_id.is_empty() {
            return Err(SettingsError::value("panel.oidc.client_id", "\"\"", "must be set with panel.oidc.issuer"));
        }
        if self.roles.is_empty() && self.default_role.is_none() {
            let rule = "nobody would get a role: set some, or panel.oidc.default_role";
            return Err(SettingsError::value("panel.oidc.roles", "{}", rule));
        }
        if public_url.is_none() {
            let rule = "must be set with panel.oidc.issuer: the provider sends people back there";
            return Err(SettingsError::value("panel.public_url", "none", rule));
        }
        Ok(())
    }
}

/// Whether what follows a URL's scheme is on this machine.
fn is_loopback(rest: &str) -> bool {
    let host = rest.split('/').next().unwrap_or("");
    let by_number = host.parse::<SocketAddr>().map(|a| a.ip()).or_else(|_| host.parse::<IpAddr>());
    by_number.is_ok_and(|ip| ip.is_loopback()) || host.split(':').next() == Some("localhost")
}

/// `http(s)://host[:port]`, the address that browsers show.
pub(super) fn check_public_url(url: &str) -> Result<(), SettingsError> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    if rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', ' ', '@', '?', '#'])) {
        return Ok(());
    }
    Err(SettingsError::value("panel.public_url", url, "must be https://host[:port] (or http://), without a path"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_panel_listens_on_loopback_only() {
        for (address, fine) in [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("10.0.0.1:1", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(AccessMode::Open.check(address).is_ok(), fine, "{address}");
            assert!(AccessMode::Login.check(address).is_ok());
        }
    }

    #[test]
    fn a_provider_that_could_let_nobody_in_is_refused() {
        let good = OidcSettings {
            issuer: Some("https://id.example".into()),
            client_id: "penstock".into(),
            default_role: Some(Role::Viewer),
            ..OidcSettings::default()
        };
        let url = Some("https://ads.example");
        assert!(good.validate(url).is_ok());
        assert!(good.validate(None).is_err());
        for bad in [
            OidcSettings { issuer: Some("http://id.example".into()), ..good.clone() },
            OidcSettings { client_id: String::new(), ..good.clone() },
            OidcSettings { default_role: None, ..good.clone() },
        ] {
            assert!(bad.validate(url).is_err(), "{bad:?}");
        }
        assert!(OidcSettings { issuer: Some("http://127.0.0.1:99/x".into()), ..good }.validate(url).is_ok());
    }

    #[test]
    fn a_public_url_has_no_path() {
        for good in ["https://ads.example", "http://localhost:7080"] {
            assert!(check_public_url(good).is_ok(), "{good}");
        }
        for bad in ["ads.example", "https://", "https://a/b", "https://u@a", "ftp://a"] {
            assert!(check_public_url(bad).is_err(), "{bad}");
        }
    }
}
