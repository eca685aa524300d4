//! Whether log, archive, statistics and ledger tell the same story, while events keep coming in.
//!
//! Every sink is looked at up to *its own* position, and ClickHouse, which holds each event with
//! its exact offset, is counted up to the position of the sink it is compared with. So nothing
//! has to stand still: the order of looking is what keeps it right. Positions are read before
//! what they cover is counted (a sink writes first, commits after); ClickHouse is counted last,
//! after it has passed the others; dead letters are read after all positions (a letter is
//! durable before the position passes its record).

mod compare;
mod judge;
mod pivot;
mod sources;

pub use compare::{Compared, Dead, Facts, compare};
pub(crate) use judge::{by_the_clock, judge};
pub use sources::{
    ArchiveCounts, ArchiveSource, BooksSource, Faults, Later, Mark, MarkSource, Pivot, PivotAt, PivotRow, Progress,
    SinkName, SourceError,
};

use crate::api::types::{Difference, Figures, PartitionReport, Reconciliation, SinkReport, Sum, Time};
use penstock::ledger::{Books, Tally};
use penstock::log::{LogId, Offset};
use penstock::time::Clock;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// Differences listed in one answer.
const LISTED: usize = 1_000;
/// How often positions are looked at while waiting.
const LOOK: Duration = Duration::from_millis(50);
/// How often pipelines that are behind are asked again to flush: a flush covers what is durable
/// when it is asked, and an acknowledged record may become durable a moment later.
const FLUSH: Duration = Duration::from_millis(200);
/// ClickHouse gets at least this long to pass the others, even without a wait.
const CATCH_UP: Duration = Duration::from_secs(5);

/// Everything that is compared.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Log and positions.
    pub progress: &'a dyn Progress,
    /// The ledger.
    pub ledger: &'a dyn BooksSource,
    /// The archive.
    pub archive: &'a dyn ArchiveSource,
    /// The dead letters.
    pub dead: &'a dyn MarkSource,
    /// ClickHouse.
    pub pivot: &'a dyn Pivot,
    /// For the times in the answer.
    pub clock: &'a dyn Clock,
}

type Positions = BTreeMap<LogId, Offset>;

/// Compares everything, after waiting up to `wait` for the sinks to take in what is acknowledged
/// now. Errors: [`SourceError`] when a source does not answer.
pub async fn reconcile(sources: Sources<'_>, wait: Duration) -> Result<Reconciliation, SourceError> {
    let started = sources.clock.now();
    let deadline = Instant::now() + wait;
    let late = sources.progress.settle(deadline).await?;
    let acknowledged = sources.progress.acknowledged();
    futures::future::join_all(SinkName::ALL.map(|sink| sources.passed(sink, &acknowledged, deadline))).await;
    let archived_to = sources.positions(SinkName::Archive);
    let archived = sources.archive.counts(&archived_to).await?;
    let books = sources.ledger.books().await?;
    let booked_to: Positions = books.partitions.iter().map(|p| (p.log.clone(), p.position)).collect();

    let deadline = deadline.max(Instant::now() + CATCH_UP);
    let running: BTreeSet<LogId> = sources.positions(SinkName::Statistics).into_keys().collect();
    for goal in [&archived_to, &booked_to] {
        let goal = goal.iter().filter(|(log, _)| running.contains(log)).map(|(l, o)| (l.clone(), *o)).collect();
        sources.passed(SinkName::Statistics, &goal, deadline).await;
    }
    let counted_to = sources.positions(SinkName::Statistics);
    let marks = sources.dead.marks().await?;

    let mut logs: BTreeSet<LogId> = acknowledged.keys().cloned().collect();
    logs.extend(booked_to.into_keys());
    let mut all = Vec::new();
    for log in logs {
        let mut facts = Facts {
            acknowledged: acknowledged.get(&log).copied(),
            positions: [(SinkName::Statistics, counted_to.get(&log)), (SinkName::Archive, archived_to.get(&log))]
                .into_iter()
                .filter_map(|(sink, at)| Some((sink, *at?)))
                .collect(),
            dead: dead_of(&log, &marks),
            rows: None,
            surplus: BTreeSet::new(),
            faults: Faults::default(),
            books: books.partitions.iter().find(|p| p.log == log).cloned(),
            rows_at_books: None,
            archived: archived_to.get(&log).map(|_| archived.records.get(&log).cloned().unwrap_or_default()),
            rows_at_archive: None,
            elsewhere: Vec::new(),
            log,
        };
        sources.count(&mut facts).await?;
        all.push(compare(&facts));
    }
    let mut differences: Vec<Difference> = all.iter().flat_map(|c| c.differences.iter().cloned()).collect();
    differences.extend(charged_once(&books));
    let partitions: Vec<PartitionReport> = all.iter().map(|c| c.report.clone()).collect();
    let equal = differences.is_empty();
    let left_out = differences.len().saturating_sub(LISTED) as u64;
    differences.truncate(LISTED);
    Ok(Reconciliation {
        equal,
        complete: late.is_empty() && all.iter().all(|c| c.complete),
        started: Time(started),
        finished: Time(sources.clock.now()),
        totals: totals(&partitions, equal),
        partitions,
        differences,
        notes: late.into_iter().chain(archived.notes).collect(),
        differences_left_out: left_out,
    })
}

