//! The connection to Kafka, and the topics' names and shapes.

use super::{SecretSource, SettingsError};
use crate::event::TYPES;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The connection to Kafka, and the topics.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaSettings {
    /// `host:port` of some brokers; none = the embedded profile. Default none.
    pub brokers: Vec<String>,
    /// Name that brokers show in their logs and quotas. Default "penstock".
    pub client_id: String,
    /// Encryption and login.
    pub security: KafkaSecurity,
    /// Topic of each event type; several types may share one. A type that is left
    /// out has `ads.TYPE`, with `-` for `_`.
    pub topics: BTreeMap<String, String>,
    /// Topic of dead letters. Default "ads.dead".
    pub dead_topic: String,
    /// Topic of campaigns' states, compacted, one partition. Default "campaign-state".
    pub state_topic: String,
    /// Topic of campaigns' figures, one partition. Default "campaign-kpis".
    pub kpis_topic: String,
    /// Partitions of each event topic that `penstock topics apply` makes, 1 to 10 000. Default 6.
    pub partitions: u32,
    /// Copies of each partition that it makes, 1 to 16. Default 3.
    pub replication: u16,
    /// `min.insync.replicas` that it sets: an acknowledged event is on so many brokers. At most
    /// `replication`. Default 2.
    pub min_insync: u16,
    /// How long events are kept. Longer than the longest time a consumer may be down. Default 7d.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Further properties of librdkafka, for what has no setting here (`socket.keepalive.enable`,
    /// `sasl.kerberos.keytab`, …). Those that the promises rest on are refused.
    pub properties: BTreeMap<String, String>,
}

/// Encryption and login.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaSecurity {
    /// Encrypt with TLS. Default false.
    pub tls: bool,
    /// Certificates of the authorities that brokers are trusted by (PEM); default the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate (PEM), when brokers ask for one.
    pub cert_file: Option<PathBuf>,
    /// Its key (PEM).
    pub key_file: Option<PathBuf>,
    /// The key's password.
    pub key_password: SecretSource,
    /// Login: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`; default none.
    pub mechanism: Option<SaslMechanism>,
    /// User of the login.
    pub username: Option<String>,
    /// Its password.
    pub password: SecretSource,
}

/// How one logs in to Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum SaslMechanism {
    /// Name and password as they are; only over TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// RFC 5802 with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// RFC 5802 with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl SaslMechanism {
    /// The name that the protocol has.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Properties that our promises rest on, or that have a setting of their own.
const OURS: [&str; 18] = [
    "acks",
    "request.required.acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "group.id",
    "group.instance.id",
    "isolation.level",
    "max.in.flight.requests.per.connection",
    "message.timeout.ms",
    "metadata.broker.list",
    "retries",
    "security.protocol",
    "transactional.id",
];

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            client_id: "penstock".to_owned(),
            security: KafkaSecurity::default(),
            topics: BTreeMap::new(),
            dead_topic: "ads.dead".to_owned(),
            state_topic: "campaign-state".to_owned(),
            kpis_topic: "campaign-kpis".to_owned(),
            partitions: 6,
            replication: 3,
            min_insync: 2,
            retention: Duration::from_secs(7 * 86_400),
            properties: BTreeMap::new(),
        }
    }
}

