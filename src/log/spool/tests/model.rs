//! Random histories against a model: what was promised is there after every crash.
//!
//! The model knows of each offset what was appended there and how far that was promised. After a
//! power cut it looks what the spool kept, checks that against the promises, and holds the spool
//! to it from then on: whatever a reader could once see must never change.

use super::*;
use crate::log::Position;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Append { sizes: Vec<u16>, keyed: bool },
    Flush,
    Sync,
    Store { back: u8, pin: u8 },
    Housekeep,
    Read { from: u8, rows: u8, bytes: u16 },
    Clock { seconds: u16 },
    Fail { on: u8, after: u8, times: u8 },
    Limit { room: u16 },
    NewWriter,
    Crash,
    Kill,
    Close,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let sizes = proptest::collection::vec(prop_oneof![4 => 0u16..60, 1 => 400u16..900], 1..6);
    let op = prop_oneof![
        12 => (sizes, any::<bool>()).prop_map(|(sizes, keyed)| Op::Append { sizes, keyed }),
        8 => Just(Op::Flush),
        5 => Just(Op::Sync),
        3 => (0u8..8, 0u8..8).prop_map(|(back, pin)| Op::Store { back, pin }),
        3 => Just(Op::Housekeep),
        3 => (any::<u8>(), 1u8..20, 1u16..2000).prop_map(|(from, rows, bytes)| Op::Read { from, rows, bytes }),
        1 => (1u16..200).prop_map(|seconds| Op::Clock { seconds }),
        3 => (0u8..6, 0u8..3, 1u8..3).prop_map(|(on, after, times)| Op::Fail { on, after, times }),
        1 => (0u16..3000).prop_map(|room| Op::Limit { room }),
        1 => Just(Op::NewWriter),
        4 => Just(Op::Crash),
        1 => Just(Op::Kill),
        1 => Just(Op::Close),
    ];
    proptest::collection::vec(op, 1..60)
}

#[derive(Clone, Debug)]
struct Placed {
    first: Offset,
    bodies: Vec<Vec<u8>>,
    key: Option<([u8; 16], Vec<u8>)>,
    at: Micros,
}

impl Placed {
    fn end(&self) -> Offset {
        self.first + self.bodies.len() as u64
    }
}

struct World {
    disk: SimDisk,
    clock: ManualClock,
    options: SpoolOptions,
    spool: Spool<SimDisk>,
    writer: Option<Writer<SimDisk>>,
    reader: SpoolLog<SimDisk>,
    /// What a reader must see at each offset below the end of `settled`.
    truth: Vec<Option<Vec<u8>>>,
    /// Written groups by offset; those below `truth.len()` are settled.
    groups: Vec<Placed>,
    buffered: Vec<Placed>,
    /// The furthest offset ever promised to `disk`.
    synced: Offset,
    stored: Position,
    serial: u32,
}

const READER: &str = "statistics";

