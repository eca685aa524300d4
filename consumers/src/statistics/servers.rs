//! Which ClickHouse servers there are: shards, and in each the replicas that hold the same rows.

use super::schema::Layout;
use clickhouse::{Client, Compression};
use penstock::log::LogId;
use penstock::settings::{SettingsError, StatisticsSettings, Wire};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A shard that failed gets no new ranges for so long, as long as another does not fail.
const AVOIDED_FOR: Duration = Duration::from_secs(30);

/// How a ClickHouse is reached by somebody who may write.
#[derive(Clone, Default)]
pub struct Target {
    /// `http://host:port` or `https://host:port`.
    pub url: String,
    /// User; `None`: the server's default.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// Authorities (PEM) that an https server is trusted by; `None`: Mozilla's.
    pub authorities: Option<Arc<[u8]>>,
    /// Compression of inserts.
    pub wire: Wire,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("url", &self.url).field("user", &self.user).finish_non_exhaustive()
    }
}

impl Target {
    /// A client for `database`.
    #[must_use]
    pub fn client(&self, database: &str) -> Client {
        let client = self.transport().with_url(&self.url).with_database(database);
        let mut client = client.with_compression(self.compression());
        if let Some(user) = &self.user {
            client = client.with_user(user);
        }
        if let Some(password) = &self.password {
            client = client.with_password(password);
        }
        client
    }

    #[cfg(not(feature = "cluster"))]
    fn transport(&self) -> Client {
        Client::default()
    }

    #[cfg(feature = "cluster")]
    fn transport(&self) -> Client {
        match &self.authorities {
            // They were parsed when the settings were read.
            Some(pem) => super::tls::client(pem).unwrap_or_default(),
            None => Client::default(),
        }
    }

    fn compression(&self) -> Compression {
        match self.wire {
            Wire::None => Compression::None,
            Wire::Auto if is_loopback(&self.url) => Compression::None,
            Wire::Auto | Wire::Lz4 => Compression::Lz4,
            #[cfg(feature = "cluster")]
            Wire::Zstd => Compression::Zstd(1),
            #[cfg(not(feature = "cluster"))]
            Wire::Zstd => Compression::Lz4,
        }
    }
}

fn is_loopback(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or(url);
    ["127.", "localhost", "[::1]"].iter().any(|local| host.starts_with(local))
}

/// All servers of the statistics. Clones share what they know of failures.
#[derive(Clone, Debug)]
pub struct Servers {
    shards: Arc<[Shard]>,
}

#[derive(Debug)]
struct Shard {
    replicas: Vec<Target>,
    failed: Mutex<Option<Instant>>,
}

impl From<&Target> for Servers {
    fn from(target: &Target) -> Self {
        Servers::new(vec![vec![target.clone()]])
    }
}

impl From<Target> for Servers {
    fn from(target: Target) -> Self {
        Servers::from(&target)
    }
}

impl From<&Servers> for Servers {
    fn from(servers: &Servers) -> Self {
        servers.clone()
    }
}

impl Servers {
    /// One list a shard, its replicas. The place of a shard in the list is its name for ever.
    #[must_use]
    pub fn new(shards: Vec<Vec<Target>>) -> Servers {
        let shards = shards.into_iter().map(|replicas| Shard { replicas, failed: Mutex::new(None) });
        Servers { shards: shards.collect() }
    }

    /// The ones that are configured; `None` when none is, and the local engine is meant.
    ///
    /// Errors: [`SettingsError::Value`]: the password or the authorities' file cannot be read.
    pub fn configured(settings: &StatisticsSettings) -> Result<Option<Servers>, SettingsError> {
        let shards = match &settings.url {
            Some(url) => vec![vec![url.clone()]],
            None => settings.shards.clone(),
        };
        if shards.is_empty() {
            return Ok(None);
        }
        let password = settings.password.read("statistics.password")?;
        let authorities = settings.ca_file.as_deref().map(authorities).transpose()?;
        let target = |url: String| Target {
            url,
            user: settings.user.clone(),
            password: password.clone(),
            authorities: authorities.clone(),
            wire: settings.compression,
        };
        Ok(Some(Servers::new(shards.into_iter().map(|urls| urls.into_iter().map(target).collect()).collect())))
    }

    /// All servers, shard by shard.
    pub fn all(&self) -> impl Iterator<Item = &Target> {
        self.shards.iter().flat_map(|shard| &shard.replicas)
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    pub(super) fn clients(&self, layout: &Layout) -> Vec<Vec<Client>> {
        let clients = |shard: &Shard| shard.replicas.iter().map(|r| r.client(&layout.database)).collect();
        self.shards.iter().map(clients).collect()
    }

    pub(super) fn failed(&self, shard: usize, failed: bool) {
        if let Some(shard) = self.shards.get(shard) {
            *shard.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed.then(Instant::now);
        }
    }

    /// The shard of a log's `n`th range: in turn, past those that failed lately.
    pub(super) fn place(&self, log: &LogId, n: u64) -> usize {
        let shards = self.shards.len().max(1) as u64;
        let name = format!("{}/{}", log.name, log.partition);
        // Logs begin at different shards, so that their first ranges do not meet on one.
        let first = xxhash_rust::xxh3::xxh3_64(name.as_bytes()) % shards + n % shards;
        let avoided = |shard: &usize| {
            let failed = self.shards.get(*shard).map(|s| *s.failed.lock().unwrap_or_else(PoisonError::into_inner));
            failed.flatten().is_some_and(|at| at.elapsed() < AVOIDED_FOR)
        };
        let turn = |n: u64| usize::try_from((first + n) % shards).unwrap_or(0);
        (0..shards).map(turn).find(|shard| !avoided(shard)).unwrap_or_else(|| turn(0))
    }
}

fn authorities(file: &std::path::Path) -> Result<Arc<[u8]>, SettingsError> {
    let bad = |why: String| SettingsError::value("statistics.ca_file", file.display(), why);
    let pem: Arc<[u8]> = std::fs::read(file).map_err(|e| bad(e.to_string()))?.into();
    #[cfg(feature = "cluster")]
    super::tls::client(&pem).map_err(|e| bad(e.to_string()))?;
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ranges_go_round_and_pass_a_shard_that_failed() {
        let target = |url: &str| vec![Target { url: url.to_owned(), ..Target::default() }];
        let servers = Servers::new(vec![target("http://a"), target("http://b"), target("http://c")]);
        let log = LogId { name: "ads.click".into(), partition: 3 };
        let first = servers.place(&log, 0);
        assert_eq!((0..6).map(|n| (servers.place(&log, n) + 3 - first) % 3).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
        servers.failed(1, true);
        assert!((0..9).all(|n| servers.place(&log, n) != 1));
        // When all have failed, waiting for the next one is as good as waiting for any.
        servers.failed(0, true);
        servers.failed(2, true);
        assert!((0..9).any(|n| servers.place(&log, n) == 1));
        tokio::time::advance(AVOIDED_FOR).await;
        assert!((0..9).any(|n| servers.place(&log, n) == 1));
    }

    #[test]
    fn what_stays_on_the_machine_is_not_compressed() {
        let target = |url: &str| Target { url: url.to_owned(), ..Target::default() };
        assert_eq!(target("http://127.0.0.1:8123").compression(), Compression::None);
        assert_eq!(target("https://clickhouse.example:8443").compression(), Compression::Lz4);
    }
}
