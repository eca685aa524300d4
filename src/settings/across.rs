//! Rules between tables: values that are fine alone and not together.
//!
//! What can only be a mistake is refused at the start like any wrong value. What one role needs
//! and another does not (one file serves all roles) is told by `penstock check-config` as a
//! warning, since nobody but the role knows whether it is missed.

use super::{ArchiveLocation, Settings, SettingsError};
use humantime_serde::re::humantime::format_duration;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// What Kafka and an Avro header add to an event, at most.
const MESSAGE_OVERHEAD: usize = 1_024;
const DAY: Duration = Duration::from_secs(86_400);

impl Settings {
    /// Checks what the tables demand of each other. Errors: [`SettingsError::Value`], naming the
    /// key that is to be changed most likely, and the other one in the rule.
    pub(super) fn validate_across(&self) -> Result<(), SettingsError> {
        self.validate_ports()?;
        self.validate_sizes()?;
        self.validate_times()?;
        self.validate_servers()
    }

    /// On one machine no two listen at the same place. In a cluster each role has a machine or a
    /// container of its own.
    fn validate_ports(&self) -> Result<(), SettingsError> {
        if self.kafka.is_configured() {
            return Ok(());
        }
        let all = [
            ("sidecar.listen", self.sidecar.listen),
            ("panel.listen", self.panel.listen),
            ("engine.listen", self.engine.listen),
        ];
        for (at, (key, address)) in all.iter().enumerate() {
            if let Some((other, _)) = all[..at].iter().find(|(_, other)| collide(*other, *address)) {
                return Err(SettingsError::value(key, address, format!("{other} listens there already")));
            }
        }
        Ok(())
    }

    fn validate_sizes(&self) -> Result<(), SettingsError> {
        let Settings { intake, spool, forward, statistics, engine, panel, .. } = self;
        if intake.max_event_bytes > intake.max_body_bytes {
            let rule = "a single event may not be larger than intake.max_body_bytes";
            return Err(SettingsError::value("intake.max_event_bytes", intake.max_event_bytes, rule));
        }
        if intake.max_body_bytes > spool.max_group_bytes {
            let rule = format!(
                "the spool takes a request of at most spool.max_group_bytes, that is {}: larger bodies would be read and then refused",
                spool.max_group_bytes
            );
            return Err(SettingsError::value("intake.max_body_bytes", intake.max_body_bytes, rule));
        }
        if self.kafka.is_configured() && intake.max_event_bytes + MESSAGE_OVERHEAD > forward.max_message_bytes {
            let rule = format!(
                "an event of intake.max_event_bytes ({}) and {MESSAGE_OVERHEAD} bytes around it must fit, or it is accepted and then dead",
                intake.max_event_bytes
            );
            return Err(SettingsError::value("forward.max_message_bytes", forward.max_message_bytes, rule));
        }
        if self.is_local_engine() {
            // Rows become larger than their records: ids as columns, the log's coordinates.
            if statistics.max_bytes as u64 > engine.max_body_bytes / 4 {
                let rule = "must be at most a quarter of engine.max_body_bytes: an insert is larger than its records";
                return Err(SettingsError::value("statistics.max_bytes", statistics.max_bytes, rule));
            }
            if panel.query_memory_bytes > engine.max_query_memory_bytes {
                let rule = "the local engine gives no query more than engine.max_query_memory_bytes";
                return Err(SettingsError::value("panel.query_memory_bytes", panel.query_memory_bytes, rule));
            }
        }
        Ok(())
    }

    fn validate_times(&self) -> Result<(), SettingsError> {
        let Settings { archive, balances, consume: _, kafka, ledger, pipeline, sidecar, statistics, .. } = self;
        let refuse = |key, value: Duration, rule: String| Err(SettingsError::value(key, format_duration(value), rule));
        if archive.compact.older_than < archive.max_age {
            let rule = "must not be shorter than archive.max_age: an hour's files have to be there first".to_owned();
            return refuse("archive.compact.older_than", archive.compact.older_than, rule);
        }
        let silence = balances.heartbeat * 2 + ledger.publisher_lease;
        if sidecar.stale_after <= silence {
            let rule = format!(
                "must be longer than twice balances.heartbeat and ledger.publisher_lease together ({}), or each change of the publisher makes stop lists stale",
                format_duration(silence)
            );
            return refuse("sidecar.stale_after", sidecar.stale_after, rule);
        }
        if pipeline.snapshot_wait_alert <= balances.known_lead {
            let rule = "must be longer than balances.known_lead, which every import makes batches wait for".to_owned();
            return refuse("pipeline.snapshot_wait_alert", pipeline.snapshot_wait_alert, rule);
        }
        if statistics.timeout >= statistics.longest_outage {
            let rule =
                "must be shorter than statistics.longest_outage, in which ClickHouse remembers inserts".to_owned();
            return refuse("statistics.timeout", statistics.timeout, rule);
        }
        let inserts = u64::from(statistics.max_inserts_per_second).saturating_mul(statistics.longest_outage.as_secs());
        if inserts > 1_000_000 {
            let rule = format!(
                "with statistics.max_inserts_per_second = {} ClickHouse would have to remember {inserts} inserts; it does at most 1000000",
                statistics.max_inserts_per_second
            );
            return refuse("statistics.longest_outage", statistics.longest_outage, rule);
        }
        if !kafka.is_configured() {
            return Ok(());
        }
        if kafka.retention <= statistics.longest_outage {
            let rule = "must be longer than statistics.longest_outage: a consumer that was away meets a gap".to_owned();
            return refuse("kafka.retention", kafka.retention, rule);
        }
        if kafka.retention <= archive.max_age * 2 {
            let rule =
                "must be longer than twice archive.max_age: a range is written once it is full or old".to_owned();
            return refuse("kafka.retention", kafka.retention, rule);
        }
        if kafka.retention > DAY * balances.unique_days {
            let rule = format!(
                "must not be longer than balances.unique_days ({}): a repeated id that is read so late would be charged again",
                balances.unique_days
            );
            return refuse("kafka.retention", kafka.retention, rule);
        }
        Ok(())
    }

