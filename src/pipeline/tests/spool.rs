//! The pipeline over the real spool on a simulated disk: power cuts and kills by seed.
//!
//! A record is its serial number. Whatever happens, a serial that was acknowledged as durable is
//! held once, none is held twice, and an offset that a sink has seen never means another serial.

use super::{CancellationToken, Held, Instant, RuntimeClock, id, limits, number};
use crate::log::spool::{Group, GroupBuf, SimDisk, Spool, SpoolOptions, Syncing, Writer};
use crate::log::{Limits, LogId, Offset, Range, Records};
use crate::pipeline::{DeadError, DeadTarget, Letter, Parts, Pipeline, PipelineHandle, Poison, Sink, SinkError};
use crate::pricing::Snapshot;
use crate::settings::{PipelineSettings, SpoolSettings};
use crate::telemetry::pipeline::PipelineMetrics;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What outlives crashes beside the disk: the sink's store and the clients' knowledge.
struct Truth {
    random: SmallRng,
    held: BTreeMap<Offset, (u64, u32)>,
    holes: BTreeSet<Offset>,
    /// Answered `202` with durability `disk`.
    durable: BTreeSet<u64>,
    /// Answered with durability `os`: a kill must not lose them, a power cut may.
    written: BTreeSet<u64>,
    next_serial: u64,
    /// No client sends any more.
    closed: bool,
    /// Chance of a torn write, in percent.
    faults: u32,
}

type Shared = Rc<RefCell<Truth>>;

struct Store(Shared);

impl Sink for Store {
    type Batch = Vec<(Offset, u64)>;

    fn name(&self) -> &'static str {
        "store"
    }

    fn prepare(
        &mut self,
        _: &LogId,
        _: Range,
        records: &Records,
        _: &Snapshot,
        _: &mut Vec<Poison>,
    ) -> Vec<(Offset, u64)> {
        // Holes are left to the pipeline to bury.
        let serial = |body: &[u8]| u64::from_le_bytes(body.try_into().unwrap());
        records.iter().filter_map(|r| Some((r.offset, serial(r.body.ok()?)))).collect()
    }

    async fn held(&mut self, _: &LogId, range: Range, batch: &Self::Batch) -> Result<Held, SinkError> {
        let truth = self.0.borrow();
        let held: Vec<Offset> = truth.held.range(range.from..range.to).map(|(offset, _)| *offset).collect();
        Ok(if held.len() == batch.len() { Held::All } else { Held::Some(held) })
    }

    async fn write(&mut self, _: &LogId, _: Range, batch: &Self::Batch, held: &Held) -> Result<(), SinkError> {
        let mut truth = self.0.borrow_mut();
        let skip: &[Offset] = if let Held::Some(offsets) = held { offsets } else { &[] };
        let missing: Vec<_> = batch.iter().filter(|(offset, _)| !skip.contains(offset)).collect();
        let faults = truth.faults;
        let torn = truth.random.random_range(0..100) < faults;
        let part = if torn { truth.random.random_range(0..=missing.len()) } else { missing.len() };
        for (offset, serial) in &missing[..part] {
            let (had, times) = truth.held.entry(*offset).or_insert((*serial, 0));
            assert_eq!(had, serial, "offset {offset} was another record before the crash");
            *times += 1;
        }
        if torn { Err(SinkError::Unknown("no answer".to_owned())) } else { Ok(()) }
    }
}

/// A power cut may leave a hole where a record was that nobody had been promised on disk; the
/// spool then says so instead of giving the offset to another record.
struct Holes(Shared);

