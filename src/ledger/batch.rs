//! One range of events made ready for the ledger: grouped and priced, nothing decided yet.
//!
//! What is a duplicate, what is charged and which budget is crossed is only known inside the
//! transaction. Everything here is a function of the records and the catalogue alone.

use crate::money::Nanos;
use crate::pricing::CampaignId;
use crate::time::Micros;
use hashbrown::HashMap;

/// Quarters of an hour since the epoch. Finer than the hour that the ledger keeps, because a
/// campaign's day may begin at a half or a quarter (Kathmandu); every zone has kept to quarters
/// since 1972.
pub type Quarter = i64;

const QUARTER_MICROS: i64 = 900_000_000;

/// The quarter of an hour that `time` lies in.
#[must_use]
pub const fn quarter(time: Micros) -> Quarter {
    time.0.div_euclid(QUARTER_MICROS)
}

/// When a quarter begins; saturates at the ends of time.
#[must_use]
pub const fn quarter_start(quarter: Quarter) -> Micros {
    Micros(quarter.saturating_mul(QUARTER_MICROS))
}

/// The UTC hour of a quarter, in hours since the epoch.
#[must_use]
pub const fn quarter_hour(quarter: Quarter) -> i64 {
    quarter.div_euclid(4)
}

/// Events without an id to hold on to: only their sums matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The campaign, 0 when it could not be told.
    pub campaign: CampaignId,
    /// When, to the quarter of an hour.
    pub quarter: Quarter,
    /// Name of the event type.
    pub kind: &'static str,
    /// How many.
    pub events: u64,
    /// What they cost together.
    pub cost: Nanos,
}

/// An event that is charged once per id: a click or a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unique {
    /// Its id; unique within its type.
    pub id: [u8; 16],
    /// Name of the event type.
    pub kind: &'static str,
    /// The campaign; never 0 (what cannot be attributed is a [`Group`]).
    pub campaign: CampaignId,
    /// When it happened, to the quarter of an hour.
    pub quarter: Quarter,
    /// When it was received: the horizon of uniqueness counts from here.
    pub received: Micros,
    /// What it costs.
    pub cost: Nanos,
}

/// A range made ready: what [`super::Ledger::apply`] writes in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Sums of the events that need no id, and of all that could not be attributed.
    pub groups: Vec<Group>,
    /// Clicks and conversions, in offset order: of two with one id the first is charged.
    pub uniques: Vec<Unique>,
    /// Earliest receive time per campaign: what a stop's latency is counted from.
    pub received: Vec<(CampaignId, Micros)>,
    /// Records of the range that went to the dead letters instead.
    pub poison: u64,
}

impl Batch {
    /// Events in the batch, poison left out.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.groups.iter().map(|g| g.events).sum::<u64>() + self.uniques.len() as u64
    }
}

/// Collects events one by one into a [`Batch`]. Reused from range to range.
#[derive(Debug, Default)]
pub struct Grouper {
    index: HashMap<(CampaignId, Quarter, &'static str), usize>,
    received: HashMap<CampaignId, Micros>,
    batch: Batch,
    // Neighbours in a log mostly share campaign, type and quarter; spares them the hashing.
    last: Option<(CampaignId, Quarter, &'static str, usize)>,
}

impl Grouper {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event that needs no id.
    pub fn add(&mut self, campaign: CampaignId, time: Micros, kind: &'static str, cost: Nanos, received: Micros) {
        let quarter = quarter(time);
        let at = match self.last {
            Some((c, q, k, at)) if c == campaign && q == quarter && std::ptr::eq(k, kind) => at,
            _ => self.slot(campaign, quarter, kind),
        };
        let group = &mut self.batch.groups[at];
        if let Ok(sum) = group.cost.add(cost) {
            group.cost = sum;
            group.events += 1;
            self.last = Some((campaign, quarter, kind, at));
        } else {
            // A second group of the same key: the transaction decides what a sum too large means.
            self.index.insert((campaign, quarter, kind), self.batch.groups.len());
            self.batch.groups.push(Group { campaign, quarter, kind, events: 1, cost });
            self.last = None;
        }
        self.note(campaign, received);
    }

    /// Adds a click or a conversion of a known campaign.
    pub fn add_unique(&mut self, unique: Unique) {
        self.note(unique.campaign, unique.received);
        self.batch.uniques.push(unique);
    }

    /// The batch, in one global order whatever the order of the events was; leaves this empty.
    pub fn finish(&mut self, poison: u64) -> Batch {
        let mut batch = std::mem::take(&mut self.batch);
        batch.groups.sort_unstable_by(|a, b| {
            (a.campaign, a.quarter, a.kind, a.events, a.cost).cmp(&(b.campaign, b.quarter, b.kind, b.events, b.cost))
        });
        batch.received = self.received.drain().filter(|(campaign, _)| *campaign != 0).collect();
        batch.received.sort_unstable();
        batch.poison = poison;
        self.index.clear();
        self.last = None;
        batch
    }

    fn slot(&mut self, campaign: CampaignId, quarter: Quarter, kind: &'static str) -> usize {
        let next = self.batch.groups.len();
        let at = *self.index.entry((campaign, quarter, kind)).or_insert(next);
        if at == next {
            self.batch.groups.push(Group { campaign, quarter, kind, events: 0, cost: Nanos::ZERO });
        }
        at
    }

    fn note(&mut self, campaign: CampaignId, received: Micros) {
        let earliest = self.received.entry(campaign).or_insert(received);
        *earliest = received.min(*earliest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_before_the_epoch_round_down() {
        assert_eq!(quarter(Micros(-1)), -1);
        assert_eq!(quarter_start(-1), Micros(-QUARTER_MICROS));
        assert_eq!(quarter_hour(-1), -1);
        assert_eq!(quarter_hour(7), 1);
    }

    #[test]
    fn a_group_that_would_overflow_is_split_and_nothing_is_lost() {
        let mut grouper = Grouper::new();
        for _ in 0..3 {
            grouper.add(7, Micros(0), "visit", Nanos(i64::MAX / 2), Micros(5));
        }
        let batch = grouper.finish(1);
        assert_eq!(batch.events(), 3);
        let total: i128 = batch.groups.iter().map(|g| i128::from(g.cost.0)).sum();
        assert_eq!(total, 3 * i128::from(i64::MAX / 2));
        assert_eq!(batch.received, vec![(7, Micros(5))]);
        assert_eq!(grouper.finish(0), Batch::default());
    }
}
