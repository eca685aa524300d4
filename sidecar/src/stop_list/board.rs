//! The state of every campaign, read without a lock.

use super::history::{Change, History, Since};
use super::snapshot::{CampaignState, Snapshot};
use arc_swap::ArcSwap;
use penstock::ledger::Reason;
use penstock::ledger::{StateChange, StateRecord};
use penstock::pricing::CampaignId;
use penstock::telemetry::SidecarMetrics;
use penstock::time::{Clock, Micros};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A change copies one shard, so there are many of them.
const SHARDS: usize = 256;

type Shard = HashMap<CampaignId, Entry>;

#[derive(Clone, Debug)]
struct Entry {
    version: u64,
    serving: bool,
    reasons: Arc<[Reason]>,
}

/// What the ad server is told about one campaign.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Answer {
    /// The campaign asked for.
    pub campaign_id: CampaignId,
    /// Whether it may be served. Unknown campaigns are.
    pub serving: bool,
    /// The weightiest reason when stopped.
    pub reason: Option<Reason>,
    /// All reasons by weight.
    #[serde(serialize_with = "super::history::as_slice")]
    pub reasons: Arc<[Reason]>,
    /// Version of this campaign's state; 0 when unknown.
    pub version: u64,
    /// The list has not caught up, or has heard nothing for too long.
    pub stale: bool,
    /// Whether the ledger has ever spoken of this campaign.
    pub known: bool,
}

/// The stop list; clones share it.
#[derive(Clone)]
pub struct StopList(Arc<Inner>);

impl std::fmt::Debug for StopList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StopList").field("version", &self.version()).finish_non_exhaustive()
    }
}

struct Inner {
    shards: Box<[ArcSwap<Shard>]>,
    history: Mutex<History>,
    /// Tells watchers of a newer version; they pull what changed.
    version: watch::Sender<u64>,
    /// When the publisher last gave a sign of life, by its own clock.
    heard: AtomicI64,
    caught_up: AtomicBool,
    stale_after: Duration,
    clock: Arc<dyn Clock>,
    metrics: SidecarMetrics,
}

impl StopList {
    /// An empty, stale list.
    #[must_use]
    pub fn new(history: usize, stale_after: Duration, clock: Arc<dyn Clock>, metrics: SidecarMetrics) -> Self {
        let shards = (0..SHARDS).map(|_| ArcSwap::from_pointee(Shard::new())).collect();
        let version = watch::Sender::new(0);
        let (heard, caught_up) = (AtomicI64::new(i64::MIN), AtomicBool::new(false));
        let history = Mutex::new(History::new(history));
        metrics.stale.set(1);
        Self(Arc::new(Inner { shards, history, version, heard, caught_up, stale_after, clock, metrics }))
    }

    /// What the ad server asks: lock-free.
    #[must_use]
    pub fn answer(&self, campaign_id: CampaignId) -> Answer {
        let stale = self.stale();
        let shard = self.0.shards[shard_of(campaign_id)].load();
        match shard.get(&campaign_id) {
            Some(entry) => Answer {
                campaign_id,
                serving: entry.serving,
                reason: entry.reasons.first().copied(),
                reasons: Arc::clone(&entry.reasons),
                version: entry.version,
                stale,
                known: true,
            },
            None => {
                let reasons = Arc::default();
                Answer { campaign_id, serving: true, reason: None, reasons, version: 0, stale, known: false }
            }
        }
    }

    /// Whether the list may be behind the ledger.
    #[must_use]
    pub fn stale(&self) -> bool {
        let heard = Micros(self.0.heard.load(Ordering::Relaxed));
        let stale = !self.caught_up() || self.0.clock.now().since(heard) > self.0.stale_after;
        self.0.metrics.stale.set(i64::from(stale));
        stale
    }

