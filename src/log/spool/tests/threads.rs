//! Real threads on a real disk, with redb as the second opinion; failed syncs.

use super::*;
use redb::{ReadableDatabase, TableDefinition};

const TABLE: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("records");

/// A small generator, so that a failure can be replayed from its seed.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = self.below(400);
        (0..len).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }
}

#[test]
fn redb_holds_the_same_after_every_reopen() {
    for seed in 0..6 {
        let mut random = Seeded(seed);
        let tmp = tempfile::tempdir().unwrap();
        let open = || Spool::open_with(RealDisk, &tmp.path().join("s"), SpoolOptions { partitions: 2, ..options().0 });
        let db = redb::Database::create(tmp.path().join("oracle.redb")).unwrap();
        let mut spool = open().unwrap().0;
        for _ in 0..6 {
            let mut writers = [spool.writer(0).unwrap(), spool.writer(1).unwrap()];
            let txn = db.begin_write().unwrap();
            {
                let mut table = txn.open_table(TABLE).unwrap();
                for _ in 0..random.below(60) {
                    let p = random.below(2);
                    let bodies: Vec<Vec<u8>> = (0..=random.below(5)).map(|_| random.bytes()).collect();
                    let writer = &mut writers[usize::try_from(p).unwrap()];
                    let range = writer.append(&Group::plain(&group(&bodies))).unwrap();
                    for (offset, body) in (range.from..range.to).zip(&bodies) {
                        table.insert((u32::try_from(p).unwrap(), offset), &body[..]).unwrap();
                    }
                    if random.below(3) == 0 {
                        writer.flush().unwrap();
                    }
                }
            }
            txn.commit().unwrap();
            writers.iter_mut().for_each(|w| w.flush().unwrap());
            drop(writers);
            drop(spool);
            spool = open().unwrap().0;
            let table = db.begin_read().unwrap().open_table(TABLE).unwrap();
            for p in 0..2 {
                let mut out = Records::new();
                block_on(spool.viewer(p).unwrap().read(0, &limits(), &mut out)).unwrap();
                let want: Vec<Seen> = table
                    .range((p, 0)..=(p, u64::MAX))
                    .unwrap()
                    .map(|row| row.map(|(k, v)| (k.value().1, Some(v.value().to_vec()))).unwrap())
                    .collect();
                assert_eq!(seen(&out), want, "seed {seed}");
            }
        }
    }
}

#[test]
fn writers_syncer_and_readers_agree_across_threads() {
    const GROUPS: u64 = 400;
    let tmp = tempfile::tempdir().unwrap();
    let mut options = SpoolOptions { partitions: 3, syncing: Syncing::Background, ..options().0 };
    options.settings.segment_bytes = 16 << 10;
    let (spool, _) = Spool::open_with(RealDisk, tmp.path(), options.clone()).unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    std::thread::scope(|scope| {
        for p in 0..3 {
            let mut writer = spool.writer(p).unwrap();
            scope.spawn(move || {
                let marks = writer.watermarks();
                let runtime = runtime();
                for i in 0..GROUPS {
                    let records = group(&[format!("{p}/{i}/a"), format!("{p}/{i}/b")]);
                    let range = writer.append(&Group::plain(&records)).unwrap();
                    writer.flush().unwrap();
                    if i % 40 == 0 {
                        runtime.block_on(marks.wait_synced(range.to)).unwrap();
                        assert!(marks.synced() >= range.to);
                    }
                }
            });
            let mut reader = spool.reader("reader", p).unwrap();
            let spool = spool.clone();
            scope.spawn(move || {
                let limits =
                    Limits { rows: 37, age: Duration::from_millis(5), idle: Duration::from_secs(60), ..limits() };
                let (mut out, mut next) = (Records::new(), 0);
                runtime().block_on(async {
                    while next < 2 * GROUPS {
                        reader.read(next, &limits, &mut out).await.unwrap();
                        for r in out.iter() {
                            let want = format!("{p}/{}/{}", r.offset / 2, ["a", "b"][usize::from(r.offset % 2 == 1)]);
                            assert_eq!(r.body, Ok(want.as_bytes()));
                        }
                        next = out.range().unwrap().to;
                        reader.store(crate::log::Position::at(next)).await.unwrap();
                        spool.housekeep().unwrap();
                    }
                });
            });
        }
    });
    spool.housekeep().unwrap();
    assert!((0..3).all(|p| spool.start(p).unwrap() > GROUPS), "what is read is gone");
    spool.close().unwrap();
    drop(spool);
    let (spool, recovery) = Spool::open_with(RealDisk, tmp.path(), options).unwrap();
    assert!(recovery.is_clean(), "{recovery:?}");
    assert!((0..3).all(|p| spool.watermarks(p).unwrap().synced() == 2 * GROUPS));
}

#[test]
fn a_failed_sync_ends_the_partition_and_is_never_taken_for_done() {
    for on_close in [false, true] {
        let disk = SimDisk::new(3);
        let (spool, _) = open(&disk);
        let mut writer = spool.writer(0).unwrap();
        append(&mut writer, &["synced"]);
        spool.sync_now().unwrap();
        append(&mut writer, &["dropped by the kernel"]);
        disk.inject(Fault { on: FaultOn::Sync, after: 0, times: 1, error: std::io::ErrorKind::Other });
        let marks = writer.watermarks();
        if on_close {
            assert!(spool.close().is_err());
        } else {
            let wait = block_on(async {
                let mut wait = Box::pin(marks.wait_synced(2));
                assert!(futures::poll!(&mut wait).is_pending());
                assert!(spool.sync_now().is_err());
                wait.await
            });
            assert!(wait.is_err());
            // The second sync would succeed and mean nothing.
            assert!(spool.sync_now().is_err());
        }
        assert_eq!(marks.synced(), 1);
        assert!(spool.usage().partitions[0].failed.is_some());
        let records = group(&["no"]);
        assert!(matches!(writer.append(&Group::plain(&records)), Err(AppendError::Failed(_))));
        assert_eq!(spool.inner.counters.sync_failures.get(), 1);
        // Reading goes on, to where it was durable.
        if !on_close {
            assert_eq!(read_from(&spool, 0, 0).len(), 1);
        }
        // Opened again in the same boot, the page cache still shows the record: once a reader may
        // see it, it must be on the device.
        disk.kill();
        let (again, _) = open(&disk);
        assert_eq!(read_from(&again, 0, 0).len(), 2);
        disk.crash();
        assert_eq!(read_from(&open(&disk).0, 0, 0).len(), 2, "seen once, so there for ever");
    }
}

#[test]
fn waiting_for_a_write_ends_with_the_flush_that_fails() {
    let disk = SimDisk::new(3);
    let (spool, _) = open(&disk);
    let mut writer = spool.writer(0).unwrap();
    let marks = writer.watermarks();
    block_on(async {
        let range = writer.append(&Group::plain(&group(&["a"]))).unwrap();
        let mut wait = Box::pin(marks.wait_written(range.to));
        assert!(futures::poll!(&mut wait).is_pending());
        disk.inject(Fault { on: FaultOn::Write, after: 0, times: 1, error: std::io::ErrorKind::Other });
        assert!(writer.flush().is_err());
        // Another request takes the offset; the first must not believe that it was its own.
        append(&mut writer, &["b"]);
        assert!(matches!(wait.await, Err(WaitError::NotWritten)));
        assert!(marks.wait_written(1).await.is_ok());
    });
}
