//! What a spool does on a good day.

use super::*;
use crate::log::{LogError, Position, Range};

#[test]
fn readers_see_what_is_synced_and_nothing_else() {
    let disk = SimDisk::new(1);
    let (spool, _) = open(&disk);
    let mut writer = spool.writer(0).unwrap();
    let range = writer.append(&Group::plain(&group(&["a", "b"]))).unwrap();
    assert_eq!(range, Range { from: 0, to: 2 });
    assert_eq!(read_from(&spool, 0, 0), []);
    writer.flush().unwrap();
    assert_eq!((writer.watermarks().written(), writer.watermarks().synced()), (2, 0));
    assert_eq!(read_from(&spool, 0, 0), []);
    spool.sync_now().unwrap();
    assert_eq!(read_from(&spool, 0, 0), [(0, Some(b"a".to_vec())), (1, Some(b"b".to_vec()))]);
}

#[test]
fn a_clean_end_loses_nothing_and_needs_no_repair() {
    let disk = SimDisk::new(2);
    let (spool, recovery) = open(&disk);
    assert!(recovery.is_clean());
    let mut writer = spool.writer(0).unwrap();
    for i in 0..200 {
        append(&mut writer, &[&format!("record {i}"), "second"]);
    }
    drop(writer);
    spool.close().unwrap();
    assert!(segment_files(&disk).len() > 3);
    disk.kill();
    let (again, recovery) = open(&disk);
    assert!(recovery.is_clean(), "{recovery:?}");
    assert_eq!(again.log_name(), spool.log_name());
    let all = read_from(&again, 0, 0);
    assert_eq!(all.len(), 400);
    assert!(all.iter().enumerate().all(|(i, (offset, body))| {
        let want = if i % 2 == 0 { format!("record {}", i / 2) } else { "second".to_owned() };
        *offset == i as u64 && body.as_deref() == Some(want.as_bytes())
    }));
    // From anywhere, also in the middle of a group.
    for from in [1, 77, 200, 399, 400] {
        let all = read_from(&again, 0, from);
        assert_eq!((all.len(), all.first().map_or(from, |r| r.0)), (400 - usize::try_from(from).unwrap(), from));
    }
    let mut writer = again.writer(0).unwrap();
    assert_eq!(append(&mut writer, &["x"]).from, 400);
}

#[test]
fn a_clean_end_is_known_as_such_after_a_power_cut() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let (spool, _) = open(&disk);
        append(&mut spool.writer(0).unwrap(), &["a", "b"]);
        spool.close().unwrap();
        disk.crash();
        let (_spool, recovery) = open(&disk);
        assert!(recovery.is_clean());
        assert_eq!((recovery.partitions[0].proof, recovery.partitions[0].end), (2, 2));
    }
}

#[test]
fn the_limits_of_a_read_are_kept_to_the_record() {
    let disk = SimDisk::new(3);
    let (spool, _) = open(&disk);
    let mut writer = spool.writer(0).unwrap();
    for _ in 0..10 {
        append(&mut writer, &["0123456789"; 10]);
    }
    spool.sync_now().unwrap();
    let mut log = spool.viewer(0).unwrap();
    let mut out = Records::new();
    let mut read = |from, limits: Limits| {
        let reason = block_on(log.read(from, &limits, &mut out)).unwrap();
        (reason, out.range().unwrap_or(Range { from, to: from }))
    };
    let range = |from, to| Range { from, to };
    assert_eq!(read(0, Limits { rows: 13, ..limits() }), (FlushReason::Rows, range(0, 13)));
    assert_eq!(read(13, Limits { rows: 4, ..limits() }), (FlushReason::Rows, range(13, 17)));
    assert_eq!(read(17, Limits { bytes: 35, ..limits() }), (FlushReason::Bytes, range(17, 20)));
    assert_eq!(read(20, Limits { bytes: 30, ..limits() }), (FlushReason::Bytes, range(20, 23)));
    assert_eq!(read(23, Limits { bytes: 3, ..limits() }), (FlushReason::Bytes, range(23, 24)));
    assert_eq!(read(24, Limits { end: Some(31), ..limits() }), (FlushReason::End, range(24, 31)));
    assert_eq!(read(31, Limits { end: Some(31), ..limits() }), (FlushReason::End, range(31, 31)));
    assert_eq!(read(90, Limits { age: Duration::from_secs(5), ..limits() }), (FlushReason::Age, range(90, 100)));
    assert_eq!(read(100, Limits { idle: Duration::from_secs(5), ..limits() }), (FlushReason::Idle, range(100, 100)));
}

