//! What all clients of librdkafka begin with: their configuration, and where its log goes.

use crate::settings::{KafkaSettings, SettingsError};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

/// Connection, encryption, login and further properties; what makes it a producer or a consumer is
/// added by whoever needs one.
///
/// Errors: [`SettingsError::Value`] when a secret cannot be read.
pub fn config(settings: &KafkaSettings) -> Result<ClientConfig, SettingsError> {
    let mut config = ClientConfig::new();
    for (name, value) in &settings.properties {
        config.set(name, value);
    }
    config.set("bootstrap.servers", settings.brokers.join(","));
    config.set("client.id", &settings.client_id);
    let security = &settings.security;
    config.set(
        "security.protocol",
        match (security.tls, security.mechanism.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        },
    );
    let files = [
        ("ssl.ca.location", &security.ca_file),
        ("ssl.certificate.location", &security.cert_file),
        ("ssl.key.location", &security.key_file),
    ];
    for (name, file) in files {
        if let Some(file) = file {
            config.set(name, file.to_string_lossy());
        }
    }
    if let Some(password) = security.key_password.read("kafka.security.key_password")? {
        config.set("ssl.key.password", password);
    }
    if let (Some(mechanism), Some(user)) = (security.mechanism, &security.username) {
        config.set("sasl.mechanisms", mechanism.name());
        config.set("sasl.username", user);
        config.set("sasl.password", security.password.read("kafka.security.password")?.unwrap_or_default());
    }
    Ok(config)
}

/// librdkafka's log goes to ours.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, message, "librdkafka");
        }
        // A broker that is away is reported here once a second and is nobody's mistake.
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => tracing::warn!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Debug => tracing::debug!(facility, message, "librdkafka"),
    }
}