    fn validate_servers(&self) -> Result<(), SettingsError> {
        let mut seen = BTreeSet::new();
        if let Some(url) = self.statistics.shards.iter().flatten().find(|url| !seen.insert(url.trim_end_matches('/'))) {
            return Err(SettingsError::value(
                "statistics.shards",
                url,
                "is named twice; each is one replica of one shard",
            ));
        }
        let fewest = self.statistics.shards.iter().map(Vec::len).min();
        let quorum = usize::from(self.statistics.insert_quorum);
        if let Some(replicas) = fewest.filter(|replicas| quorum > *replicas) {
            let rule = format!("statistics.shards has a shard of {replicas} replicas");
            return Err(SettingsError::value("statistics.insert_quorum", quorum, rule));
        }
        let mut seen = BTreeSet::new();
        if let Some(url) = self.panel.roles.iter().find(|url| !seen.insert(url.as_str())) {
            return Err(SettingsError::value("panel.roles", url, "is named twice"));
        }
        let own = format!("http://{}", self.panel.listen);
        if self.panel.roles.contains(&own) {
            return Err(SettingsError::value("panel.roles", own, "is the panel itself; name the other roles"));
        }
        Ok(())
    }

    /// Whether statistics go to the engine of this machine.
    fn is_local_engine(&self) -> bool {
        self.statistics.url.is_none() && self.statistics.shards.is_empty()
    }

    /// What can be meant and often is not, one sentence each: what a role of this file would miss,
    /// and places that do not outlive the machine.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut warn = |when: bool, sentence: &str| {
            if when {
                found.push(sentence.to_owned());
            }
        };
        let local_archive = matches!(self.archive.location(Path::new("archive")), ArchiveLocation::Folder(_));
        if self.kafka.is_configured() {
            warn(
                self.is_local_engine(),
                "statistics.url and statistics.shards are not set: `penstock consume statistics` and `penstock panel` need one of them",
            );
            warn(
                self.ledger.url.is_none(),
                "ledger.url is not set: `penstock consume balances` and `penstock panel` need it",
            );
            warn(
                local_archive,
                "archive.url names no HDFS and no S3: every consumer of the archive would write to its own disk",
            );
            warn(
                self.panel.roles.is_empty(),
                "panel.roles is empty: `penstock status` will see no sidecar and no consumer",
            );
            warn(
                self.kafka.replication < 2,
                "kafka.replication is 1: the loss of one broker loses events that were acknowledged",
            );
            warn(
                self.kafka.replication > 1 && self.kafka.min_insync == self.kafka.replication,
                "kafka.min_insync equals kafka.replication: one broker that is away stops all forwarding",
            );
        } else {
            warn(
                self.ledger.url.is_some(),
                "ledger.url is set and kafka.brokers is not: `penstock up` keeps its ledger in a file all the same",
            );
            warn(
                !self.registry.urls.is_empty(),
                "registry.urls is set and kafka.brokers is not: nobody asks the registry",
            );
            warn(
                !self.panel.roles.is_empty(),
                "panel.roles is set and kafka.brokers is not: `penstock up` runs all roles itself",
            );
        }
        warn(
            self.spool.reserve_bytes == 0,
            "spool.reserve_bytes is 0: on a full disk no position can be stored, and the spool cannot drain",
        );
        warn(
            self.spool.reserve_bytes > self.spool.max_bytes,
            "spool.reserve_bytes is larger than spool.max_bytes: intake answers 503 while most of the disk is free",
        );
        found
    }
}