impl KafkaSettings {
    /// Whether there is a Kafka to talk to.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        !self.brokers.is_empty()
    }

    /// The topic of an event type.
    #[must_use]
    pub fn topic_of(&self, event_type: &str) -> String {
        let own = || format!("ads.{}", event_type.replace('_', "-"));
        self.topics.get(event_type).cloned().unwrap_or_else(own)
    }

    /// The topic of every event type.
    #[must_use]
    pub fn mapping(&self) -> BTreeMap<String, String> {
        TYPES.iter().map(|t| (t.name.to_owned(), self.topic_of(t.name))).collect()
    }

    /// The topics of events, each once, in ascending order.
    #[must_use]
    pub fn event_topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = TYPES.iter().map(|t| self.topic_of(t.name)).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let bad = |key, value: &dyn std::fmt::Display, rule: &str| Err(SettingsError::value(key, value, rule));
        if let Some(broker) = self.brokers.iter().find(|b| !b.contains(':') || b.contains('/')) {
            return bad("kafka.brokers", broker, "each must be host:port");
        }
        if let Some(name) = self.topics.keys().find(|name| !TYPES.iter().any(|t| t.name == name.as_str())) {
            return bad("kafka.topics", name, "there is no such event type");
        }
        let mut names = self.event_topics();
        names.extend([self.dead_topic.clone(), self.state_topic.clone(), self.kpis_topic.clone()]);
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
        // Topic names are log names, which stand in archive file names.
        if let Some(name) = names.iter().find(|n| n.is_empty() || n.len() > 64 || !n.chars().all(letter)) {
            return bad("kafka.topics", name, "topic names are 1 to 64 of a-z, 0-9, `.` and `-`");
        }
        let events = self.event_topics();
        for (key, name) in [
            ("kafka.dead_topic", &self.dead_topic),
            ("kafka.state_topic", &self.state_topic),
            ("kafka.kpis_topic", &self.kpis_topic),
        ] {
            if events.contains(name) || names.iter().filter(|n| *n == name).count() > 1 {
                return bad(key, name, "must be a topic of its own");
            }
        }
        if !(1..=10_000).contains(&self.partitions) {
            return bad("kafka.partitions", &self.partitions, "must lie between 1 and 10000");
        }
        if !(1..=16).contains(&self.replication) {
            return bad("kafka.replication", &self.replication, "must lie between 1 and 16");
        }
        if !(1..=self.replication).contains(&self.min_insync) {
            return bad("kafka.min_insync", &self.min_insync, "must lie between 1 and kafka.replication");
        }
        if self.retention < Duration::from_secs(60) {
            return bad("kafka.retention", &format!("{:?}", self.retention), "must be 1m or longer");
        }
        if let Some(name) = self.properties.keys().find(|p| OURS.contains(&p.as_str())) {
            return bad("kafka.properties", name, "the promises rest on it, or it has a setting of its own");
        }
        self.security.validate()
    }
}

impl KafkaSecurity {
    fn validate(&self) -> Result<(), SettingsError> {
        if self.mechanism.is_some() != self.username.is_some() {
            let name = self.username.clone().unwrap_or_default();
            return Err(SettingsError::value("kafka.security.username", name, "goes together with `mechanism`"));
        }
        if self.mechanism == Some(SaslMechanism::Plain) && !self.tls {
            let rule = "sends the password as it is: set kafka.security.tls = true, or take a SCRAM mechanism";
            return Err(SettingsError::value("kafka.security.mechanism", "PLAIN", rule));
        }
        if self.cert_file.is_some() != self.key_file.is_some() {
            return Err(SettingsError::value("kafka.security.cert_file", "", "goes together with `key_file`"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_the_promises_rest_on_is_refused() {
        let mut settings = KafkaSettings::default();
        settings.properties.insert("acks".to_owned(), "1".to_owned());
        assert!(settings.validate().unwrap_err().to_string().contains("acks"));
    }

    #[test]
    fn types_may_share_a_topic_and_others_have_their_own() {
        let mut settings = KafkaSettings::default();
        settings.topics.insert("visit".to_owned(), "ads.impression".to_owned());
        settings.validate().unwrap();
        assert_eq!(settings.event_topics(), ["ads.click", "ads.conversion", "ads.impression", "ads.page-view"]);
        settings.dead_topic = "ads.click".to_owned();
        assert!(settings.validate().unwrap_err().to_string().contains("kafka.dead_topic"));
    }

    #[test]
    fn a_plain_password_needs_tls() {
        let mut settings = KafkaSettings::default();
        settings.security.mechanism = Some(SaslMechanism::Plain);
        settings.security.username = Some("penstock".to_owned());
        assert!(settings.validate().unwrap_err().to_string().contains("tls"));
        settings.security.tls = true;
        settings.validate().unwrap();
    }
}
