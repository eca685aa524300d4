//! Models of log, sinks and dead letters that are broken in one way at a time.

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

#[tokio::test(start_paused = true)]
async fn sinks_that_hold_every_event_are_equal() {
    let r = verdict(World::with(1_000), 0).await;
    assert!(r.equal && r.complete, "{r:?}");
    let p = &r.partitions[0];
    assert_eq!(
        (p.acknowledged, p.statistics.events, p.balances.events, p.archive.events),
        (1_000, 1_000, 1_000, 1_000)
    );
    assert_eq!(p.statistics.nanos, Some(Sum(250 * (5 + 3_000 + 250_000))));
    assert_eq!(p.balances.charged.unwrap().events, 750);
    assert_eq!(p.balances.unattributed.unwrap().events, 250);
    assert_eq!(r.totals.acknowledged, 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_missing_row_is_found_and_named() {
    let mut world = World::with(100);
    world.statistics.retain(|r| r.offset != 41);
    let r = verdict(world, 0).await;
    assert!(!r.equal);
    assert_eq!(checks(&r), ["statistics_missing", "archive_type", "balances_campaign"]);
    assert_eq!(r.differences[0].offsets, [41]);
    assert_eq!((r.differences[0].left_figures.events, r.differences[0].right_figures.events), (100, 99));
    assert_eq!((r.differences[2].event_type.as_deref(), r.differences[2].campaign_id), (Some("click"), Some(2)));
    assert!(!r.partitions[0].equal);
}

#[tokio::test(start_paused = true)]
async fn a_doubled_row_is_found_even_when_another_is_missing() {
    let mut world = World::with(100);
    world.statistics.retain(|r| r.offset != 8);
    let twice = world.statistics.iter().find(|r| r.offset == 12).cloned().unwrap();
    world.statistics.push(twice); // same type, campaign and price as the missing one
    let r = verdict(world, 0).await;
    assert_eq!(checks(&r), ["statistics_doubled", "statistics_missing"]);
    assert_eq!((r.differences[0].offsets.as_slice(), r.differences[1].offsets.as_slice()), (&[12][..], &[8][..]));
}

#[tokio::test(start_paused = true)]
async fn one_nano_is_a_difference_and_names_campaign_and_type() {
    let mut world = World::with(100);
    world.books[7].nanos += 1;
    let r = verdict(world, 0).await;
    assert_eq!(checks(&r), ["balances_campaign"]);
    let d = &r.differences[0];
    assert_eq!((d.event_type.as_deref(), d.campaign_id), (Some("conversion"), Some(2)));
    assert_eq!(d.right_figures.nanos.0 - d.left_figures.nanos.0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_charge_on_the_wrong_campaign_is_a_difference_though_the_sums_agree() {
    let mut world = World::with(100);
    world.books[0].campaign = 9;
    assert_eq!(checks(&verdict(world, 0).await), ["balances_campaign", "balances_campaign"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_missing_in_the_ledger_or_the_archive_is_found() {
    let mut world = World::with(100);
    world.books.remove(5);
    assert_eq!(checks(&verdict(world, 0).await), ["balances_missing", "balances_campaign"]);
    let mut world = World::with(100);
    world.archive.remove(5);
    assert_eq!(checks(&verdict(world, 0).await), ["archive_missing", "archive_type"]);
    let mut world = World::with(100);
    let twice = world.archive[5].clone();
    world.archive.push(twice);
    assert_eq!(checks(&verdict(world, 0).await), ["archive_surplus", "archive_type"]);
}

#[tokio::test(start_paused = true)]
async fn hours_that_do_not_add_up_to_the_totals_are_found() {
    let world = World { hours_more: 1, ..World::with(100) };
    assert_eq!(checks(&verdict(world, 0).await), ["balances_hours"]);
}

fn world_with_dead(sinks: &[SinkName], types: bool) -> World {
    let mut world = World { dead_types: types, ..World::default() };
    world.append(100);
    for sink in sinks {
        world.dead.extend([(*sink, 10), (*sink, 11)]);
    }
    for sink in SinkName::ALL {
        world.take(sink, 100);
        world.positions.insert(sink, 100);
    }
    world
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_no_difference_whichever_sinks_refused_it() {
    use SinkName::{Archive, Balances, Statistics};
    let sets: [&[SinkName]; 7] = [
        &SinkName::ALL,
        &[Statistics],
        &[Balances],
        &[Archive],
        &[Statistics, Balances],
        &[Balances, Archive],
        &[Statistics, Archive],
    ];
    for sinks in sets {
        for types in [true, false] {
            let r = verdict(world_with_dead(sinks, types), 0).await;
            assert!(r.equal && r.complete, "{sinks:?} {types}: {:?}", r.differences);
        }
    }
    let r = verdict(world_with_dead(&[Statistics], true), 0).await;
    assert_eq!((r.partitions[0].statistics.dead, r.partitions[0].archive.dead), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_does_not_hide_what_is_missing() {
    for types in [true, false] {
        let mut world = world_with_dead(&[SinkName::Statistics], types);
        world.archive.retain(|r| r.offset != 50);
        assert!(checks(&verdict(world, 0).await).contains(&"archive_missing"));
        let mut world = world_with_dead(&[SinkName::Statistics], types);
        world.books[20].nanos += 1;
        assert_eq!(checks(&verdict(world, 0).await), ["balances_campaign"], "{types}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_dead_and_counted_is_a_surplus() {
    let mut world = World::with(100);
    world.dead.insert((SinkName::Statistics, 30));
    let r = verdict(world, 0).await;
    assert_eq!(r.differences[0].check, "statistics_surplus");
    assert_eq!(r.differences[0].offsets, [30]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_record_that_is_counted_does_not_hide_a_missing_one() {
    let mut world = World::with(100);
    world.dead.extend(SinkName::ALL.map(|sink| (sink, 30)));
    world.archive.remove(30);
    world.books.remove(30);
    for sink in SinkName::ALL {
        world.held(sink).retain(|r| r.offset != 42); // nowhere: no two sinks differ
    }
    let r = verdict(world, 0).await;
    let named = |check: &str| r.differences.iter().find(|d| d.check == check).unwrap().offsets.clone();
    assert_eq!((named("statistics_surplus"), named("statistics_missing")), (vec![30], vec![42]));
}

#[tokio::test(start_paused = true)]
async fn lag_is_reported_and_is_no_difference() {
    for sink in SinkName::ALL {
        let mut world = World::with(100);
        world.append(50);
        for other in SinkName::ALL.into_iter().filter(|s| *s != sink) {
            world.take(other, 150);
            world.positions.insert(other, 150);
        }
        let r = verdict(world, 1).await;
        assert!(r.equal && !r.complete, "{sink:?}: {r:?}");
        let p = &r.partitions[0];
        let lag = [p.statistics.lag_events, p.balances.lag_events, p.archive.lag_events];
        assert_eq!(lag.iter().sum::<u64>(), 50, "{sink:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_has_not_read_its_position_is_lag() {
    let mut world = World::with(100);
    world.positions.remove(&SinkName::Archive);
    let r = verdict(world, 1).await;
    assert!(r.equal && !r.complete);
    assert_eq!(r.partitions[0].archive.lag_events, 100);
}

#[tokio::test(start_paused = true)]
async fn an_empty_partition_hides_nothing_while_its_sinks_start() {
    for starting in SinkName::ALL {
        let mut world = World::with(0);
        world.positions.remove(&starting);
        let r = verdict(world, 1).await;
        assert!(r.equal && r.complete, "{starting:?}: {r:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_nobody_reads_any_more_is_still_compared() {
    let gone = World { gone: true, ..World::with(100) };
    let r = verdict(gone.clone(), 1).await;
    assert!(r.equal && r.complete, "{r:?}");
    assert_eq!(r.partitions[0].balances.events, 100);
    let mut broken = gone;
    broken.statistics.remove(3);
    assert_eq!(checks(&verdict(broken, 1).await), ["balances_campaign"]);
}

#[tokio::test(start_paused = true)]
async fn the_verdict_stays_right_while_events_keep_coming_in() {
    for seed in 1..400_u64 {
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let world = World { random, dead_types: seed % 2 == 0, ..World::with(seed % 50) };
        let mut world = world;
        world.dead.extend((0..5).map(|i| (SinkName::ALL[(i % 3) as usize], 60 + i * 7)));
        let model = Model(Arc::new(Mutex::new(world)));
        model.0.lock().unwrap().append(100); // so that the dead letters exist
        let clock = ManualClock::default();
        let sources =
            Sources { progress: &model, ledger: &model, archive: &model, dead: &model, pivot: &model, clock: &clock };
        let r = reconcile(sources, Duration::from_secs(60)).await.unwrap();
        assert!(r.equal && r.complete, "seed {seed}: {:?}", r.differences);
    }
}

#[tokio::test(start_paused = true)]
async fn a_difference_is_found_while_events_keep_coming_in() {
    for seed in 1..100_u64 {
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut world = World { random, ..World::with(50) };
        let twice = world.statistics[9].clone();
        world.statistics.insert(0, twice);
        let r = verdict(world, 60).await;
        assert_eq!(r.differences[0].check, "statistics_doubled", "seed {seed}");
        assert_eq!(r.differences[0].offsets, [9]);
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_sink_that_is_behind_is_asked_to_flush_and_asked_again() {
    let mut world = World::with(10);
    world.append(5);
    for sink in [SinkName::Statistics, SinkName::Balances] {
        world.take(sink, 15);
        world.positions.insert(sink, 15);
    }
    let model = Model(Arc::new(Mutex::new(world)));
    let clock = ManualClock::default();
    let sources =
        Sources { progress: &model, ledger: &model, archive: &model, dead: &model, pivot: &model, clock: &clock };
    let begun = Instant::now();
    reconcile(sources, Duration::from_secs(2)).await.unwrap();
    let flushed = model.0.lock().unwrap().flushed.clone();
    assert!(flushed.len() >= 3 && flushed.iter().all(|s| *s == SinkName::Archive), "{flushed:?}");
    assert!(begun.elapsed() < Duration::from_secs(12), "the wait has an end");
}
