//! The comparison itself: facts of one partition in, report and differences out. Pure.
//!
//! A record that one sink put away and another took (the archive keeps what it need not decode)
//! is taken out of both sides before they are compared by type and campaign, so it is no
//! difference; the sums against the log count it where it is: as dead or as held.

use super::sources::{Faults, PivotAt, PivotRow, SinkName};
use crate::api::types::{Difference, Figures, PartitionReport, SinkReport, Sum};
use penstock::ledger::{PartitionBooks, Tally};
use penstock::log::{LogId, Offset};
use std::collections::{BTreeMap, BTreeSet};

/// Offsets named in one difference.
const NAMED: usize = 20;

/// Dead letters of one sink: offset → type, when known.
pub type Dead = BTreeMap<Offset, Option<String>>;

/// Everything known of one partition.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The partition.
    pub log: LogId,
    /// First offset behind what was acknowledged when the call began; `None` for a log that is not there any more.
    pub acknowledged: Option<Offset>,
    /// Where the sinks stood; a sink that is left out did not say.
    pub positions: BTreeMap<SinkName, Offset>,
    /// Dead letters by sink.
    pub dead: BTreeMap<SinkName, Dead>,
    /// Rows of ClickHouse below its own position, with the number of their different offsets.
    pub rows: Option<(Vec<PivotRow>, u64)>,
    /// Offsets that ClickHouse put away and has rows of nevertheless.
    pub surplus: BTreeSet<Offset>,
    /// Offsets that explain a wrong number of rows.
    pub faults: Faults,
    /// The ledger's books.
    pub books: Option<PartitionBooks>,
    /// Rows of ClickHouse below the ledger's position, when it had passed that.
    pub rows_at_books: Option<Vec<PivotRow>>,
    /// Archived records by type below the archive's position.
    pub archived: Option<BTreeMap<String, u64>>,
    /// Rows of ClickHouse below the archive's position, when it had passed that.
    pub rows_at_archive: Option<Vec<PivotRow>>,
    /// Rows of ClickHouse that another sink put away.
    pub elsewhere: Vec<PivotAt>,
}

/// What came of one partition.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Its row.
    pub report: PartitionReport,
    /// What does not agree.
    pub differences: Vec<Difference>,
    /// Nothing was left out of the comparison.
    pub complete: bool,
}

/// Compares one partition.
#[must_use]
pub fn compare(facts: &Facts) -> Compared {
    let mut found = Vec::new();
    let statistics = statistics(facts, &mut found);
    let archive = archive(facts, &mut found);
    let balances = balances(facts, &mut found);
    by_type(facts, &mut found);
    by_campaign(facts, &mut found);
    let behind = [statistics, archive, balances].iter().any(|s| s.lag_events > 0);
    let skipped = (facts.books.is_some() && facts.rows_at_books.is_none())
        || (facts.archived.is_some() && facts.rows_at_archive.is_none());
    let report = PartitionReport {
        log: facts.log.name.to_string(),
        partition: Some(facts.log.partition),
        acknowledged: facts.acknowledged.or(facts.books.as_ref().map(|b| b.position)).unwrap_or(0),
        statistics,
        balances,
        archive,
        equal: found.is_empty(),
    };
    Compared { report, differences: found, complete: !behind && !skipped }
}

fn sum(rows: &[PivotRow]) -> Tally {
    rows.iter().fold(Tally::default(), |sum, r| Tally { events: sum.events + r.events, nanos: sum.nanos + r.nanos })
}

fn figures(tally: Tally) -> Figures {
    Figures { events: tally.events, nanos: Sum(tally.nanos) }
}

fn events(events: u64) -> Figures {
    Figures { events, nanos: Sum(0) }
}

impl Facts {
    fn position(&self, sink: SinkName) -> Option<Offset> {
        self.positions.get(&sink).copied()
    }

    fn dead_below(&self, sink: SinkName, below: Offset) -> u64 {
        self.dead.get(&sink).map_or(0, |d| d.range(..below).count() as u64)
    }

    fn is_dead(&self, sink: SinkName, offset: Offset) -> bool {
        self.dead.get(&sink).is_some_and(|d| d.contains_key(&offset))
    }

    /// Offsets that `this` sink put away and ClickHouse did not.
    #[must_use]
    pub fn dead_only_in(&self, this: SinkName) -> Vec<Offset> {
        let dead = self.dead.get(&this).into_iter().flatten().map(|(offset, _)| *offset);
        dead.filter(|o| !self.is_dead(SinkName::Statistics, *o)).collect()
    }

