//! Models of log, sinks and dead letters that are broken in one way at a time.

mod differences;
mod moving;

use super::*;
use crate::api::types::ArchivePlace;
use futures::FutureExt;
use penstock::ledger::{CampaignSums, PartitionBooks, Sums};
use penstock::time::{ManualClock, Micros};
use std::sync::{Arc, Mutex};

#[derive(Clone, Debug)]
struct Row {
    offset: Offset,
    kind: &'static str,
    campaign: u32,
    nanos: i128,
}

/// One partition with its three sinks.
#[derive(Clone, Debug, Default)]
struct World {
    events: Vec<Row>,
    statistics: Vec<Row>,
    archive: Vec<Row>,
    books: Vec<Row>,
    /// Only in the ledger's hours, not in its running totals.
    hours_more: i128,
    positions: BTreeMap<SinkName, Offset>,
    dead: BTreeSet<(SinkName, Offset)>,
    dead_types: bool,
    /// Sinks that do not move.
    stuck: BTreeSet<SinkName>,
    /// Not 0: everything moves a little at each look, by this random state.
    random: u64,
    flushed: Vec<SinkName>,
    gone: bool,
}

const KINDS: [(&str, u32, i128); 4] =
    [("impression", 1, 5), ("click", 2, 3_000), ("visit", 0, 0), ("conversion", 2, 250_000)];

impl World {
    fn with(events: u64) -> World {
        let mut world = World::default();
        world.append(events);
        for sink in SinkName::ALL {
            world.take(sink, events);
            world.positions.insert(sink, events);
        }
        world
    }

    fn append(&mut self, n: u64) {
        for _ in 0..n {
            let offset = self.events.len() as u64;
            let (kind, campaign, nanos) = KINDS[(offset % 4) as usize];
            self.events.push(Row { offset, kind, campaign, nanos });
        }
    }

    fn held(&mut self, sink: SinkName) -> &mut Vec<Row> {
        match sink {
            SinkName::Statistics => &mut self.statistics,
            SinkName::Balances => &mut self.books,
            SinkName::Archive => &mut self.archive,
        }
    }

    /// Writes up to `to` what is not dead there, without committing.
    fn take(&mut self, sink: SinkName, to: u64) {
        let from = self.held(sink).last().map_or(0, |r| r.offset + 1);
        let dead = self.dead.clone();
        let rows = self.events.iter().filter(|r| (from..to).contains(&r.offset) && !dead.contains(&(sink, r.offset)));
        let rows: Vec<Row> = rows.cloned().collect();
        self.held(sink).extend(rows);
    }

    fn next(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below.max(1)
    }

    /// Time passes: events come in, sinks write, and commit what they wrote before.
    fn move_on(&mut self) {
        if self.random == 0 {
            return;
        }
        let more = self.next(40);
        self.append(more);
        for sink in SinkName::ALL {
            if self.stuck.contains(&sink) {
                continue;
            }
            let end = self.events.len() as u64;
            let at = self.positions.get(&sink).copied().unwrap_or(0);
            let to = at + self.next(end - at + 1);
            self.take(sink, to);
            // Books commit with their position; the others write first and commit a look later, or not yet.
            if sink == SinkName::Balances || self.next(3) > 0 {
                self.positions.insert(sink, to);
            }
        }
    }
}

/// What the sources see of it.
#[derive(Clone, Default)]
struct Model(Arc<Mutex<World>>);

fn log() -> LogId {
    LogId { name: "spool-0000000000000001".into(), partition: 3 }
}

fn now<T: Send + 'static>(value: T) -> Later<'static, T> {
    futures::future::ready(Ok(value)).boxed()
}

impl Model {
    fn look<T>(&self, at: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.0.lock().unwrap();
        world.move_on();
        at(&mut world)
    }
}

impl Progress for Model {
    fn acknowledged(&self) -> BTreeMap<LogId, Offset> {
        self.look(|w| if w.gone { BTreeMap::new() } else { [(log(), w.events.len() as u64)].into() })
    }
    fn positions(&self) -> BTreeMap<(SinkName, LogId), Offset> {
        self.look(|w| {
            let all = w.positions.iter().filter(|_| !w.gone);
            all.map(|(sink, at)| ((*sink, log()), *at)).collect()
        })
    }
    fn flush(&self, sink: SinkName, _: &LogId) {
        self.look(|w| w.flushed.push(sink));
    }
}