impl Sources<'_> {
    fn positions(&self, sink: SinkName) -> Positions {
        let all = self.progress.positions().into_iter();
        all.filter(|((s, _), _)| *s == sink).map(|((_, log), at)| (log, at)).collect()
    }

    /// Waits until `sink` has passed `goal` everywhere, or the deadline.
    async fn passed(&self, sink: SinkName, goal: &Positions, deadline: Instant) {
        let mut flush_at = Instant::now();
        loop {
            let positions = self.positions(sink);
            let mut behind =
                goal.iter().filter(|(log, to)| positions.get(*log).copied().unwrap_or(0) < **to).peekable();
            let now = Instant::now();
            if behind.peek().is_none() || now >= deadline {
                return;
            }
            if now >= flush_at {
                // Only who is behind: a flush of the archive makes a file.
                behind.for_each(|(log, _)| self.progress.flush(sink, log));
                flush_at = now + FLUSH;
            }
            tokio::time::sleep(LOOK.min(deadline - now)).await;
        }
    }

    /// Counts ClickHouse up to its own position and to those of the others.
    async fn count(&self, facts: &mut Facts) -> Result<(), SourceError> {
        let log = facts.log.clone();
        let own = facts.positions.get(&SinkName::Statistics).copied();
        // A log that no pipeline reads any more is as complete as it will be, and there is nothing to
        // pass in an empty one, whose sinks may not have read their positions yet.
        let has_passed = |to: Offset| match own {
            Some(own) => own >= to,
            None => to == 0 || facts.acknowledged.is_none(),
        };
        let archived_to = facts.positions.get(&SinkName::Archive).copied().filter(|to| has_passed(*to));
        let booked_to = facts.books.as_ref().map(|b| b.position).filter(|to| has_passed(*to));
        let mut known = BTreeMap::<Offset, Vec<PivotRow>>::new();
        for to in [own, archived_to, booked_to].into_iter().flatten() {
            if let Entry::Vacant(place) = known.entry(to) {
                place.insert(self.pivot.counts(&log, to).await?);
            }
        }
        if let Some(own) = own {
            let rows = known.get(&own).cloned().unwrap_or_default();
            let distinct = self.pivot.distinct(&log, own).await?;
            let dead = facts.dead.get(&SinkName::Statistics).into_iter().flat_map(|d| d.range(..own));
            let dead: BTreeSet<Offset> = dead.map(|(offset, _)| *offset).collect();
            if !dead.is_empty() {
                let asked: Vec<Offset> = dead.iter().copied().collect();
                facts.surplus = self.pivot.at(&log, &asked).await?.into_iter().map(|at| at.offset).collect();
            }
            let expected = own - dead.len() as u64 + facts.surplus.len() as u64;
            if distinct != expected || rows.iter().map(|r| r.events).sum::<u64>() != distinct {
                facts.faults = self.pivot.faults(&log, own, &dead, &facts.surplus).await?;
            }
            facts.rows = Some((rows, distinct));
        }
        facts.rows_at_archive = archived_to.and_then(|to| known.get(&to).cloned());
        facts.rows_at_books = booked_to.and_then(|to| known.get(&to).cloned());
        let mut offsets = facts.dead_only_in(SinkName::Archive);
        offsets.extend(facts.dead_only_in(SinkName::Balances));
        offsets.sort_unstable();
        offsets.dedup();
        if !offsets.is_empty() {
            facts.elsewhere = self.pivot.at(&log, &offsets).await?;
        }
        Ok(())
    }
}

