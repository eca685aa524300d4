//! What a fleet is made of, and the configuration that says so.

use super::{Addresses, sql};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// Where the archive lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Archive {
    /// HDFS.
    Hdfs,
    /// An S3 bucket.
    S3,
}

/// How one fleet differs from another.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Part of the name of everything that servers hold for it.
    pub name: String,
    /// Where the archive lies.
    pub archive: Archive,
    /// Whether the schema registry is used, and so the Confluent framing.
    pub registry: bool,
    /// Partitions of each event topic.
    pub partitions: u32,
    /// Whether Kafka and MariaDB are spoken to over TLS, with names and passwords.
    pub secure: bool,
    /// After what silence a consumer loses its partitions.
    pub session_timeout: &'static str,
}

impl Shape {
    /// The usual one, with a name that no other fleet has.
    #[must_use]
    pub fn new() -> Shape {
        let name = format!("t{:08x}", rand::random::<u32>());
        Shape { name, archive: Archive::Hdfs, registry: true, partitions: 6, secure: false, session_timeout: "6s" }
    }

    /// What must be there before anything of ours starts.
    pub(super) fn make_places(&self, addresses: &Addresses) {
        let server = format!("{}/mysql", addresses.of("MARIADB"));
        sql(&server, &format!("CREATE DATABASE penstock_{}", self.name));
    }

    /// The ledger's address, with its database.
    #[must_use]
    pub fn ledger(&self, addresses: &Addresses) -> String {
        format!("{}/penstock_{}", addresses.of("MARIADB"), self.name)
    }

    /// The archive's address, as the oracle takes it.
    #[must_use]
    pub fn archive_for_oracle(&self, addresses: &Addresses) -> String {
        match self.archive {
            Archive::Hdfs => self.archive_url(addresses),
            Archive::S3 => format!("s3+{}/penstock/{}", addresses.of("S3"), self.name),
        }
    }

    /// The configuration file of one role (`""`: of a command).
    pub(super) fn config(&self, addresses: &Addresses, roles: &[(&str, SocketAddr)], role: &str) -> String {
        let name = &self.name;
        let brokers = addresses.of(if self.secure { "KAFKA_TLS" } else { "KAFKA" });
        let brokers: Vec<String> = brokers.split(',').map(|b| format!("{b:?}")).collect();
        let mut text = format!(
            "[kafka]\nbrokers = [{}]\npartitions = {}\ndead_topic = \"{name}.dead\"\nstate_topic = \"{name}.state\"\n\
             kpis_topic = \"{name}.kpis\"\n\n[kafka.topics]\n",
            brokers.join(", "),
            self.partitions
        );
        for kind in ["impression", "visit", "click", "conversion"] {
            let _ = writeln!(text, "{kind} = \"{name}.{kind}\"");
        }
        let (ca, password) = (addresses.of("CA"), addresses.of("PASSWORD_FILE"));
        if self.secure {
            let _ = writeln!(
                text,
                "\n[kafka.security]\ntls = true\nca_file = {ca:?}\nmechanism = \"SCRAM-SHA-512\"\nusername = \"penstock\"\n\
                 password = {{ file = {password:?} }}"
            );
        }
        if self.registry {
            let _ = writeln!(text, "\n[registry]\nurls = [{:?}]", addresses.of("REGISTRY"));
        }
        let _ = writeln!(text, "\n[consume]\ngroup_prefix = \"{name}\"\nsession_timeout = {:?}", self.session_timeout);
        if !role.is_empty() {
            let _ = writeln!(text, "instance_id = \"{role}\"");
        }
        if self.secure {
            let url = format!("{}/penstock_{name}", addresses.of("MARIADB_TLS"));
            let _ = writeln!(
                text,
                "\n[ledger]\nurl = {url:?}\ntls = true\nca_file = {ca:?}\npassword = {{ file = {password:?} }}"
            );
        } else {
            let _ = writeln!(text, "\n[ledger]\nurl = {:?}", self.ledger(addresses));
        }
        // Small ranges and quick files put many steps of every pipeline within reach of a fault.
        let _ = writeln!(
            text,
            "\n[statistics]\nurl = {:?}\nuser = \"penstock\"\npassword = {{ file = {:?} }}\nmax_age = \"200ms\"",
            addresses.of("CLICKHOUSE"),
            addresses.of("CLICKHOUSE_PASSWORD_FILE"),
        );
        let _ = writeln!(text, "\n[archive]\nurl = {:?}\nmax_age = \"500ms\"", self.archive_url(addresses));
        if self.archive == Archive::S3 {
            let _ = writeln!(
                text,
                "\n[archive.options]\nendpoint = {:?}\nallow_http = \"true\"\nregion = \"us-east-1\"\n\
                 access_key_id = \"any\"\nsecret_access_key = \"any\"",
                addresses.of("S3")
            );
        }
        let others: Vec<String> = roles
            .iter()
            .filter(|(name, _)| *name != "panel")
            .map(|(_, address)| format!("\"http://{address}\""))
            .collect();
        let _ = writeln!(text, "\n[panel]\nroles = [{}]", others.join(", "));
        text
    }

    fn archive_url(&self, addresses: &Addresses) -> String {
        match self.archive {
            Archive::Hdfs => format!("{}/penstock/{}", addresses.of("HDFS"), self.name),
            Archive::S3 => format!("s3://penstock/{}", self.name),
        }
    }
}

impl Default for Shape {
    fn default() -> Self {
        Self::new()
    }
}
