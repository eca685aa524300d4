//! The topics that a cluster needs: what they should be, what they are, and making them so.
//!
//! Nothing is ever taken away: partitions are not lowered, topics not deleted, and what cannot be
//! put right here (copies, too many partitions) is named and left to an operator.

use super::client;
use crate::settings::{ForwardSettings, KafkaSettings, SettingsError};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Dead letters are kept for somebody to look at them.
const DEAD_RETENTION: Duration = Duration::from_secs(365 * 86_400);
/// Figures are for live views only; the ledger has them all.
const KPIS_RETENTION: Duration = Duration::from_secs(86_400);
/// What brokers add to a batch, generously.
const BATCH_OVERHEAD: usize = 64 << 10;
/// `max.message.bytes` of Kafka's own default.
const MESSAGE_BYTES: usize = 1_048_588;

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// At least so many partitions.
    pub partitions: u32,
    /// Not more either: its order or its readers rest on it.
    pub exactly: bool,
    /// Copies of each partition.
    pub replication: u16,
    /// Settings that must hold.
    pub configs: BTreeMap<&'static str, String>,
}

/// One difference between a topic and what it should be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
pub enum Difference {
    /// There is no such topic.
    Missing {
        /// Its name.
        topic: String,
        /// Partitions it will have.
        partitions: u32,
        /// Copies it will have.
        replication: u16,
    },
    /// It has fewer partitions.
    Partitions {
        /// Its name.
        topic: String,
        /// How many there are.
        has: u32,
        /// How many there should be.
        wants: u32,
    },
    /// A setting is another.
    Config {
        /// Its name.
        topic: String,
        /// The setting.
        key: String,
        /// What it is, where the brokers tell.
        has: Option<String>,
        /// What it should be.
        wants: String,
    },
    /// Only an operator can put it right.
    Operator {
        /// Its name.
        topic: String,
        /// What is wrong.
        what: String,
    },
}

impl Difference {
    /// Whether [`Topics::apply`] puts it right.
    #[must_use]
    pub const fn can_be_applied(&self) -> bool {
        !matches!(self, Difference::Operator { .. })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Missing { topic, partitions, replication } => {
                write!(f, "{topic}: missing; {partitions} partitions with {replication} copies")
            }
            Difference::Partitions { topic, has, wants } => write!(f, "{topic}: {has} partitions, should be {wants}"),
            Difference::Config { topic, key, has, wants } => {
                write!(f, "{topic}: {key} is {}, should be {wants}", has.as_deref().unwrap_or("not told"))
            }
            Difference::Operator { topic, what } => write!(f, "{topic}: {what}"),
        }
    }
}

/// Why topics cannot be looked at or changed.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// A secret cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The brokers do not answer, or refuse the question.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// They refuse a change.
    #[error("{topic}: {why}")]
    Refused {
        /// The topic.
        topic: String,
        /// What they said.
        why: String,
    },
}

