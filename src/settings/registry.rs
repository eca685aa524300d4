//! The schema registry.

use super::{SecretSource, SettingsError};
use std::path::PathBuf;
use std::time::Duration;

/// The schema registry (Confluent's API).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistrySettings {
    /// Base URLs of one registry, tried in turn: `https://host:8081`, or with the path that it
    /// serves the API under. None = single-object encoding in Kafka. Default none.
    pub urls: Vec<String>,
    /// User of the registry (HTTP basic). Default none.
    pub user: Option<String>,
    /// Its password.
    pub password: SecretSource,
    /// Certificates of the authorities that the registry is trusted by (PEM); default the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether schemas are registered and their compatibility level is set. `false`: somebody else
    /// does so; ids are only asked for, and the level is checked. Default true.
    pub register: bool,
    /// Compatibility level of our subjects, set and checked at start. Default "FULL_TRANSITIVE".
    pub compatibility: Compatibility,
    /// Longest time for one question. 100 ms to 5 min. Default 5s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Wait between attempts to register while the registry is away or refuses. 100 ms to 1 h.
    /// Default 5s.
    #[serde(with = "humantime_serde")]
    pub retry: Duration,
}

/// What the registry demands of a new version of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Compatibility {
    /// Readable by and able to read every earlier version: what records of years in an archive need.
    FullTransitive,
    /// The same towards the version before it only.
    Full,
    /// New readers read records of every earlier version.
    BackwardTransitive,
    /// New readers read records of the version before.
    Backward,
    /// Readers of every earlier version read new records.
    ForwardTransitive,
    /// Readers of the version before read new records.
    Forward,
    /// Nothing is checked.
    None,
}

impl Compatibility {
    /// The name in the registry's API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Compatibility::FullTransitive => "FULL_TRANSITIVE",
            Compatibility::Full => "FULL",
            Compatibility::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Compatibility::Backward => "BACKWARD",
            Compatibility::ForwardTransitive => "FORWARD_TRANSITIVE",
            Compatibility::Forward => "FORWARD",
            Compatibility::None => "NONE",
        }
    }
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            user: None,
            password: SecretSource::default(),
            ca_file: None,
            register: true,
            compatibility: Compatibility::FullTransitive,
            timeout: Duration::from_secs(5),
            retry: Duration::from_secs(5),
        }
    }
}

impl RegistrySettings {
    /// Whether there is a registry; without one, Kafka holds single-object encoding.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        !self.urls.is_empty()
    }

    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let web = |url: &&String| !url.starts_with("http://") && !url.starts_with("https://");
        if let Some(url) = self.urls.iter().find(web) {
            return Err(SettingsError::value("registry.urls", url, "each must begin with http:// or https://"));
        }
        // A login in the URL would stand in logs and error messages.
        if self.urls.iter().any(|url| url.contains('@')) {
            let rule = "holds a login: give registry.user and registry.password instead";
            return Err(SettingsError::value("registry.urls", "…@…", rule));
        }
        if self.password.is_set() && self.user.is_none() {
            return Err(SettingsError::value("registry.password", "…", "goes together with registry.user"));
        }
        let shown = |d| humantime_serde::re::humantime::format_duration(d).to_string();
        if !(Duration::from_millis(100)..=Duration::from_secs(300)).contains(&self.timeout) {
            return Err(SettingsError::value("registry.timeout", shown(self.timeout), "must lie between 100ms and 5m"));
        }
        if !(Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&self.retry) {
            return Err(SettingsError::value("registry.retry", shown(self.retry), "must lie between 100ms and 1h"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_the_url_is_refused_without_showing_it() {
        let urls = vec!["https://user:geheim@registry:8081".to_owned()];
        let error = RegistrySettings { urls, ..RegistrySettings::default() }.validate().unwrap_err().to_string();
        assert!(error.contains("registry.user") && !error.contains("geheim"), "{error}");
    }

    #[test]
    fn the_compatibility_level_is_written_as_the_api_has_it() {
        for level in [Compatibility::FullTransitive, Compatibility::Backward, Compatibility::None] {
            assert_eq!(serde_json::to_value(level).unwrap(), level.name());
        }
    }
}
