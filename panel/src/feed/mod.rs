//! The live side: what the logs `campaign-kpis` and `campaign-state` say, to everybody who watches.
//!
//! One reader a log and process follows it from where it ends; what was before is the ledger's to
//! tell. On one machine the logs are spools, in a fleet topics.

mod latest;

pub(crate) use latest::Latest;

use penstock::ledger::{KpiRecord, StateChange, StateRecord};
use penstock::log::{Limits, Log, LogError, Offset, Records};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One look takes at most this much.
const LIMITS: Limits =
    Limits { rows: 10_000, bytes: 4 << 20, age: Duration::ZERO, idle: Duration::from_millis(500), end: None };
const BACK_OFF: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(5)];

/// Which log is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feeding {
    /// `campaign-state`.
    States,
    /// `campaign-kpis`.
    Kpis,
}

/// What is live. Cheap to clone; clones are one.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    states: Latest<StateChange>,
    /// Campaigns of which anything has changed: figures or state.
    touched: Latest<u64>,
}

impl Feed {
    /// Takes in one campaign's state.
    pub fn state(&self, change: StateChange) {
        self.take(vec![change], Vec::new());
    }

    /// Takes in one campaign's figures.
    pub fn kpis(&self, record: KpiRecord) {
        self.take(Vec::new(), vec![record]);
    }

    fn take(&self, states: Vec<StateChange>, kpis: Vec<KpiRecord>) {
        let touched: Vec<_> =
            states.iter().map(|s| (s.campaign_id, 0)).chain(kpis.iter().map(|k| (k.campaign_id, 0))).collect();
        self.inner.states.put(states.into_iter().map(|s| (s.campaign_id, s)), |held, new| held.version < new.version);
        self.inner.touched.put(touched, |_, _| true);
    }

    pub(crate) fn states(&self) -> &Latest<StateChange> {
        &self.inner.states
    }

    pub(crate) fn touched(&self) -> &Latest<u64> {
        &self.inner.touched
    }

    /// Follows a log from `from` until `stop`. Nothing ends it before: an error is reported and
    /// tried again, records that are gone are passed over.
    pub async fn follow<G: Log>(self, feeding: Feeding, mut log: G, from: Offset, stop: CancellationToken) {
        let (mut next, mut failures) = (from, 0);
        let mut records = Records::new();
        while !stop.is_cancelled() {
            let read = tokio::select! {
                () = stop.cancelled() => return,
                read = log.read(next, &LIMITS, &mut records) => read,
            };
            match read {
                Ok(_) => {
                    failures = 0;
                    next = records.range().map_or(next, |range| range.to);
                    self.read(feeding, &records);
                }
                // Whoever looks at figures of now needs none that retention has taken.
                Err(LogError::Gap { start, .. }) => next = start,
                Err(error) => {
                    let wait = BACK_OFF[failures.min(BACK_OFF.len() - 1)];
                    tracing::warn!(%error, ?feeding, ?wait, "the live feed cannot be read");
                    failures += 1;
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    fn read(&self, feeding: Feeding, records: &Records) {
        let bodies = records.iter().filter_map(|record| record.body.ok());
        let (mut states, mut kpis) = (Vec::new(), Vec::new());
        // A record that does not decode is of a version to come; the ledger has what it says.
        match feeding {
            Feeding::States => states.extend(bodies.filter_map(|body| match StateRecord::decode(body) {
                Ok(StateRecord::Change(change)) => Some(change),
                _ => None,
            })),
            Feeding::Kpis => kpis.extend(bodies.filter_map(|body| KpiRecord::decode(body).ok())),
        }
        if !states.is_empty() || !kpis.is_empty() {
            self.take(states, kpis);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock::ledger::Reason;
    use penstock::time::Micros;

    #[test]
    fn an_older_version_behind_a_newer_one_changes_no_state() {
        let feed = Feed::default();
        let state = |version, serving| StateChange {
            campaign_id: 7,
            version,
            serving,
            reasons: if serving { Vec::new() } else { vec![Reason::Operator] },
            at: Micros(0),
            cause_received: None,
        };
        feed.state(state(5, false));
        feed.state(state(4, true));
        let (_, states) = feed.states().since(0, 10);
        assert_eq!(states, [(7, state(5, false))]);
        assert!(feed.touched().changed(7) > 0);
    }
}