#[test]
fn a_waiting_reader_is_woken_by_the_sync() {
    let disk = SimDisk::new(4);
    let (spool, _) = open(&disk);
    let mut log = spool.viewer(0).unwrap();
    let mut writer = spool.writer(0).unwrap();
    let limits = Limits { idle: Duration::from_secs(3600), rows: 3, age: Duration::from_secs(3600), ..limits() };
    block_on(async {
        let mut out = Records::new();
        let began = tokio::time::Instant::now();
        let write = async {
            append(&mut writer, &["a"]);
            tokio::task::yield_now().await;
            spool.sync_now().unwrap();
            tokio::task::yield_now().await;
            append(&mut writer, &["b", "c"]);
            spool.sync_now().unwrap();
        };
        let (reason, ()) = tokio::join!(log.read(0, &limits, &mut out), write);
        assert_eq!((reason.unwrap(), out.len()), (FlushReason::Rows, 3));
        assert_eq!(began.elapsed(), Duration::ZERO, "woken, not timed out");
    });
}

#[test]
fn a_reader_that_gathers_goes_on_at_once_when_somebody_waits_for_kafka() {
    // The one who waits comes before the record is readable, or while the reader has it already.
    for readable in [false, true] {
        let disk = SimDisk::new(5);
        let (spool, _) = open(&disk);
        let mut writer = spool.writer(0).unwrap();
        append(&mut writer, &["a"]);
        let marks = writer.watermarks();
        let mut log = spool.viewer(0).unwrap();
        let day = Duration::from_secs(86_400);
        let gather = Limits { age: day, idle: day, ..limits() };
        let mut records = Records::new();
        block_on(async {
            if readable {
                spool.sync_now().unwrap();
            }
            let began = tokio::time::Instant::now();
            let mut read = Box::pin(log.read(0, &gather, &mut records));
            assert!(futures::poll!(&mut read).is_pending(), "nobody is in a hurry yet");
            let mut wait = Box::pin(marks.wait_replicated(1));
            assert!(futures::poll!(&mut wait).is_pending());
            spool.sync_now().unwrap();
            assert!(futures::poll!(&mut wait).is_pending());
            assert_eq!(read.await.unwrap(), FlushReason::Asked);
            assert_eq!(began.elapsed(), Duration::ZERO);
            marks.set_replicated(1);
            wait.await.unwrap();
        });
        assert_eq!(seen(&records), [(0, Some(b"a".to_vec()))]);
        // What comes after it is in no hurry.
        append(&mut writer, &["b"]);
        spool.sync_now().unwrap();
        let mut records = Records::new();
        block_on(async {
            let read = log.read(1, &gather, &mut records);
            assert!(tokio::time::timeout(Duration::from_secs(60), read).await.is_err());
        });
    }
}

