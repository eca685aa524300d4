//! The other roles as the panel sees them: each is asked for its `/readyz`, which also tells how
//! its sinks and its spool stand.

use futures::future::join_all;
use penstock_panel::api::types::{Health, RoleStatus, SinkStatus, SpoolStatus};
use penstock_panel::{Counters, RoleProbe};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often everybody is asked.
const EVERY: Duration = Duration::from_secs(1);
/// How often while somebody waits for spools to be forwarded.
const WAITING: Duration = Duration::from_millis(100);
/// Longest time for an answer.
const ANSWER: Duration = Duration::from_secs(3);
/// Longest text of a role's metrics that is read.
const METRICS_BYTES: usize = 8 << 20;

/// What a role says on `/readyz`; fields that it does not have are left out.
#[derive(Clone, Debug, Default, serde::Deserialize)]
struct Said {
    #[serde(default)]
    ready: bool,
    role: Option<String>,
    #[serde(default)]
    reasons: Vec<Reason>,
    #[serde(default)]
    warnings: Vec<Reason>,
    #[serde(default)]
    sinks: Vec<SinkStatus>,
    spool: Option<SpoolStatus>,
}

#[derive(Clone, Debug, serde::Deserialize)]
struct Reason {
    code: String,
    message: String,
}

struct Peer {
    /// `http://host:port`.
    base: String,
    said: Mutex<Result<Said, String>>,
    /// What a sidecar had counted when it was asked last.
    counted: Mutex<Option<Counters>>,
}

/// All roles of `panel.roles`. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    http: reqwest::Client,
    peers: Arc<Vec<Arc<Peer>>>,
}

impl Peers {
    /// Nobody has been asked yet. Errors: the HTTP client cannot be made.
    pub fn new(roles: &[String]) -> anyhow::Result<Peers> {
        let http = reqwest::Client::builder().timeout(ANSWER).no_proxy().build()?;
        let peer = |base: &String| {
            Arc::new(Peer {
                base: base.clone(),
                said: Mutex::new(Err("it was not asked yet".to_owned())),
                counted: Mutex::default(),
            })
        };
        Ok(Peers { http, peers: Arc::new(roles.iter().map(peer).collect()) })
    }

    /// Asks all of them, over and over, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.ask().await;
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn ask(&self) {
        join_all(self.peers.iter().map(|peer| async move {
            let said = self.ask_one(&peer.base).await;
            let sidecar = said.as_ref().is_ok_and(|said| said.spool.is_some());
            *peer.said.lock().unwrap_or_else(PoisonError::into_inner) = said;
            let counted = if sidecar { self.count(&peer.base).await } else { None };
            *peer.counted.lock().unwrap_or_else(PoisonError::into_inner) = counted;
        }))
        .await;
    }

    async fn ask_one(&self, base: &str) -> Result<Said, String> {
        let answer = self.http.get(format!("{base}/readyz")).send().await.map_err(|_| "nobody answers".to_owned())?;
        let status = answer.status();
        // 503 carries the reasons.
        answer.json().await.map_err(|_| format!("it answers {status} with something that is not a role's readiness"))
    }

    /// What a sidecar has counted; `None` when it does not say.
    async fn count(&self, base: &str) -> Option<Counters> {
        let mut answer = self.http.get(format!("{base}/metrics")).send().await.ok()?;
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.ok()? {
            if text.len() + chunk.len() > METRICS_BYTES {
                return None;
            }
            text.extend_from_slice(&chunk);
        }
        Some(Counters::parse(std::str::from_utf8(&text).ok()?))
    }

    /// What the sidecars have counted, by their addresses.
    pub fn counters(&self) -> Vec<(String, Counters)> {
        let counted = |peer: &Arc<Peer>| {
            let counted = peer.counted.lock().unwrap_or_else(PoisonError::into_inner).clone();
            counted.map(|counters| (peer.base.clone(), counters))
        };
        self.peers.iter().filter_map(counted).collect()
    }

    fn each(&self) -> impl Iterator<Item = (&str, Result<Said, String>)> {
        self.peers.iter().map(|p| {
            (p.base.trim_start_matches("http://"), p.said.lock().unwrap_or_else(PoisonError::into_inner).clone())
        })
    }

    /// One probe a role, answered from what it said last.
    pub fn probes(&self) -> Vec<RoleProbe> {
        let probe = |peer: &Arc<Peer>| -> RoleProbe {
            let peer = peer.clone();
            Arc::new(move || status(&peer))
        };
        self.peers.iter().map(probe).collect()
    }

    /// How their pipelines stand; of a partition that two claim (a takeover), the one that runs.
    pub fn sinks(&self) -> Vec<SinkStatus> {
        let mut rows = BTreeMap::<(String, String, u32), SinkStatus>::new();
        for sink in self.each().filter_map(|(_, said)| said.ok()).flat_map(|said| said.sinks) {
            let key = (sink.sink.clone(), sink.log.clone(), sink.partition);
            let newer = rows.get(&key).is_none_or(|known| known.state != "running" && sink.state == "running");
            if newer {
                rows.insert(key, sink);
            }
        }
        rows.into_values().collect()
    }