/// The topics that the settings call for.
#[must_use]
pub fn wanted(kafka: &KafkaSettings, forward: &ForwardSettings) -> Vec<Wanted> {
    let ms = |d: Duration| d.as_millis().to_string();
    let topic = |name: &str, partitions: u32, exactly: bool, own: &[(&'static str, String)]| {
        let mut configs = BTreeMap::from([
            ("min.insync.replicas", kafka.min_insync.to_string()),
            // A broker that lacks acknowledged records never leads.
            ("unclean.leader.election.enable", "false".to_owned()),
            ("max.message.bytes", MESSAGE_BYTES.max(forward.max_message_bytes + BATCH_OVERHEAD).to_string()),
            // The times are the producers': tails are looked for by them.
            ("message.timestamp.type", "CreateTime".to_owned()),
        ]);
        configs.extend(own.iter().cloned());
        Wanted { name: name.to_owned(), partitions, exactly, replication: kafka.replication, configs }
    };
    let kept = |d: Duration| [("cleanup.policy", "delete".to_owned()), ("retention.ms", ms(d))];
    let mut all: Vec<Wanted> =
        kafka.event_topics().iter().map(|t| topic(t, kafka.partitions, false, &kept(kafka.retention))).collect();
    all.push(topic(&kafka.dead_topic, 1, true, &kept(DEAD_RETENTION.max(kafka.retention))));
    let compacted = [
        ("cleanup.policy", "compact".to_owned()),
        // The newest state of each campaign is read at every start of a sidecar: kept short by small
        // segments, of which all but the last are compacted; a minute's history stays as it was.
        ("segment.bytes", (16 << 20).to_string()),
        ("segment.ms", ms(Duration::from_secs(600))),
        ("min.cleanable.dirty.ratio", "0.1".to_owned()),
        ("min.compaction.lag.ms", ms(Duration::from_secs(60))),
    ];
    all.push(topic(&kafka.state_topic, 1, true, &compacted));
    all.push(topic(&kafka.kpis_topic, 1, true, &kept(KPIS_RETENTION)));
    all
}

/// Looks at topics and changes them.
pub struct Topics {
    admin: AdminClient<DefaultClientContext>,
    timeout: Duration,
}

/// What is known of a topic that is there.
struct Found {
    partitions: u32,
    replication: usize,
    /// Value, and whether the topic itself says so.
    configs: BTreeMap<String, (Option<String>, bool)>,
}

impl Topics {
    /// Each call waits up to `timeout` for the brokers.
    ///
    /// Errors: [`TopicsError`].
    pub fn new(kafka: &KafkaSettings, timeout: Duration) -> Result<Self, TopicsError> {
        Ok(Topics { admin: client::config(kafka)?.create()?, timeout })
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new().request_timeout(Some(self.timeout)).operation_timeout(Some(self.timeout))
    }

    async fn find(&self, name: &str) -> Result<Option<Found>, TopicsError> {
        // Asked for by name the brokers would make it, where that is on; so all are asked for.
        let metadata = self.admin.inner().fetch_metadata(None, self.timeout)?;
        let Some(topic) = metadata.topics().iter().find(|t| t.name() == name && t.error().is_none()) else {
            return Ok(None);
        };
        let partitions = u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX);
        let replication = topic.partitions().iter().map(|p| p.replicas().len()).min().unwrap_or(0);
        let asked = self.admin.describe_configs(&[ResourceSpecifier::Topic(name)], &self.options()).await?;
        let mut configs = BTreeMap::new();
        for resource in asked {
            let refused = |code| TopicsError::Refused { topic: name.to_owned(), why: format!("{code}") };
            let resource = resource.map_err(refused)?;
            let entry = |e: rdkafka::admin::ConfigEntry| (e.name, (e.value, e.source == ConfigSource::DynamicTopic));
            configs.extend(resource.entries.into_iter().map(entry));
        }
        Ok(Some(Found { partitions, replication, configs }))
    }

    /// What is not as it should be.
    ///
    /// Errors: [`TopicsError`].
    pub async fn differences(&self, wanted: &[Wanted]) -> Result<Vec<Difference>, TopicsError> {
        let mut all = Vec::new();
        for want in wanted {
            let topic = want.name.clone();
            let Some(found) = self.find(&want.name).await? else {
                let (partitions, replication) = (want.partitions, want.replication);
                all.push(Difference::Missing { topic, partitions, replication });
                continue;
            };
            if found.partitions < want.partitions {
                let (has, wants) = (found.partitions, want.partitions);
                all.push(Difference::Partitions { topic: topic.clone(), has, wants });
            }
            if want.exactly && found.partitions > want.partitions {
                let what = format!("{} partitions where {} must be: make it anew", found.partitions, want.partitions);
                all.push(Difference::Operator { topic: topic.clone(), what });
            }
            if found.replication < usize::from(want.replication) {
                let (has, wants) = (found.replication, want.replication);
                let what = format!("{has} copies, should be {wants}: reassign its partitions");
                all.push(Difference::Operator { topic: topic.clone(), what });
            }
            for (key, wants) in &want.configs {
                let has = found.configs.get(*key).and_then(|(value, _)| value.clone());
                if has.as_ref() != Some(wants) {
                    let (topic, key, wants) = (topic.clone(), (*key).to_owned(), wants.clone());
                    all.push(Difference::Config { topic, key, has, wants });
                }
            }
        }
        Ok(all)
    }

    /// Makes what is missing and changes what is other, as far as that can be done.
    ///
    /// Errors: [`TopicsError`]; what went before is done.
    pub async fn apply(&self, wanted: &[Wanted]) -> Result<(), TopicsError> {
        for want in wanted {
            match self.find(&want.name).await? {
                None => self.make(want).await?,
                Some(found) => self.change(want, &found).await?,
            }
        }
        Ok(())
    }

    async fn make(&self, want: &Wanted) -> Result<(), TopicsError> {
        let partitions = i32::try_from(want.partitions).unwrap_or(i32::MAX);
        let mut new = NewTopic::new(&want.name, partitions, TopicReplication::Fixed(i32::from(want.replication)));
        for (key, value) in &want.configs {
            new = new.set(key, value);
        }
        for made in self.admin.create_topics(&[new], &self.options()).await? {
            made.map_err(|(topic, code)| TopicsError::Refused { topic, why: code.to_string() })?;
        }
        Ok(())
    }

    async fn change(&self, want: &Wanted, found: &Found) -> Result<(), TopicsError> {
        if found.partitions < want.partitions {
            let count = usize::try_from(want.partitions).unwrap_or(usize::MAX);
            for grown in self.admin.create_partitions(&[NewPartitions::new(&want.name, count)], &self.options()).await?
            {
                grown.map_err(|(topic, code)| TopicsError::Refused { topic, why: code.to_string() })?;
            }
        }
        let holds = |key: &str, value: &str| found.configs.get(key).is_some_and(|(v, _)| v.as_deref() == Some(value));
        if want.configs.iter().all(|(key, value)| holds(key, value)) {
            return Ok(());
        }
        // The call replaces all that the topic itself says, so that goes along.
        let mut alter = AlterConfig::new(ResourceSpecifier::Topic(&want.name));
        for (key, (value, own)) in &found.configs {
            if let (Some(value), true) = (value, own) {
                alter = alter.set(key, value);
            }
        }
        for (key, value) in &want.configs {
            alter = alter.set(key, value);
        }
        for altered in self.admin.alter_configs(&[alter], &self.options()).await? {
            let refused = |code: rdkafka::error::RDKafkaErrorCode| TopicsError::Refused {
                topic: want.name.clone(),
                why: code.to_string(),
            };
            altered.map_err(|(_, code)| refused(code))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_that_the_settings_name_is_wanted_once() {
        let mut kafka = KafkaSettings::default();
        kafka.topics.insert("visit".to_owned(), "ads.impression".to_owned());
        let wanted = wanted(&kafka, &ForwardSettings::default());
        let names: Vec<&str> = wanted.iter().map(|w| w.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "ads.click",
                "ads.conversion",
                "ads.impression",
                "ads.page-view",
                "ads.dead",
                "campaign-state",
                "campaign-kpis"
            ]
        );
        assert!(wanted.iter().all(|w| w.configs["unclean.leader.election.enable"] == "false"));
        assert!(wanted.iter().filter(|w| w.exactly).all(|w| w.partitions == 1));
    }
}