impl BooksSource for Model {
    fn books(&self) -> Later<'_, Books> {
        now(self.look(|w| {
            let position = w.positions.get(&SinkName::Balances).copied().unwrap_or(0);
            let mut by = BTreeMap::<(u32, &str), Sums>::new();
            for r in w.books.iter().filter(|r| r.offset < position) {
                let sums = by.entry((r.campaign, r.kind)).or_default();
                let tally = Tally { events: 1, nanos: r.nanos };
                if r.campaign == 0 { sums.unattributed.add(tally) } else { sums.charged.add(tally) }
            }
            let mut charged = BTreeMap::<u32, Tally>::new();
            for ((campaign, _), sums) in by.iter().filter(|((c, _), _)| *c != 0) {
                charged.entry(*campaign).or_default().add(sums.charged);
            }
            if let Some(first) = charged.values_mut().next() {
                first.nanos += w.hours_more;
            }
            let mut by_range = BTreeMap::<&str, Sums>::new();
            by.iter().for_each(|((_, kind), sums)| by_range.entry(kind).or_default().add(sums));
            Books {
                partitions: vec![PartitionBooks {
                    log: log(),
                    position,
                    poison: 0,
                    skipped: 0,
                    by_range: by_range.into_iter().map(|(k, s)| (k.to_owned(), s)).collect(),
                    by_campaign: by
                        .into_iter()
                        .map(|((campaign, kind), sums)| CampaignSums { campaign, kind: kind.to_owned(), sums })
                        .collect(),
                }],
                charged: charged.into_iter().collect(),
            }
        }))
    }
}

impl ArchiveSource for Model {
    fn counts<'a>(&'a self, below: &'a BTreeMap<LogId, Offset>) -> Later<'a, ArchiveCounts> {
        now(self.look(|w| {
            let mut all = BTreeMap::new();
            for (log, below) in below {
                let mut types = BTreeMap::<String, u64>::new();
                w.archive
                    .iter()
                    .filter(|r| r.offset < *below)
                    .for_each(|r| *types.entry(r.kind.to_owned()).or_default() += 1);
                all.insert(log.clone(), types);
            }
            ArchiveCounts { records: all, notes: Vec::new() }
        }))
    }

    fn locate<'a>(&'a self, _: &'a str, _: Micros, _: &'a LogId, _: Offset) -> Later<'a, ArchivePlace> {
        Box::pin(async { Ok(ArchivePlace { path: String::new(), found: false }) })
    }
}

impl MarkSource for Model {
    fn marks(&self) -> Later<'_, Vec<Mark>> {
        now(self.look(|w| {
            let kind = |offset: u64| w.dead_types.then(|| w.events[offset as usize].kind.to_owned());
            let mark = |(sink, offset): &(SinkName, u64)| Mark {
                sink: *sink,
                log: log(),
                offset: *offset,
                event_type: kind(*offset),
            };
            w.dead.iter().map(mark).collect()
        }))
    }
}

impl Pivot for Model {
    fn counts<'a>(&'a self, _: &'a LogId, below: Offset) -> Later<'a, Vec<PivotRow>> {
        now(self.look(|w| {
            let mut by = BTreeMap::<(&str, u32), Tally>::new();
            for r in w.statistics.iter().filter(|r| r.offset < below) {
                by.entry((r.kind, r.campaign)).or_default().add(Tally { events: 1, nanos: r.nanos });
            }
            let row = |((kind, campaign_id), t): ((&str, u32), Tally)| PivotRow {
                event_type: kind.to_owned(),
                campaign_id,
                events: t.events,
                nanos: t.nanos,
            };
            by.into_iter().map(row).collect()
        }))
    }
    fn distinct<'a>(&'a self, _: &'a LogId, below: Offset) -> Later<'a, u64> {
        now(self.look(|w| {
            w.statistics.iter().map(|r| r.offset).filter(|o| *o < below).collect::<BTreeSet<_>>().len() as u64
        }))
    }
    fn at<'a>(&'a self, _: &'a LogId, offsets: &'a [Offset]) -> Later<'a, Vec<PivotAt>> {
        now(self.look(|w| {
            let rows = w.statistics.iter().filter(|r| offsets.contains(&r.offset));
            rows.map(|r| PivotAt {
                offset: r.offset,
                row: PivotRow { event_type: r.kind.to_owned(), campaign_id: r.campaign, events: 1, nanos: r.nanos },
            })
            .collect()
        }))
    }
    fn faults<'a>(
        &'a self,
        _: &'a LogId,
        below: Offset,
        dead: &'a BTreeSet<Offset>,
        _: &'a BTreeSet<Offset>,
    ) -> Later<'a, Faults> {
        now(self.look(|w| {
            let rows = |o: Offset| w.statistics.iter().filter(|r| r.offset == o).count();
            let missing = (0..below).filter(|o| rows(*o) == 0 && !dead.contains(o)).collect();
            Faults { missing, doubled: (0..below).filter(|o| rows(*o) > 1).collect() }
        }))
    }
}

async fn verdict(world: World, wait_s: u64) -> Reconciliation {
    let model = Model(Arc::new(Mutex::new(world)));
    let clock = ManualClock::default();
    let sources =
        Sources { progress: &model, ledger: &model, archive: &model, dead: &model, pivot: &model, clock: &clock };
    reconcile(sources, Duration::from_secs(wait_s)).await.unwrap()
}

fn checks(r: &Reconciliation) -> Vec<&str> {
    r.differences.iter().map(|d| d.check.as_str()).collect()
}
