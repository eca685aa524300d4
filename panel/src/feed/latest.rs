//! The newest value of each campaign, in the order of their changes.
//!
//! Who listens remembers up to which change it has seen, and gets what is newer: of a campaign that
//! changed often meanwhile, its newest value alone. So a slow listener loses what lies between and
//! never holds memory, and the whole holds one value a campaign.

use penstock::pricing::CampaignId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// Newest values with the number of the change that brought them.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    inner: Mutex<Inner<T>>,
    /// The number of the newest change.
    newest: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner<T> {
    values: HashMap<CampaignId, (u64, T)>,
    order: BTreeMap<u64, CampaignId>,
    next: u64,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        let inner = Inner { values: HashMap::new(), order: BTreeMap::new(), next: 1 };
        Latest { inner: Mutex::new(inner), newest: watch::Sender::new(0) }
    }
}

impl<T: Clone> Latest<T> {
    /// Takes in values; `keep` says of an earlier and a later one of a campaign whether the later counts.
    pub(crate) fn put(&self, values: impl IntoIterator<Item = (CampaignId, T)>, keep: impl Fn(&T, &T) -> bool) {
        let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *guard;
        for (id, value) in values {
            if let Some((at, held)) = inner.values.get(&id) {
                if !keep(held, &value) {
                    continue;
                }
                inner.order.remove(at);
            }
            inner.order.insert(inner.next, id);
            inner.values.insert(id, (inner.next, value));
            inner.next += 1;
        }
        let newest = inner.next - 1;
        drop(guard);
        self.newest.send_if_modified(|held| std::mem::replace(held, newest) != newest);
    }

    /// Tells the number of the newest change, now and whenever it grows.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// What changed behind `seen`, the oldest first, at most `most`; with the number to ask from next.
    pub(crate) fn since(&self, seen: u64, most: usize) -> (u64, Vec<(CampaignId, T)>) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut upto = seen;
        let mut values = Vec::new();
        for (at, id) in inner.order.range(seen.saturating_add(1)..).take(most) {
            upto = *at;
            values.extend(inner.values.get(id).map(|(_, value)| (*id, value.clone())));
        }
        (upto, values)
    }

    /// The number of a campaign's newest change; 0 when it has none.
    pub(crate) fn changed(&self, id: CampaignId) -> u64 {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.values.get(&id).map_or(0, |(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_listener_gets_each_campaign_s_newest_value_and_nothing_is_kept_for_it() {
        let latest = Latest::<u64>::default();
        let mut watch = latest.watch();
        for value in 0..10_000 {
            latest.put([(1, value), (2, value * 10)], |a, b| a < b);
        }
        assert!(watch.has_changed().unwrap());
        let (seen, values) = latest.since(0, 100);
        assert_eq!(values, [(1, 9_999), (2, 99_990)]);
        assert_eq!(latest.inner.lock().unwrap().order.len(), 2);
        assert_eq!(latest.since(seen, 100), (seen, vec![]));
        watch.mark_unchanged();
        latest.put([(1, 5)], |a, b| a < b);
        assert!(!watch.has_changed().unwrap(), "an older value changes nothing");
        latest.put([(2, 100_000)], |a, b| a < b);
        assert_eq!(latest.since(seen, 100).1, [(2, 100_000)]);
        assert!(latest.changed(2) > latest.changed(1));
        assert_eq!(latest.changed(3), 0);
    }

    #[test]
    fn what_is_too_much_for_one_answer_comes_with_the_next() {
        let latest = Latest::<u64>::default();
        latest.put((0..5).map(|id| (id, 1)), |a, b| a < b);
        let (seen, first) = latest.since(0, 3);
        let (_, second) = latest.since(seen, 3);
        assert_eq!(first.iter().chain(&second).map(|(id, _)| *id).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }
}