    /// Rows of ClickHouse below `below` without those that `other` put away, by `key`.
    fn shared<K: Ord>(
        &self,
        rows: &[PivotRow],
        other: SinkName,
        below: Offset,
        key: impl Fn(&PivotRow) -> K,
    ) -> BTreeMap<K, Tally> {
        let mut map = BTreeMap::<K, Tally>::new();
        for row in rows {
            map.entry(key(row)).or_default().add(Tally { events: row.events, nanos: row.nanos });
        }
        for at in self.elsewhere.iter().filter(|at| at.offset < below && self.is_dead(other, at.offset)) {
            let entry = map.entry(key(&at.row)).or_default();
            entry.events = entry.events.saturating_sub(at.row.events);
            entry.nanos -= at.row.nanos;
        }
        map
    }

    /// Types of the records below `below` that ClickHouse put away and `other` took; `None` = not known.
    fn held_only_by(&self, other: SinkName, below: Offset) -> Vec<Option<&str>> {
        let dead = self.dead.get(&SinkName::Statistics).into_iter().flat_map(|d| d.range(..below));
        dead.filter(|(o, _)| !self.is_dead(other, **o)).map(|(_, kind)| kind.as_deref()).collect()
    }

    fn difference(&self, check: &str, below: Offset, left: (&str, Figures), right: (&str, Figures)) -> Difference {
        let message = format!(
            "{}: below offset {below} {} has {} events{}, {} has {}{}",
            self.log,
            left.0,
            left.1.events,
            money(left.1),
            right.0,
            right.1.events,
            money(right.1),
        );
        Difference {
            check: check.to_owned(),
            log: self.log.name.to_string(),
            partition: self.log.partition,
            below,
            event_type: None,
            campaign_id: None,
            left: left.0.to_owned(),
            left_figures: left.1,
            right: right.0.to_owned(),
            right_figures: right.1,
            offsets: Vec::new(),
            message,
        }
    }

    /// The log says how many records lie below a position: each is held or dead.
    fn against_log(
        &self,
        sink: SinkName,
        codes: (&str, &str),
        position: Offset,
        held: u64,
        found: &mut Vec<Difference>,
    ) {
        let taken = held + self.dead_below(sink, position);
        let code = match taken.cmp(&position) {
            std::cmp::Ordering::Equal => return,
            std::cmp::Ordering::Less => codes.0,
            std::cmp::Ordering::Greater => codes.1,
        };
        let mut difference =
            self.difference(code, position, ("acknowledged", events(position)), (sink.name(), events(taken)));
        if sink == SinkName::Statistics {
            difference.offsets.clone_from(&self.faults.missing);
        }
        found.push(difference);
    }

    fn report(&self, sink: SinkName, position: Option<Offset>, events: u64, nanos: Option<i128>) -> SinkReport {
        let position = position.unwrap_or(0);
        SinkReport {
            position,
            lag_events: self.acknowledged.unwrap_or(0).saturating_sub(position),
            events,
            dead: self.dead_below(sink, position),
            nanos: nanos.map(Sum),
            ..SinkReport::default()
        }
    }
}

fn money(f: Figures) -> String {
    if f.nanos == Sum(0) { String::new() } else { format!(" of {} nanos", f.nanos) }
}

fn statistics(facts: &Facts, found: &mut Vec<Difference>) -> SinkReport {
    let position = facts.position(SinkName::Statistics);
    let Some((rows, distinct)) = &facts.rows else {
        return facts.report(SinkName::Statistics, position, 0, Some(0));
    };
    let held = sum(rows);
    if let Some(position) = position {
        if held.events != *distinct {
            let mut d = facts.difference(
                "statistics_doubled",
                position,
                ("different offsets", events(*distinct)),
                ("statistics", figures(held)),
            );
            d.offsets.clone_from(&facts.faults.doubled);
            found.push(d);
        }
        let surplus = facts.surplus.len() as u64;
        if surplus > 0 {
            let dead = facts.dead_below(SinkName::Statistics, position);
            let left = ("dead letters", events(dead));
            let mut d = facts.difference("statistics_surplus", position, left, ("statistics", events(surplus)));
            d.message = format!("{}: {surplus} of {dead} dead letters have rows nevertheless", facts.log);
            d.offsets = facts.surplus.iter().copied().take(NAMED).collect();
            found.push(d);
        }
        let codes = ("statistics_missing", "statistics_surplus");
        facts.against_log(SinkName::Statistics, codes, position, distinct.saturating_sub(surplus), found);
    }
    facts.report(SinkName::Statistics, position, held.events, Some(held.nanos))
}

fn archive(facts: &Facts, found: &mut Vec<Difference>) -> SinkReport {
    let position = facts.position(SinkName::Archive);
    let held = facts.archived.as_ref().map_or(0, |types| types.values().sum());
    if let (Some(position), Some(_)) = (position, &facts.archived) {
        facts.against_log(SinkName::Archive, ("archive_missing", "archive_surplus"), position, held, found);
    }
    facts.report(SinkName::Archive, position, held, None)
}