/// Whether both cannot be listened on at once.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() != 0
        && one.port() == other.port()
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut Settings);

    fn kafka(settings: &mut Settings) {
        settings.kafka.brokers = vec!["k:9092".to_owned()];
    }

    #[test]
    fn values_that_are_fine_alone_and_not_together_are_refused() {
        let cases: [(&str, Spoil); 15] = [
            ("panel.listen", |s| s.panel.listen = s.sidecar.listen),
            ("intake.max_event_bytes", |s| (s.intake.max_body_bytes, s.intake.max_event_bytes) = (1 << 16, 1 << 17)),
            ("intake.max_body_bytes", |s| s.spool.max_group_bytes = 1 << 20),
            ("forward.max_message_bytes", |s| {
                kafka(s);
                s.forward.max_message_bytes = s.intake.max_event_bytes;
            }),
            ("statistics.max_bytes", |s| s.engine.max_body_bytes = 64 << 20),
            ("panel.query_memory_bytes", |s| s.panel.query_memory_bytes = 3 << 30),
            ("archive.compact.older_than", |s| s.archive.compact.older_than = Duration::from_secs(10)),
            ("sidecar.stale_after", |s| s.balances.heartbeat = Duration::from_secs(10)),
            ("pipeline.snapshot_wait_alert", |s| s.pipeline.snapshot_wait_alert = s.balances.known_lead),
            ("statistics.timeout", |s| s.statistics.timeout = Duration::from_secs(900)),
            ("statistics.longest_outage", |s| s.statistics.longest_outage = 2 * DAY),
            ("kafka.retention", |s| {
                kafka(s);
                s.kafka.retention = Duration::from_secs(600);
            }),
            ("kafka.retention", |s| {
                kafka(s);
                s.kafka.retention = 40 * DAY;
            }),
            ("statistics.shards", |s| {
                s.statistics.shards = vec![vec!["http://a".to_owned()], vec!["http://a/".to_owned()]];
                s.statistics.cluster = Some("main".to_owned());
            }),
            ("panel.roles", |s| s.panel.roles = vec![format!("http://{}", s.panel.listen)]),
        ];
        for (key, spoil) in cases {
            let mut settings = Settings::default();
            spoil(&mut settings);
            let refused = settings.validate().map_err(|e| e.to_string()).err().unwrap_or_default();
            assert!(refused.starts_with(key), "{key}: {refused}");
        }
    }

    #[test]
    fn roles_of_a_cluster_may_share_a_port_on_their_own_machines() {
        let mut settings = Settings::default();
        settings.panel.listen = settings.sidecar.listen;
        kafka(&mut settings);
        settings.validate().unwrap();
    }

    #[test]
    fn what_a_role_would_miss_is_a_warning() {
        assert_eq!(Settings::default().warnings(), Vec::<String>::new());
        let mut settings = Settings::default();
        kafka(&mut settings);
        let missed = settings.warnings().join("\n");
        for key in ["statistics.url", "ledger.url", "archive.url", "panel.roles"] {
            assert!(missed.contains(key), "{key} is missing in {missed}");
        }
    }

    /// Every leaf of `value` as `table.key`.
    fn keys(path: &str, value: &serde_json::Value, out: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    keys(&path, value, out);
                }
            }
            _ => drop(out.insert(path.to_owned())),
        }
    }

    /// Every key that a file of ours shows, set or commented out, and every table.
    fn shown(text: &str) -> BTreeSet<String> {
        let (mut table, mut found) = (String::new(), BTreeSet::new());
        for line in text.lines() {
            let line = line.strip_prefix("# ").unwrap_or(line);
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.split(']').next()) {
                name.clone_into(&mut table);
                found.insert(table.clone());
            } else if let Some((key, _)) = line.split_once(" = ")
                && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            {
                found.insert(if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") });
            }
        }
        found
    }

    #[test]
    fn every_key_stands_in_a_configuration_of_ours() {
        let mut wanted = BTreeSet::new();
        keys("", &serde_json::to_value(Settings::default()).unwrap(), &mut wanted);
        let files = [include_str!("../../config/embedded.toml"), include_str!("../../config/cluster.toml")];
        let there: BTreeSet<String> = files.iter().flat_map(|text| shown(text)).collect();
        // A secret's `file` and `env` are shown with the secret.
        let stands = |key: &String| {
            there.contains(key)
                || key
                    .rsplit_once('.')
                    .is_some_and(|(table, leaf)| ["file", "env"].contains(&leaf) && there.contains(table))
        };
        let missing: Vec<&String> = wanted.iter().filter(|key| !stands(key)).collect();
        assert!(missing.is_empty(), "in neither config/embedded.toml nor config/cluster.toml: {missing:?}");
        for text in files {
            let settings: Settings = toml::from_str(text).unwrap();
            settings.validate().unwrap();
        }
    }
}