#[test]
fn a_range_whose_end_is_given_waits_for_it_however_urgent_it_is() {
    let disk = SimDisk::new(6);
    let (spool, _) = open(&disk);
    let mut writer = spool.writer(0).unwrap();
    append(&mut writer, &["a"]);
    let marks = writer.watermarks();
    let mut log = spool.viewer(0).unwrap();
    let mut records = Records::new();
    block_on(async {
        let mut wait = Box::pin(marks.wait_replicated(1));
        assert!(futures::poll!(&mut wait).is_pending());
        spool.sync_now().unwrap();
        let minute = Duration::from_secs(60);
        let pinned = Limits { age: minute, idle: minute, end: Some(2), ..limits() };
        let mut read = Box::pin(log.read(0, &pinned, &mut records));
        assert!(futures::poll!(&mut read).is_pending(), "it sleeps");
        append(&mut writer, &["b"]);
        spool.sync_now().unwrap();
        assert_eq!(read.await.unwrap(), FlushReason::End);
    });
    assert_eq!(records.len(), 2);
}

#[test]
fn positions_survive_and_a_second_owner_fences_the_first() {
    let disk = SimDisk::new(5);
    let (spool, _) = open(&disk);
    append(&mut spool.writer(0).unwrap(), &["a", "b", "c"]);
    spool.sync_now().unwrap();
    let mut first = spool.reader("statistics", 0).unwrap();
    assert_eq!(block_on(first.position()).unwrap(), Some(Position::at(0)));
    let stored = Position { next: 1, pinned: Some(3), hint: u32::MAX };
    block_on(first.store(stored)).unwrap();
    let mut second = spool.reader("statistics", 0).unwrap();
    assert_eq!(block_on(second.position()).unwrap(), Some(stored));
    assert!(matches!(block_on(first.store(Position::at(3))), Err(LogError::Fenced(_))));
    disk.crash();
    let (spool, _) = open(&disk);
    assert_eq!(block_on(spool.reader("statistics", 0).unwrap().position()).unwrap(), Some(stored));
    assert!(spool.retire_reader("statistics").unwrap());
    assert!(!spool.retire_reader("statistics").unwrap());
}

#[test]
fn a_partition_has_one_writer() {
    let disk = SimDisk::new(6);
    let (spool, _) = open(&disk);
    let writer = spool.writer(0).unwrap();
    assert!(matches!(spool.writer(0), Err(HandleError::Taken(0))));
    drop(writer);
    assert!(spool.writer(0).is_ok());
    assert!(matches!(spool.writer(1), Err(HandleError::Partition(1))));
}

#[test]
fn the_background_thread_syncs_on_a_real_disk() {
    let tmp = tempfile::tempdir().unwrap();
    let mut options = SpoolOptions { syncing: Syncing::Background, partitions: 2, ..options().0 };
    // The interval never comes: whoever waits has it done at once.
    options.settings.sync_interval = Duration::from_secs(100_000);
    let (spool, _) = Spool::open_with(RealDisk, tmp.path(), options.clone()).unwrap();
    let mut writer = spool.writer(1).unwrap();
    append(&mut writer, &["a", "b"]);
    let marks = writer.watermarks();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(marks.wait_synced(2)).unwrap();
    let mut log = spool.viewer(1).unwrap();
    let mut out = Records::new();
    runtime.block_on(log.read(0, &limits(), &mut out)).unwrap();
    assert_eq!(seen(&out), [(0, Some(b"a".to_vec())), (1, Some(b"b".to_vec()))]);
    // Also when the wait began before the write.
    runtime.block_on(async {
        writer.append(&Group::plain(&group(&["c"]))).unwrap();
        let mut wait = Box::pin(marks.wait_synced(3));
        assert!(futures::poll!(&mut wait).is_pending());
        // The thread has woken for it and found nothing to sync.
        while spool.inner.bell.has(super::super::watermarks::Ring::Now) {
            std::thread::yield_now();
        }
        writer.flush().unwrap();
        wait.await.unwrap();
    });
    drop((writer, log));
    spool.close().unwrap();
    let (again, recovery) = Spool::open_with(RealDisk, tmp.path(), options).unwrap();
    assert!(recovery.is_clean());
    assert_eq!(again.watermarks(1).unwrap().synced(), 3);
}