    /// The sidecars' spools.
    pub fn spools(&self) -> Vec<SpoolStatus> {
        self.each().filter_map(|(_, said)| said.ok()?.spool).collect()
    }

    /// Has every consumer close its ranges early; nobody waits for the answers.
    pub fn flush(&self) {
        for peer in self.peers.iter() {
            let consumes = peer
                .said
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_ref()
                .is_ok_and(|said| said.spool.is_none());
            if consumes {
                let request = self.http.post(format!("{}/v1/flush", peer.base)).send();
                tokio::spawn(async move {
                    if let Err(error) = request.await {
                        tracing::debug!(%error, "a consumer was not flushed");
                    }
                });
            }
        }
    }

    /// Waits, at most until `deadline`, until what the spools hold now has been forwarded. Says
    /// which have not got so far, and whom one cannot ask.
    pub async fn forwarded(&self, deadline: Instant) -> Vec<String> {
        self.ask().await;
        let goals: BTreeMap<(String, u32), u64> = self
            .spools()
            .into_iter()
            .flat_map(|s| s.partitions.into_iter().map(move |p| ((s.log.clone(), p.partition), p.end)))
            .collect();
        loop {
            let mut late = self.behind(&goals);
            let now = Instant::now();
            if late.is_empty() || now >= deadline {
                late.extend(self.each().filter_map(|(base, said)| {
                    let why = said.err()?;
                    Some(format!(
                        "the role at {base} cannot be asked ({why}): what only its spool holds is not compared"
                    ))
                }));
                return late;
            }
            tokio::time::sleep(WAITING.min(deadline - now)).await;
            self.ask().await;
        }
    }

    fn behind(&self, goals: &BTreeMap<(String, u32), u64>) -> Vec<String> {
        let mut late = Vec::new();
        for spool in self.spools() {
            for p in &spool.partitions {
                let forwarded = p.synced.saturating_sub(p.depth);
                let goal = goals.get(&(spool.log.clone(), p.partition)).copied().unwrap_or(0);
                if forwarded < goal {
                    let missing = goal - forwarded;
                    let (log, partition) = (&spool.log, p.partition);
                    late.push(format!("{missing} records of {log}/{partition} are not in Kafka yet"));
                }
            }
        }
        late
    }
}

fn status(peer: &Peer) -> RoleStatus {
    let said = peer.said.lock().unwrap_or_else(PoisonError::into_inner);
    let address = peer.base.trim_start_matches("http://");
    match &*said {
        Err(why) => {
            let name = format!("role {address}");
            RoleStatus { name, health: Health::Down, reason: Some(why.clone()) }
        }
        Ok(said) => {
            let name = format!("{} {address}", said.role.as_deref().unwrap_or("role"));
            let first = said.reasons.first().or(said.warnings.first());
            let health = if !said.ready || first.is_some() { Health::Degraded } else { Health::Ok };
            RoleStatus { name, health, reason: first.map(|r| format!("{}: {}", r.code, r.message)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(answers: &[&str]) -> Peers {
        let peers = Peers::new(&answers.iter().map(|_| "http://127.0.0.1:1".to_owned()).collect::<Vec<_>>()).unwrap();
        for (peer, answer) in peers.peers.iter().zip(answers) {
            *peer.said.lock().unwrap() = serde_json::from_str(answer).map_err(|e| e.to_string());
        }
        peers
    }

    const SINK: &str = r#"{"sink":"archive","log":"ads.click","partition":3,"state":"STATE","position":7,"end":9,
        "lag_events":2,"lag_seconds":null,"last_commit":null,"generation":1,"error":null}"#;

    #[test]
    fn a_partition_that_two_claim_is_shown_once_as_it_runs() {
        let one = format!(r#"{{"ready":true,"sinks":[{}]}}"#, SINK.replace("STATE", "stopped"));
        let two = format!(r#"{{"ready":true,"sinks":[{}]}}"#, SINK.replace("STATE", "running"));
        for order in [[&one, &two], [&two, &one]] {
            let rows = peers(&order.map(String::as_str)).sinks();
            assert_eq!((rows.len(), rows[0].state.as_str()), (1, "running"));
        }
    }

    #[test]
    fn what_a_spool_has_not_forwarded_is_counted() {
        let sidecar = r#"{"ready":true,"role":"sidecar","spool":{"log":"spool-1","bytes":1,"quota_bytes":2,
            "partitions":[{"partition":0,"start":0,"end":50,"synced":48,"bytes":1,"depth":8}]}}"#;
        let peers = peers(&[sidecar]);
        let goals = [(("spool-1".to_owned(), 0), 50)].into();
        assert_eq!(peers.behind(&goals), ["10 records of spool-1/0 are not in Kafka yet"]);
        assert!(peers.behind(&[(("spool-1".to_owned(), 0), 40)].into()).is_empty());
    }

    #[test]
    fn a_role_that_waits_is_degraded_with_its_reason() {
        let role = status(
            &peers(&[r#"{"ready":false,"role":"consume archive",
            "reasons":[{"code":"store","message":"nobody answers"}]}"#])
            .peers[0],
        );
        assert_eq!((role.name.as_str(), role.health), ("consume archive 127.0.0.1:1", Health::Degraded));
        assert_eq!(role.reason.as_deref(), Some("store: nobody answers"));
    }
}
