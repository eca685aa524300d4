//! Settings: one struct a component, every default documented in its file.
//!
//! A wrong setting fails at start, never at the first event: unknown keys are refused and the
//! error names key and line. `penstock check-config FILE` prints what would hold.

mod access;
mod across;
mod archive;
mod balances;
mod consume;
mod engine;
mod forward;
mod intake;
mod kafka;
mod ledger;
mod panel;
mod pipeline;
mod registry;
mod secret;
mod sidecar;
mod spool;
mod statistics;

pub use access::{AccessMode, LoginSettings, OidcSettings};
pub use archive::{ArchiveLocation, ArchiveSettings, CompactSettings};
pub use balances::BalancesSettings;
pub use consume::ConsumeSettings;
pub use engine::EngineSettings;
pub use forward::{Compression, ForwardSettings};
pub use intake::{IntakeSettings, RateSettings};
pub use kafka::{KafkaSecurity, KafkaSettings, SaslMechanism};
pub use ledger::LedgerSettings;
pub use panel::PanelSettings;
pub use pipeline::{PipelineSettings, RetrySettings};
pub use registry::{Compatibility, RegistrySettings};
pub use secret::SecretSource;
pub use sidecar::SidecarSettings;
pub use spool::SpoolSettings;
pub use statistics::{StatisticsSettings, Wire};

use std::path::{Path, PathBuf};

/// Everything that can be configured, as one TOML file with a table a component.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Folder of all local state. Default `./data`; `--data` overrides it.
    pub data: Option<PathBuf>,
    /// Lets sidecar, consumers and engine listen on other addresses than loopback, although nothing
    /// asks for a login there. Default false. (The panel may with `panel.access = "login"`.)
    pub open_to_network: bool,
    /// The HTTP front of the sidecar.
    pub sidecar: SidecarSettings,
    /// What is accepted, and how much of it.
    pub intake: IntakeSettings,
    /// The log on disk.
    pub spool: SpoolSettings,
    /// What all pipelines share.
    pub pipeline: PipelineSettings,
    /// The local ClickHouse engine.
    pub engine: EngineSettings,
    /// The statistics sink.
    pub statistics: StatisticsSettings,
    /// The balances sink and its ledger.
    pub balances: BalancesSettings,
    /// Where the ledger is kept.
    pub ledger: LedgerSettings,
    /// The archive sink.
    pub archive: ArchiveSettings,
    /// The panel and its API.
    pub panel: PanelSettings,
    /// The connection to Kafka, and the topics (cluster profile).
    pub kafka: KafkaSettings,
    /// The forwarder from the spool to Kafka (cluster profile).
    pub forward: ForwardSettings,
    /// The schema registry (cluster profile).
    pub registry: RegistrySettings,
    /// What the consumers' processes have in common (cluster profile).
    pub consume: ConsumeSettings,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, an unknown key or a value of the wrong kind; the message shows key, line and column.
    #[error("{path} is not a valid configuration: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// From the TOML parser, with the line.
        message: String,
    },
    /// A value out of its bounds.
    #[error("{key} = {value}: {rule}")]
    Value {
        /// Dotted key, e.g. `spool.segment_bytes`.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        rule: String,
    },
}

impl SettingsError {
    /// A value out of its bounds.
    pub fn value(key: &'static str, value: impl ToString, rule: impl Into<String>) -> Self {
        SettingsError::Value { key, value: value.to_string(), rule: rule.into() }
    }
}

impl Settings {
    /// Reads and validates a TOML file. Errors: [`SettingsError`].
    pub fn load(path: &Path) -> Result<Settings, SettingsError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        let settings: Settings = toml::from_str(&text)
            .map_err(|e| SettingsError::Parse { path: path.to_owned(), message: e.to_string() })?;
        settings.validate()?;
        Ok(settings)
    }

    /// Checks every bound that the types cannot express. Errors: [`SettingsError::Value`].
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.validate_addresses()?;
        self.sidecar.validate()?;
        self.intake.validate()?;
        self.spool.validate()?;
        self.pipeline.validate()?;
        self.engine.validate()?;
        self.statistics.validate()?;
        self.balances.validate()?;
        self.ledger.validate()?;
        self.archive.validate()?;
        self.panel.validate()?;
        self.kafka.validate()?;
        self.forward.validate()?;
        self.registry.validate()?;
        self.consume.validate()?;
        self.validate_across()
    }

    /// Nothing listens beyond loopback by accident.
    fn validate_addresses(&self) -> Result<(), SettingsError> {
        let listeners = [
            Some(("sidecar.listen", self.sidecar.listen)),
            Some(("engine.listen", self.engine.listen)),
            self.consume.listen.map(|address| ("consume.listen", address)),
        ];
        match listeners.into_iter().flatten().find(|(_, address)| !address.ip().is_loopback()) {
            Some((key, address)) if !self.open_to_network => Err(SettingsError::value(
                key,
                address,
                "not a loopback address, and nothing asks for a login: set open_to_network = true if that is meant",
            )),
            _ => Ok(()),
        }
    }

    /// The folder of all local state.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| PathBuf::from("data"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert!(Settings::default().validate().is_ok());
    }

    #[test]
    fn an_address_beyond_loopback_needs_a_word_of_consent() {
        let mut settings = Settings::default();
        settings.sidecar.listen = ([0, 0, 0, 0], 7070).into();
        let refused = settings.validate().map_err(|e| e.to_string()).err().unwrap_or_default();
        assert!(refused.contains("sidecar.listen") && refused.contains("open_to_network"), "{refused}");
        settings.open_to_network = true;
        assert!(settings.validate().is_ok());
        settings.panel.listen = ([0, 0, 0, 0], 7080).into();
        let refused = settings.validate().map_err(|e| e.to_string()).err().unwrap_or_default();
        assert!(refused.contains("panel.listen") && refused.contains("panel.access"), "{refused}");
        settings.panel.access = AccessMode::Login;
        assert!(settings.validate().is_ok());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = toml::from_str::<Settings>("[spool]\nsegment_bites = 3\n").map_err(|e| e.to_string());
        let message = error.err().unwrap_or_default();
        assert!(message.contains("segment_bites") && message.contains("line 2"), "{message}");
    }
}
