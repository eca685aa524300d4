//! The configuration of librdkafka that all clients begin with.

use crate::settings::{KafkaSettings, SettingsError};
use rdkafka::config::ClientConfig;

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