fn balances(facts: &Facts, found: &mut Vec<Difference>) -> SinkReport {
    let Some(books) = &facts.books else {
        return facts.report(SinkName::Balances, facts.position(SinkName::Balances), 0, Some(0));
    };
    let mut sums = penstock::ledger::Sums::default();
    books.by_campaign.iter().for_each(|c| sums.add(&c.sums));
    let held = sums.all();
    let codes = ("balances_missing", "balances_surplus");
    facts.against_log(SinkName::Balances, codes, books.position, held.events, found);
    inside(facts, books, found);
    SinkReport {
        charged: Some(figures(sums.charged)),
        duplicates: Some(figures(sums.duplicate)),
        unattributed: Some(figures(sums.unattributed)),
        ..facts.report(SinkName::Balances, Some(books.position), held.events, Some(held.nanos))
    }
}

/// The ledger against itself: rows of the ranges and running totals, by type.
fn inside(facts: &Facts, books: &PartitionBooks, found: &mut Vec<Difference>) {
    let mut ranges = BTreeMap::<&str, Tally>::new();
    let mut totals = BTreeMap::<&str, Tally>::new();
    books.by_range.iter().for_each(|(kind, sums)| ranges.entry(kind).or_default().add(sums.all()));
    books.by_campaign.iter().for_each(|c| totals.entry(&c.kind).or_default().add(c.sums.all()));
    for (kind, left, right) in unequal(&ranges, &totals) {
        let left = ("ranges", figures(left));
        let mut d = facts.difference("balances_inside", books.position, left, ("running totals", figures(right)));
        d.event_type = Some((*kind).to_owned());
        found.push(d);
    }
}

fn by_type(facts: &Facts, found: &mut Vec<Difference>) {
    let (Some(rows), Some(archived), Some(below)) =
        (&facts.rows_at_archive, &facts.archived, facts.position(SinkName::Archive))
    else {
        return;
    };
    let mut left = facts.shared(rows, SinkName::Archive, below, |r| r.event_type.clone());
    left.values_mut().for_each(|t| t.nanos = 0); // the archive prices nothing
    let mut right: BTreeMap<String, Tally> =
        archived.iter().map(|(kind, n)| (kind.clone(), Tally { events: *n, nanos: 0 })).collect();
    let mut unknown = 0;
    for kind in facts.held_only_by(SinkName::Archive, below) {
        match kind.and_then(|k| right.get_mut(k)) {
            Some(tally) => tally.events = tally.events.saturating_sub(1),
            None => unknown += 1,
        }
    }
    for (kind, l, r) in unexplained(unequal(&left, &right), unknown) {
        let (l, r) = (("statistics", figures(l)), ("archive", figures(r)));
        let mut d = facts.difference("archive_type", below, l, r);
        d.message = format!("{}, of type {kind}", d.message);
        d.event_type = Some(kind.clone());
        found.push(d);
    }
}

fn by_campaign(facts: &Facts, found: &mut Vec<Difference>) {
    let (Some(rows), Some(books)) = (&facts.rows_at_books, &facts.books) else { return };
    let below = books.position;
    let left = facts.shared(rows, SinkName::Balances, below, |r| (r.event_type.clone(), r.campaign_id));
    let mut right = BTreeMap::<(String, u32), Tally>::new();
    books.by_campaign.iter().for_each(|c| right.entry((c.kind.clone(), c.campaign)).or_default().add(c.sums.all()));
    let unknown = facts.held_only_by(SinkName::Balances, below).len() as u64;
    for ((kind, campaign), l, r) in unexplained(unequal(&left, &right), unknown) {
        let (l, r) = (("statistics", figures(l)), ("balances", figures(r)));
        let mut d = facts.difference("balances_campaign", below, l, r);
        d.message = format!("{}, of type {kind} and campaign {campaign}", d.message);
        d.event_type = Some(kind.clone());
        d.campaign_id = Some(*campaign);
        found.push(d);
    }
}

/// Leaves out what `unknown` events can account for: they are of a type or campaign that nobody
/// knows any more, and only the right side took them. Where it has more, they may be the reason,
/// as long as there are enough of them.
fn unexplained<K>(mut differing: Vec<(&K, Tally, Tally)>, unknown: u64) -> Vec<(&K, Tally, Tally)> {
    let more: u64 = differing.iter().map(|(_, l, r)| r.events.saturating_sub(l.events)).sum();
    if more <= unknown {
        differing.retain(|(_, l, r)| r.events <= l.events);
    }
    differing
}

/// Keys whose sides differ; a key that one side does not have is nothing there.
pub fn unequal<'a, K: Ord>(left: &'a BTreeMap<K, Tally>, right: &'a BTreeMap<K, Tally>) -> Vec<(&'a K, Tally, Tally)> {
    let keys: BTreeSet<&K> = left.keys().chain(right.keys()).collect();
    let of = |map: &BTreeMap<K, Tally>, key: &K| map.get(key).copied().unwrap_or_default();
    keys.into_iter().map(|k| (k, of(left, k), of(right, k))).filter(|(_, l, r)| l != r).collect()
}