impl World {
    fn new(seed: u64) -> World {
        let disk = SimDisk::new(seed);
        let (options, clock) = options();
        let (spool, _) = Spool::open_with(disk.clone(), &dir(), options.clone()).unwrap();
        let writer = spool.writer(0).ok();
        let reader = spool.reader(READER, 0).unwrap();
        let stored = Position::at(0);
        let (truth, groups, buffered) = (Vec::new(), Vec::new(), Vec::new());
        World { disk, clock, options, spool, writer, reader, truth, groups, buffered, synced: 0, stored, serial: 0 }
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Append { sizes, keyed } => self.append(sizes, *keyed),
            Op::Flush => self.flush(),
            Op::Sync => self.sync(),
            Op::Store { back, pin } => self.store(*back, *pin),
            Op::Housekeep => {
                let _ = self.spool.housekeep();
                let start = self.spool.start(0).unwrap();
                assert!(start <= self.stored.next, "retention took what a reader had not passed");
            }
            Op::Read { from, rows, bytes } => self.read(*from, *rows, *bytes),
            Op::Clock { seconds } => self.clock.advance(Duration::from_secs(u64::from(*seconds))),
            Op::Fail { on, after, times } => {
                let all =
                    [FaultOn::Write, FaultOn::Sync, FaultOn::Name, FaultOn::Create, FaultOn::SetLen, FaultOn::Read];
                let (on, error) = (all[usize::from(*on)], std::io::ErrorKind::Other);
                self.disk.inject(Fault { on, after: u32::from(*after), times: u32::from(*times), error });
            }
            Op::NewWriter => {
                self.writer = None;
                self.buffered.clear();
                self.writer = self.spool.writer(0).ok();
            }
            Op::Limit { room } => self.disk.set_capacity(Some(self.disk.used() + u64::from(*room))),
            Op::Crash => {
                self.disk.crash();
                self.reopen(false);
            }
            Op::Kill => {
                self.disk.kill();
                self.reopen(true);
            }
            Op::Close => {
                self.writer = None;
                self.buffered.clear();
                let _ = self.spool.close();
                self.synced = self.spool.watermarks(0).unwrap().synced();
                self.settle(self.synced);
                self.disk.kill();
                self.reopen(true);
            }
        }
    }

    fn append(&mut self, sizes: &[u16], keyed: bool) {
        let Some(writer) = &mut self.writer else { return };
        self.serial += 1;
        let body = |i: usize, size: u16| {
            let mut b = format!("{}/{i}:", self.serial).into_bytes();
            b.resize(b.len() + usize::from(size), u8::try_from(self.serial % 251).unwrap());
            b
        };
        let bodies: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(i, s)| body(i, *s)).collect();
        let mut key = [0; 16];
        key[..4].copy_from_slice(&self.serial.to_le_bytes());
        let answer = format!("answer {}", self.serial).into_bytes();
        let keys = self.spool.keys().clone();
        let guard = keyed.then(|| match keys.begin(&key, &[7; 16]).unwrap() {
            Begin::New(guard) => guard,
            other => panic!("a fresh key was {other:?}"),
        });
        let records = group(&bodies);
        let g = Group { records: &records, key: guard.as_ref().map(KeyGuard::key), answer: &answer };
        if let Ok(range) = writer.append(&g) {
            let key = keyed.then_some((key, answer));
            let first = range.from;
            assert_eq!(range.len(), bodies.len() as u64);
            self.buffered.push(Placed { first, bodies, key, at: crate::time::Clock::now(&self.clock) });
        }
    }

    fn flush(&mut self) {
        let Some(writer) = &mut self.writer else { return };
        let written = match writer.flush() {
            Ok(()) => writer.watermarks().written(),
            Err(e) => e.written,
        };
        for group in self.buffered.drain(..) {
            if group.end() <= written {
                self.groups.push(group);
            }
        }
        assert_eq!(
            self.groups.last().map_or(self.truth.len() as u64, |g| g.end().max(self.truth.len() as u64)),
            written
        );
    }

    fn sync(&mut self) {
        let _ = self.spool.sync_now();
        let synced = self.spool.watermarks(0).unwrap().synced();
        assert!(synced >= self.synced);
        self.synced = synced;
        self.settle(synced);
    }

    /// Everything below `to` is promised: readers must see it for ever.
    fn settle(&mut self, to: Offset) {
        for group in &self.groups {
            if group.first >= self.truth.len() as u64 && group.end() <= to {
                assert_eq!(group.first, self.truth.len() as u64);
                self.truth.extend(group.bodies.iter().cloned().map(Some));
            }
        }
        assert_eq!(self.truth.len() as u64, to);
    }

    fn store(&mut self, back: u8, pin: u8) {
        let end = self.truth.len() as u64;
        let next = end.saturating_sub(u64::from(back)).max(self.stored.next);
        let pinned = (next + u64::from(pin)).min(end);
        let position = Position { next, pinned: (pinned > next).then_some(pinned), hint: u32::from(pin) };
        match block_on(self.reader.store(position)) {
            Ok(()) => self.stored = position,
            // The outcome of a failed store is unknown until it is read again; store the old one
            // over it. While the fault lasts, forget it by a kill as a process would.
            Err(_) => {
                self.disk.heal();
                block_on(self.reader.store(self.stored)).unwrap();
            }
        }
    }

    fn read(&mut self, from: u8, rows: u8, bytes: u16) {
        let (start, end) = (self.spool.start(0).unwrap(), self.truth.len() as u64);
        let from = start + u64::from(from) % (end - start + 1);
        let limits = Limits { rows: usize::from(rows), bytes: usize::from(bytes), ..limits() };
        let mut out = Records::new();
        let reason = match block_on(self.reader.read(from, &limits, &mut out)) {
            Ok(reason) => reason,
            Err(_) => {
                // Refused by the device; nothing is skipped, the next try gets it.
                self.disk.heal();
                block_on(self.reader.read(from, &limits, &mut out)).unwrap()
            }
        };
        let to = from + out.len() as u64;
        self.compare(&seen(&out), from, to);
        match reason {
            FlushReason::Rows => assert_eq!(out.len(), limits.rows),
            FlushReason::Bytes => assert!(out.len() == 1 || out.bytes() <= limits.bytes, "{out:?}"),
            _ => assert_eq!(to, end),
        }
    }

    fn compare(&self, got: &[Seen], from: Offset, to: Offset) {
        let want: Vec<Seen> = (from..to).map(|o| (o, self.truth[usize::try_from(o).unwrap()].clone())).collect();
        assert_eq!(got, want);
    }

    /// Opens again after everything stopped. `whole`: nothing written may be missing.
    fn reopen(&mut self, whole: bool) {
        self.writer = None;
        self.buffered.clear();
        let (spool, recovery) = Spool::open_with(self.disk.clone(), &dir(), self.options.clone()).unwrap();
        let report = &recovery.partitions[0];
        assert!(report.proof <= self.synced, "nothing is proven that was not synced: {report:?}");
        let (start, end) = (spool.start(0).unwrap(), spool.watermarks(0).unwrap().synced());
        let settled = self.truth.len() as u64;
        assert!(start <= self.stored.next && end >= settled, "{start} {end} {settled} {report:?}");
        let got = read_from(&spool, 0, start);
        assert_eq!(got.len() as u64, end - start);
        self.compare(&got[..usize::try_from(settled - start.min(settled)).unwrap()], start, settled);
        // Behind the promise: each group whole, or holes, or cut with all behind it.
        for group in self.groups.iter().filter(|g| g.first >= settled) {
            if group.first >= end {
                assert!(!whole, "a written group is missing: {group:?} {report:?}");
                continue;
            }
            assert!(group.end() <= end, "half of a group: {group:?} {report:?}");
            let at = usize::try_from(group.first - start).unwrap();
            let kept: Vec<_> = got[at..at + group.bodies.len()].iter().map(|(_, body)| body.clone()).collect();
            let same = kept.iter().zip(&group.bodies).all(|(k, b)| k.as_ref() == Some(b));
            assert!(same || (!whole && kept.iter().all(Option::is_none)), "torn: {group:?} {kept:?} {report:?}");
        }
        for (offset, body) in &got[usize::try_from(settled - start.min(settled)).unwrap()..] {
            assert_eq!(*offset, self.truth.len() as u64);
            self.truth.push(body.clone());
        }
        self.groups.retain(|g| g.end() <= end);
        self.synced = end;
        self.check_keys(&spool);
        self.writer = spool.writer(0).ok();
        self.reader = spool.reader(READER, 0).unwrap();
        assert_eq!(block_on(self.reader.position()).unwrap(), Some(self.stored));
        self.spool = spool;
    }

    fn check_keys(&self, spool: &Spool<SimDisk>) {
        let now = crate::time::Clock::now(&self.clock);
        for group in &self.groups {
            let Some((key, answer)) = &group.key else { continue };
            let there = self.truth[usize::try_from(group.first).unwrap()].is_some();
            let valid = group.at.plus(self.options.retention.keys_window) > now;
            match spool.keys().begin(key, &[7; 16]).unwrap() {
                Begin::Done(a) => {
                    assert!(there && valid, "an answer for what is not there");
                    assert_eq!((&*a.bytes, a.range.from, a.range.to), (&answer[..], group.first, group.end()));
                }
                Begin::New(_) => assert!(!there || !valid, "the key of {group:?} is forgotten"),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn run(seed: u64, ops: &[Op]) {
    let mut world = World::new(seed);
    ops.iter().for_each(|op| world.step(op));
    // However it ended, it opens, and again.
    world.step(&Op::Crash);
    world.step(&Op::Crash);
}

proptest! {
    // A few seconds here; PROPTEST_CASES=1000000 for a night.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(4_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_was_promised_survives_every_history(seed in any::<u64>(), ops in ops()) {
        run(seed, &ops);
    }
}
