//! What changed since a version, as far back as a bounded history reaches.

use penstock::ledger::Reason;
use penstock::ledger::StateChange;
use penstock::pricing::CampaignId;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// One change as watchers see it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// The publisher's version of this change.
    pub version: u64,
    /// The campaign.
    pub campaign_id: CampaignId,
    /// Whether it may be served from now on.
    pub serving: bool,
    /// The weightiest reason, `null` when serving.
    pub reason: Option<Reason>,
    /// All reasons by weight.
    #[serde(serialize_with = "as_slice")]
    pub reasons: Arc<[Reason]>,
    /// When the ledger took the state, in microseconds since the epoch.
    pub at_micros: i64,
}

pub(super) fn as_slice<S: serde::Serializer>(reasons: &Arc<[Reason]>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(reasons.iter())
}

impl From<&StateChange> for Change {
    fn from(c: &StateChange) -> Self {
        Change {
            version: c.version,
            campaign_id: c.campaign_id,
            serving: c.serving,
            reason: c.reasons.first().copied(),
            reasons: c.reasons.as_slice().into(),
            at_micros: c.at.0,
        }
    }
}

/// What a watcher that knows a version is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// Everything that came after it (perhaps nothing), up to `version`.
    Changes {
        /// Newest version of the list, or of the last change when the answer was cut.
        version: u64,
        /// In order of version.
        changes: Vec<Change>,
    },
    /// The history does not reach so far: take the full set instead.
    Gone,
}

/// The newest changes and the set of stopped campaigns.
#[derive(Debug)]
pub(super) struct History {
    capacity: usize,
    changes: VecDeque<Change>,
    /// Changes up to this version are not in `changes` any more.
    floor: u64,
    version: u64,
    /// Raised when the set changed in a way that versions do not tell; see [`History::push`].
    epoch: u64,
    stopped: BTreeSet<CampaignId>,
    /// The set as a JSON array, made once a version and only when asked for.
    rendered: Option<Arc<str>>,
}

impl History {
    /// An empty history that keeps `capacity` changes.
    pub(super) fn new(capacity: usize) -> Self {
        let (changes, stopped) = (VecDeque::new(), BTreeSet::new());
        Self { capacity, changes, floor: 0, version: 0, epoch: 0, stopped, rendered: None }
    }

    /// Starts anew from a known state; what led to it is not known.
    pub(super) fn reset(&mut self, version: u64, stopped: impl IntoIterator<Item = CampaignId>) {
        self.changes.clear();
        (self.floor, self.version) = (version, version);
        self.stopped = stopped.into_iter().collect();
        self.rendered = None;
    }

    /// Takes in a change. Its version is the newest, unless the log had lost it and the publisher
    /// tells it again: then no version says that the set has changed, and all watchers have to
    /// take the full set.
    pub(super) fn push(&mut self, change: Change) {
        let touched = if change.serving {
            self.stopped.remove(&change.campaign_id)
        } else {
            self.stopped.insert(change.campaign_id)
        };
        if touched {
            self.rendered = None;
        }
        if change.version <= self.version {
            self.changes.clear();
            self.floor = self.version;
            self.epoch += 1;
            return;
        }
        self.advance(change.version);
        if self.changes.len() == self.capacity
            && let Some(oldest) = self.changes.pop_front()
        {
            self.floor = oldest.version;
        }
        self.changes.push_back(change);
    }

    /// The list is complete through `version`.
    pub(super) fn advance(&mut self, version: u64) {
        self.version = self.version.max(version);
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn stopped(&self) -> usize {
        self.stopped.len()
    }

    /// At most `most` changes after version `after`.
    pub(super) fn since(&self, after: u64, most: usize) -> Since {
        if after < self.floor || after > self.version {
            return Since::Gone;
        }
        let first = self.changes.partition_point(|c| c.version <= after);
        let changes: Vec<Change> = self.changes.range(first..).take(most).cloned().collect();
        let cut = first + changes.len() < self.changes.len();
        let version = if cut { changes.last().map_or(after, |c| c.version) } else { self.version };
        Since::Changes { version, changes }
    }

    /// The version and the stopped campaigns as a JSON array, in ascending order.
    pub(super) fn full(&mut self) -> (u64, Arc<str>) {
        let stopped = &self.stopped;
        let rendered = self.rendered.get_or_insert_with(|| {
            let ids: Vec<String> = stopped.iter().map(ToString::to_string).collect();
            format!("[{}]", ids.join(",")).into()
        });
        (self.version, Arc::clone(rendered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(version: u64, campaign_id: CampaignId, serving: bool) -> Change {
        let reasons: Vec<Reason> = if serving { vec![] } else { vec![Reason::TotalBudget] };
        let reason = reasons.first().copied();
        Change { version, campaign_id, serving, reason, reasons: reasons.into(), at_micros: 0 }
    }

    fn versions(since: Since) -> Option<(u64, Vec<u64>)> {
        match since {
            Since::Changes { version, changes } => Some((version, changes.iter().map(|c| c.version).collect())),
            Since::Gone => None,
        }
    }

    #[test]
    fn a_watcher_gets_what_it_has_not_seen_or_the_full_set() {
        let mut history = History::new(3);
        for version in 1..=5 {
            history.push(change(version * 10, version as u32, false));
        }
        assert_eq!(versions(history.since(50, 9)), Some((50, vec![])));
        assert_eq!(versions(history.since(35, 9)), Some((50, vec![40, 50])));
        assert_eq!(versions(history.since(20, 9)), Some((50, vec![30, 40, 50])));
        assert_eq!(versions(history.since(20, 2)), Some((40, vec![30, 40])), "a cut answer says how far it goes");
        assert_eq!(history.since(19, 9), Since::Gone);
        assert_eq!(history.since(51, 9), Since::Gone, "a version of the future is none of ours");
        assert_eq!(history.full(), (50, "[1,2,3,4,5]".into()));
    }

    #[test]
    fn a_change_that_comes_late_raises_the_epoch() {
        let mut history = History::new(10);
        history.push(change(5, 1, false));
        assert_eq!(history.epoch(), 0);
        history.push(change(3, 2, false));
        assert_eq!((history.epoch(), history.full()), (1, (5, "[1,2]".into())));
        assert_eq!(history.since(4, 9), Since::Gone);
        history.push(change(6, 3, false));
        assert_eq!(versions(history.since(5, 9)), Some((6, vec![6])));
    }

    #[test]
    fn the_set_follows_stops_and_resumes() {
        let mut history = History::new(10);
        history.reset(7, [3, 1]);
        assert_eq!(history.full(), (7, "[1,3]".into()));
        assert_eq!(history.since(6, 9), Since::Gone);
        history.push(change(8, 1, true));
        history.push(change(9, 2, false));
        history.advance(11);
        assert_eq!(history.full(), (11, "[2,3]".into()));
        assert_eq!(versions(history.since(11, 9)), Some((11, vec![])));
    }
}
