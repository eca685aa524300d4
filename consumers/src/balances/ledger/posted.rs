//! What a range adds to the ledger, as rows of its tables: the same for every database.
//!
//! Each list is in ascending order of its table's key, which is the order of locks.

use super::rows::{Cell, Rows};
use super::signed;
use penstock::ledger::{Applied, Batch, LedgerError, Outcome, Posting, Sums, Tally};
use penstock::log::Range;
use penstock::time::Micros;
use std::collections::BTreeMap;

/// The type under which `ranges` counts records that became dead letters.
pub(super) const DEAD: &str = "(dead)";
/// The type under which `ranges` counts offsets that retention had taken.
pub(super) const SKIPPED: &str = "(skipped)";

/// Totals that nothing bounds are kept as a rest below this and a carry.
pub(super) const E18: i128 = 1_000_000_000_000_000_000;
pub(super) const DAY_MICROS: i64 = 86_400_000_000;

/// A tally from its columns: rest and carry.
pub(super) fn tally(events: i64, nanos: i64, e18: i64) -> Result<Tally, LedgerError> {
    Ok(Tally { events: super::fit(events, "events")?, nanos: i128::from(nanos) + i128::from(e18) * E18 })
}

/// The answer to a range that was booked before.
pub(super) const fn already() -> Applied {
    const NOTHING: Tally = Tally { events: 0, nanos: 0 };
    Applied {
        outcome: Outcome::AlreadyBooked,
        sums: Sums { charged: NOTHING, duplicate: NOTHING, unattributed: NOTHING },
        stopped: Vec::new(),
        exhausted: Vec::new(),
    }
}

/// id, nanos.
pub(super) fn advertisers(posting: &Posting) -> Rows {
    let mut rows = Rows::default();
    for (id, nanos) in &posting.advertisers {
        rows.push([(*id).into(), (*nanos).into()]);
    }
    rows
}

/// id, nanos.
pub(super) fn campaigns(posting: &Posting) -> Rows {
    let mut rows = Rows::default();
    for (id, nanos) in &posting.campaigns {
        rows.push([(*id).into(), (*nanos).into()]);
    }
    rows
}

/// Campaign, day, events, nanos.
pub(super) fn days(posting: &Posting) -> Result<Rows, LedgerError> {
    let mut rows = Rows::default();
    for ((id, day), (events, nanos)) in &posting.days {
        rows.push([(*id).into(), day.to_string().as_str().into(), count(*events)?, (*nanos).into()]);
    }
    Ok(rows)
}

/// Campaign, hour, type, events, nanos.
pub(super) fn hours(posting: &Posting) -> Result<Rows, LedgerError> {
    let mut rows = Rows::default();
    for ((id, hour, kind), (events, nanos)) in &posting.hours {
        rows.push([(*id).into(), (*hour).into(), (*kind).into(), count(*events)?, (*nanos).into()]);
    }
    Ok(rows)
}

/// Campaign, visits, impressions, clicks, conversions.
pub(super) fn kpis(posting: &Posting) -> Result<Rows, LedgerError> {
    let mut rows = Rows::default();
    for (id, kpis) in &posting.kpis {
        let [visits, impressions] = [count(kpis.visits)?, count(kpis.impressions)?];
        rows.push([(*id).into(), visits, impressions, count(kpis.clicks)?, count(kpis.conversions)?]);
    }
    Ok(rows)
}

/// Position, campaign, type; charged events and nanos; events, nanos and carry of duplicates and
/// of what is unattributed.
pub(super) fn totals(position: i64, posting: &Posting) -> Result<Rows, LedgerError> {
    let mut rows = Rows::default();
    for ((id, kind), sums) in &posting.totals {
        rows.push([
            position.into(),
            (*id).into(),
            (*kind).into(),
            count(sums.charged.events)?,
            nanos(sums.charged.nanos)?,
            count(sums.duplicate.events)?,
            nanos(sums.duplicate.nanos % E18)?,
            nanos(sums.duplicate.nanos / E18)?,
            count(sums.unattributed.events)?,
            nanos(sums.unattributed.nanos % E18)?,
            nanos(sums.unattributed.nanos / E18)?,
        ]);
    }
    Ok(rows)
}

/// Position, from, to, type, events; events, nanos and carry of what is charged, of duplicates and
/// of what is unattributed; when.
pub(super) fn ranges(
    position: i64,
    range: Range,
    poison: u64,
    posting: &Posting,
    now: Micros,
) -> Result<Rows, LedgerError> {
    let (from, to) = (signed(range.from, "offset")?, signed(range.to, "offset")?);
    let mut rows = Rows::default();
    let dead =
        (poison > 0).then_some((DEAD, Sums { unattributed: Tally { events: poison, nanos: 0 }, ..Sums::default() }));
    for (kind, sums) in dead.iter().map(|(kind, sums)| (kind, sums)).chain(posting.by_kind.iter()) {
        let booked = *kind != DEAD;
        rows.push([
            position.into(),
            from.into(),
            to.into(),
            (*kind).into(),
            count(sums.all().events)?,
            count(sums.charged.events)?,
            nanos(sums.charged.nanos % E18)?,
            nanos(sums.charged.nanos / E18)?,
            count(sums.duplicate.events)?,
            nanos(sums.duplicate.nanos % E18)?,
            nanos(sums.duplicate.nanos / E18)?,
            count(if booked { sums.unattributed.events } else { 0 })?,
            nanos(sums.unattributed.nanos % E18)?,
            nanos(sums.unattributed.nanos / E18)?,
            now.0.into(),
        ]);
    }
    Ok(rows)
}

/// Indices into the batch's ids by type and the day of reception, each list in ascending order of
/// the ids: so every page of the index is touched once, and all writers lock in one order.
pub(super) fn by_kind_and_day(
    batch: &Batch,
    indices: impl Iterator<Item = usize>,
) -> BTreeMap<(&'static str, i64), Vec<usize>> {
    let mut by_key: BTreeMap<(&'static str, i64), Vec<usize>> = BTreeMap::new();
    for i in indices {
        let unique = &batch.uniques[i];
        by_key.entry((unique.kind, unique.received.0.div_euclid(DAY_MICROS))).or_default().push(i);
    }
    by_key.values_mut().for_each(|list| list.sort_unstable_by_key(|i| (batch.uniques[*i].id, *i)));
    by_key
}

fn count(n: u64) -> Result<Cell<'static>, LedgerError> {
    Ok(Cell::Int(signed(n, "a count")?))
}

fn nanos(n: i128) -> Result<Cell<'static>, LedgerError> {
    let n = i64::try_from(n).map_err(|_| LedgerError::Refused(format!("{n} nanos do not fit 64 bits")))?;
    Ok(Cell::Int(n))
}