    /// Whether everything that was in the log at start has been taken in.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.0.caught_up.load(Ordering::Acquire)
    }

    /// Newest version taken in.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.history().version()
    }

    /// Raised when watchers have to take the full set, whatever version they know.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.history().epoch()
    }

    /// What the list's clock says.
    pub(super) fn now(&self) -> Micros {
        self.0.clock.now()
    }

    /// A receiver that wakes with every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    /// What changed after `after`, at most `most` changes.
    #[must_use]
    pub fn since(&self, after: u64, most: usize) -> Since {
        self.history().since(after, most)
    }

    /// The version and the ids of all stopped campaigns as a JSON array.
    #[must_use]
    pub fn full(&self) -> (u64, Arc<str>) {
        self.history().full()
    }

    /// Marks the start's backlog as taken in, or (`false`) the list as behind.
    pub(super) fn set_caught_up(&self, caught_up: bool) {
        self.0.caught_up.store(caught_up, Ordering::Release);
    }

    /// The publisher was alive at `at`.
    pub(super) fn hear(&self, at: Micros) {
        self.0.heard.fetch_max(at.0, Ordering::Relaxed);
    }

    /// Takes in records in the order of the log; returns how many changed something.
    ///
    /// A change counts when its version is above the campaign's; repeats do nothing. Only the
    /// follower calls this: shards are replaced, not locked.
    pub(super) fn apply(&self, records: &[StateRecord]) -> usize {
        let mut touched: HashMap<usize, Shard> = HashMap::new();
        let mut news: Vec<&StateChange> = Vec::new();
        let mut through = 0;
        for record in records {
            through = through.max(record.version());
            let StateRecord::Change(change) = record else { continue };
            let index = shard_of(change.campaign_id);
            let shard = touched.entry(index).or_insert_with(|| (**self.0.shards[index].load()).clone());
            if shard.get(&change.campaign_id).is_none_or(|held| held.version < change.version) {
                let reasons = change.reasons.as_slice().into();
                shard.insert(change.campaign_id, Entry { version: change.version, serving: change.serving, reasons });
                news.push(change);
            }
        }
        for (index, shard) in touched {
            self.0.shards[index].store(Arc::new(shard));
        }
        // From here on every answer shows the changes.
        let now = self.0.clock.now();
        for change in news.iter().filter(|c| !c.serving && self.caught_up()) {
            if let Some(cause) = change.cause_received {
                self.0.metrics.stop_latency.observe(now.since(cause).as_secs_f64());
            }
        }
        let mut history = self.history();
        for change in &news {
            history.push(Change::from(*change));
        }
        history.advance(through);
        let (version, stopped) = (history.version(), history.stopped());
        drop(history);
        self.0.metrics.stop_version.set(i64::try_from(version).unwrap_or(i64::MAX));
        self.0.metrics.stopped.set(i64::try_from(stopped).unwrap_or(i64::MAX));
        if !news.is_empty() {
            self.0.version.send_replace(version);
        }
        news.len()
    }

    /// Everything known, for the snapshot on disk; `log` and `next` say how far it goes, `whole`
    /// whether nothing was lost until there.
    pub(super) fn save(&self, log: String, partition: u32, next: u64, whole: bool) -> Snapshot {
        let mut campaigns: Vec<CampaignState> = Vec::new();
        for shard in &self.0.shards {
            campaigns.extend(shard.load().iter().map(|(&id, e)| CampaignState {
                id,
                version: e.version,
                serving: e.serving,
                reasons: e.reasons.to_vec(),
            }));
        }
        campaigns.sort_unstable_by_key(|c| c.id);
        Snapshot { log, partition, next, whole, version: self.version(), campaigns }
    }

    /// Starts from a snapshot; the list stays stale until it has caught up with the log.
    pub(super) fn restore(&self, snapshot: &Snapshot) {
        let mut shards: Vec<Shard> = vec![Shard::new(); SHARDS];
        for c in &snapshot.campaigns {
            let reasons = c.reasons.as_slice().into();
            shards[shard_of(c.id)].insert(c.id, Entry { version: c.version, serving: c.serving, reasons });
        }
        for (held, shard) in self.0.shards.iter().zip(shards) {
            held.store(Arc::new(shard));
        }
        let mut history = self.history();
        history.reset(snapshot.version, snapshot.campaigns.iter().filter(|c| !c.serving).map(|c| c.id));
        self.0.metrics.stop_version.set(i64::try_from(history.version()).unwrap_or(i64::MAX));
        self.0.metrics.stopped.set(i64::try_from(history.stopped()).unwrap_or(i64::MAX));
        drop(history);
        self.0.version.send_replace(snapshot.version);
    }

    fn history(&self) -> MutexGuard<'_, History> {
        // Nothing in there panics half-way, so a poisoned lock still guards a whole history.
        self.0.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Campaign ids are often consecutive, so the low bits spread them well.
const fn shard_of(campaign_id: CampaignId) -> usize {
    campaign_id as usize % SHARDS
}
