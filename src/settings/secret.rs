//! Secrets: they stand in a file or the environment, never in the configuration itself.

use super::SettingsError;
use std::path::{Path, PathBuf};

/// Where a secret is found; at most one of the two.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretSource {
    /// File that holds it; a line end behind it is no part of it. Read when the process starts. A
    /// relative path is looked for in `$CREDENTIALS_DIRECTORY` when that is set (systemd's
    /// `LoadCredential=`, mounted secrets).
    pub file: Option<PathBuf>,
    /// Name of the environment variable that holds it.
    pub env: Option<String>,
}

impl SecretSource {
    /// Whether one is configured.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.file.is_some() || self.env.is_some()
    }

    /// Reads it; `None` when none is configured. `key` names the setting in the error.
    ///
    /// Errors: [`SettingsError::Value`]: the file cannot be read, the variable is not set.
    pub fn read(&self, key: &'static str) -> Result<Option<String>, SettingsError> {
        match (&self.file, &self.env) {
            (Some(_), Some(name)) => Err(SettingsError::value(key, name, "give `file` or `env`, not both")),
            (Some(file), None) => match std::fs::read_to_string(found(file, std::env::var_os("CREDENTIALS_DIRECTORY")))
            {
                Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
                Err(error) => {
                    Err(SettingsError::value(key, file.display(), format!("the secret's file cannot be read: {error}")))
                }
            },
            (None, Some(name)) => match std::env::var(name) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(SettingsError::value(key, name, "this variable is not set in the environment")),
            },
            (None, None) => Ok(None),
        }
    }
}

fn found(file: &Path, credentials: Option<std::ffi::OsString>) -> PathBuf {
    match credentials {
        // An absolute path replaces what it is joined to.
        Some(folder) => Path::new(&folder).join(file),
        None => file.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_from_its_file_without_the_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3 cret\r\n").unwrap();
        let source = SecretSource { file: Some(file.path().to_owned()), env: None };
        assert_eq!(source.read("kafka.password").unwrap().as_deref(), Some("s3 cret"));
        assert_eq!(SecretSource::default().read("kafka.password").unwrap(), None);
    }

    #[test]
    fn a_relative_file_is_looked_for_among_the_credentials() {
        let credentials = || Some("/run/credentials/penstock".into());
        assert_eq!(found(Path::new("kafka"), credentials()), Path::new("/run/credentials/penstock/kafka"));
        assert_eq!(found(Path::new("/etc/kafka"), credentials()), Path::new("/etc/kafka"));
        assert_eq!(found(Path::new("kafka"), None), Path::new("kafka"));
    }

    #[test]
    fn a_missing_secret_is_named_with_its_setting() {
        let source = SecretSource { file: Some("/nowhere/secret".into()), env: None };
        let error = source.read("kafka.password").unwrap_err().to_string();
        assert!(error.contains("kafka.password") && error.contains("/nowhere/secret"), "{error}");
        let source = SecretSource { file: None, env: Some("PENSTOCK_NO_SUCH_VARIABLE".to_owned()) };
        assert!(source.read("kafka.password").unwrap_err().to_string().contains("PENSTOCK_NO_SUCH_VARIABLE"));
    }
}
