//! Rows of `ranges`, and what is summed and joined of them.

use super::fit;
use super::posted::{DEAD, SKIPPED, tally};
use penstock::ledger::{LedgerError, Sums};
use sqlx::FromRow;
use std::collections::BTreeMap;

/// A row of `ranges`, one range's or a day's.
#[derive(FromRow)]
pub(super) struct RangeRow {
    pub(super) position_id: i64,
    pub(super) r#type: String,
    pub(super) written_at: i64,
    from_offset: i64,
    to_offset: i64,
    events: i64,
    charged_events: i64,
    charged_nanos: i64,
    charged_e18: i64,
    duplicate_events: i64,
    duplicate_nanos: i64,
    duplicate_e18: i64,
    unattributed_events: i64,
    unattributed_nanos: i64,
    unattributed_e18: i64,
    merged: i64,
}

impl RangeRow {
    fn sums(&self) -> Result<Sums, LedgerError> {
        Ok(Sums {
            charged: tally(self.charged_events, self.charged_nanos, self.charged_e18)?,
            duplicate: tally(self.duplicate_events, self.duplicate_nanos, self.duplicate_e18)?,
            unattributed: tally(self.unattributed_events, self.unattributed_nanos, self.unattributed_e18)?,
        })
    }
}

/// The ranges of one partition summed by type.
#[derive(Default)]
pub(super) struct ByKind {
    pub(super) poison: u64,
    pub(super) skipped: u64,
    kinds: BTreeMap<String, Sums>,
}

impl ByKind {
    pub(super) fn add(&mut self, row: RangeRow) -> Result<(), LedgerError> {
        match row.r#type.as_str() {
            DEAD => self.poison += fit::<u64>(row.events, "events")?,
            SKIPPED => self.skipped += fit::<u64>(row.events, "events")?,
            _ => {
                let sums = row.sums()?;
                self.kinds.entry(row.r#type).or_default().add(&sums);
            }
        }
        Ok(())
    }

    pub(super) fn sums(self) -> Vec<(String, Sums)> {
        self.kinds.into_iter().collect()
    }
}

/// Rows of `ranges` joined into one.
#[derive(Clone, Copy)]
pub(super) struct Fold {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) events: i64,
    pub(super) sums: Sums,
    pub(super) merged: i64,
}

impl Fold {
    pub(super) fn of(row: &RangeRow) -> Result<Fold, LedgerError> {
        let RangeRow { from_offset: from, to_offset: to, events, merged, .. } = *row;
        Ok(Fold { from, to, events, sums: row.sums()?, merged })
    }

    pub(super) fn join(&mut self, next: &Fold) {
        self.from = self.from.min(next.from);
        self.to = self.to.max(next.to);
        self.events = self.events.saturating_add(next.events);
        self.sums.add(&next.sums);
        self.merged += next.merged;
    }
}