fn dead_of(log: &LogId, marks: &[Mark]) -> BTreeMap<SinkName, Dead> {
    let mut map = BTreeMap::<SinkName, Dead>::new();
    for mark in marks.iter().filter(|m| m.log == *log) {
        map.entry(mark.sink).or_default().insert(mark.offset, mark.event_type.clone());
    }
    map
}

/// The ledger against itself: what is charged by the hour, and what the partitions say was charged.
fn charged_once(books: &Books) -> Vec<Difference> {
    let mut partitions = BTreeMap::<u32, Tally>::new();
    for sums in books.partitions.iter().flat_map(|p| &p.by_campaign) {
        partitions.entry(sums.campaign).or_default().add(sums.sums.charged);
    }
    partitions.remove(&0);
    let mut hours = BTreeMap::<u32, Tally>::new();
    books.charged.iter().for_each(|(campaign, tally)| hours.entry(*campaign).or_default().add(*tally));
    compare::unequal(&partitions, &hours)
        .into_iter()
        .map(|(campaign, left, right)| {
            let side = |t: Tally| Figures { events: t.events, nanos: Sum(t.nanos) };
            Difference {
                check: "balances_hours".to_owned(),
                log: "*".to_owned(),
                partition: 0,
                below: 0,
                event_type: None,
                campaign_id: Some(*campaign),
                left: "running totals".to_owned(),
                left_figures: side(left),
                right: "hours".to_owned(),
                right_figures: side(right),
                offsets: Vec::new(),
                message: format!(
                    "campaign {campaign}: the partitions' totals charge {} events of {} nanos, its hours {} of {} nanos",
                    left.events, left.nanos, right.events, right.nanos
                ),
            }
        })
        .collect()
}

fn totals(partitions: &[PartitionReport], equal: bool) -> PartitionReport {
    let mut sum = PartitionReport { log: "*".to_owned(), equal, ..PartitionReport::default() };
    for p in partitions {
        sum.acknowledged += p.acknowledged;
        add(&mut sum.statistics, &p.statistics);
        add(&mut sum.balances, &p.balances);
        add(&mut sum.archive, &p.archive);
    }
    sum
}

fn add(sum: &mut SinkReport, one: &SinkReport) {
    sum.position += one.position;
    sum.lag_events += one.lag_events;
    sum.events += one.events;
    sum.dead += one.dead;
    sum.nanos = one.nanos.map(|n| sum.nanos.unwrap_or_default().plus(n)).or(sum.nanos);
    for (into, from) in [
        (&mut sum.charged, one.charged),
        (&mut sum.duplicates, one.duplicates),
        (&mut sum.unattributed, one.unattributed),
    ] {
        if let Some(from) = from {
            let into = into.get_or_insert_default();
            into.events += from.events;
            into.nanos = into.nanos.plus(from.nanos);
        }
    }
}

#[cfg(test)]
mod tests;