impl DeadTarget for Holes {
    async fn bury(&mut self, letters: &[Letter<'_>]) -> Result<(), DeadError> {
        for letter in letters {
            assert_eq!(letter.code, "corrupt");
            self.0.borrow_mut().holes.insert(letter.offset);
        }
        Ok(())
    }
}

fn open(disk: &SimDisk, clock: &RuntimeClock) -> Spool<SimDisk> {
    let settings =
        SpoolSettings { segment_bytes: 2048, reserve_bytes: 0, max_group_bytes: 64 << 10, ..SpoolSettings::default() };
    let options = SpoolOptions { settings, syncing: Syncing::ByHand, ..SpoolOptions::new(1, Arc::new(clock.clone())) };
    Spool::open_with(disk.clone(), Path::new("/spool"), options).unwrap().0
}

/// Clients, the spool's syncs and its housekeeping, until something bad happens.
async fn clients(truth: &Shared, spool: &Spool<SimDisk>, writer: &mut Writer<SimDisk>, calm: bool) {
    loop {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut t = truth.borrow_mut();
        if t.random.random_range(0..2) == 0 && !t.closed {
            let mut group = GroupBuf::new();
            for _ in 0..t.random.random_range(1..6) {
                group.push(&t.next_serial.to_le_bytes());
                t.next_serial += 1;
            }
            writer.append(&Group::plain(&group)).unwrap();
            writer.flush().unwrap();
            let all = t.next_serial - u64::from(group.count())..t.next_serial;
            t.written.extend(all);
        }
        match t.random.random_range(0..12) {
            0..4 => {
                spool.sync_now().unwrap();
                let Truth { durable, written, .. } = &mut *t;
                durable.append(written);
            }
            4 => {
                spool.housekeep().unwrap();
            }
            5 | 6 if !calm => return,
            _ => {}
        }
    }
}

async fn history(seed: u64) -> u64 {
    let mut random = SmallRng::seed_from_u64(seed);
    let disk = SimDisk::new(random.random());
    let faults = random.random_range(0..40);
    let truth = Rc::new(RefCell::new(Truth {
        random,
        held: BTreeMap::new(),
        holes: BTreeSet::new(),
        durable: BTreeSet::new(),
        written: BTreeSet::new(),
        next_serial: 0,
        closed: false,
        faults,
    }));
    let clock = RuntimeClock(Instant::now());
    let lives: u64 = truth.borrow_mut().random.random_range(2..12);
    for life in 0..lives {
        let calm = life + 1 == lives;
        let spool = open(&disk, &clock);
        let mut writer = spool.writer(0).unwrap();
        let handle = PipelineHandle::new("store", id());
        let rows = truth.borrow_mut().random.random_range(1..20);
        let parts = Parts {
            log: spool.reader("store", 0).unwrap(),
            sink: Store(Rc::clone(&truth)),
            dead: Holes(Rc::clone(&truth)),
            limits: Limits { rows, ..limits() },
            catalogue: None,
            settings: PipelineSettings::default(),
            clock: Arc::new(clock.clone()),
            seed,
            stop: CancellationToken::new(),
            handle: handle.clone(),
            metrics: PipelineMetrics::detached(),
        };
        let arrived = async {
            while truth.borrow().next_serial < 300 || truth.borrow().held.len() < 300 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            truth.borrow_mut().closed = true;
            spool.sync_now().unwrap();
            assert!(handle.passed(spool.watermarks(0).unwrap().synced(), Duration::from_secs(3600)).await);
            true
        };
        let done = tokio::select! {
            biased;
            done = arrived, if calm => done,
            ended = Pipeline::new(parts).run() => panic!("ended by itself: {ended:?}"),
            () = clients(&truth, &spool, &mut writer, calm) => false,
            () = tokio::time::sleep(Duration::from_secs(3600)) => panic!("stuck: {:?}", handle.status()),
        };
        if done {
            break;
        }
        // The disk dies first: what is dropped after it can save nothing.
        let mut t = truth.borrow_mut();
        if t.random.random() {
            disk.crash();
            t.written.clear();
        } else {
            disk.kill();
        }
    }
    let truth = truth.borrow();
    let both: Vec<_> = truth.holes.iter().filter(|offset| truth.held.contains_key(offset)).collect();
    assert!(both.is_empty(), "held and dead: {both:?}");
    let mut times: BTreeMap<u64, u32> = BTreeMap::new();
    for (serial, n) in truth.held.values() {
        *times.entry(*serial).or_insert(0) += n;
    }
    let twice: Vec<_> = times.iter().filter(|(_, n)| **n != 1).collect();
    assert!(twice.is_empty(), "held more than once: {twice:?}");
    let acknowledged = truth.durable.union(&truth.written);
    let lost: Vec<_> = acknowledged.filter(|serial| !times.contains_key(serial)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}, holes at {:?}", truth.holes);
    lives
}

#[test]
fn each_event_that_the_spool_acknowledged_is_held_once_after_power_cuts_and_kills() {
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(history(seed))
    };
    if let Some(seed) = number("PENSTOCK_SEED") {
        run(seed);
        return;
    }
    let mut lives = 0;
    for seed in 0..number("PENSTOCK_SEEDS").map_or(40, |n| n / 75) {
        match catch_unwind(AssertUnwindSafe(|| run(seed))) {
            Ok(n) => lives += n,
            Err(_) => panic!("seed {seed} failed; replay it with PENSTOCK_SEED={seed}"),
        }
    }
    println!("{lives} lives");
}
