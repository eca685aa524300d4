//! Quota, reserve, and a disk that is full all the same.

use super::*;
use crate::log::Position;

fn fill(writer: &mut Writer<SimDisk>) -> u64 {
    let buf = group(&["x".repeat(500)]);
    loop {
        match writer.append(&Group::plain(&buf)) {
            Ok(_) => writer.flush().unwrap(),
            Err(AppendError::Full { .. }) => return writer.watermarks().written(),
            Err(e) => panic!("{e}"),
        }
    }
}

#[test]
fn a_spool_at_its_quota_refuses_appends_and_recovers_as_readers_move_on() {
    let disk = SimDisk::new(1);
    let (mut options, _) = options();
    options.settings.max_bytes = 64 << 10;
    let (spool, _) = Spool::open_with(disk.clone(), &dir(), options.clone()).unwrap();
    let mut fast = spool.reader("fast", 0).unwrap();
    let mut slow = spool.reader("slow", 0).unwrap();
    let mut writer = spool.writer(0).unwrap();
    let end = fill(&mut writer);
    assert!(spool.usage().full && spool.usage().bytes <= 64 << 10);
    spool.sync_now().unwrap();
    let position = |next| Position::at(next);
    block_on(fast.store(position(end))).unwrap();
    assert_eq!(spool.housekeep().unwrap(), 0, "the slow reader has not moved");
    assert_eq!(fill(&mut writer), end);
    block_on(slow.store(position(end / 2))).unwrap();
    let removed = spool.housekeep().unwrap();
    assert!(removed > 0 && spool.start(0).unwrap() <= end / 2);
    let further = fill(&mut writer);
    assert!(further > end);
    assert_eq!(read_from(&spool, 0, spool.start(0).unwrap()).len() as u64, end - spool.start(0).unwrap());
    assert!(matches!(
        block_on(spool.viewer(0).unwrap().read(0, &limits(), &mut Records::new())),
        Err(crate::log::LogError::Gap { wanted: 0, .. })
    ));
    // A slow reader that is retired holds nothing back, also not after a restart.
    spool.sync_now().unwrap();
    block_on(fast.store(position(further))).unwrap();
    assert!(spool.retire_reader("slow").unwrap());
    assert!(spool.housekeep().unwrap() > 0);
    disk.crash();
    let (spool, _) = Spool::open_with(disk, &dir(), options).unwrap();
    assert_eq!(spool.usage().partitions[0].readers.len(), 1);
    assert_eq!(spool.usage().bytes, spool.usage().partitions[0].bytes);
}

#[test]
fn one_group_that_fills_the_quota_goes_when_it_is_read() {
    let disk = SimDisk::new(1);
    let (mut options, _) = options();
    options.settings.max_bytes = 40 << 10;
    let (spool, _) = Spool::open_with(disk, &dir(), options).unwrap();
    let mut reader = spool.reader("only", 0).unwrap();
    let mut writer = spool.writer(0).unwrap();
    append(&mut writer, &[&"x".repeat(39 << 10)]);
    let more = group(&["y".repeat(2000)]);
    assert!(matches!(writer.append(&Group::plain(&more)), Err(AppendError::Full { .. })));
    spool.sync_now().unwrap();
    block_on(reader.store(Position::at(1))).unwrap();
    // Asks for a new segment; the next try begins one; then the old one can go.
    spool.housekeep().unwrap();
    assert!(writer.append(&Group::plain(&more)).is_err());
    spool.sync_now().unwrap();
    assert_eq!(spool.housekeep().unwrap(), 1);
    assert_eq!(writer.append(&Group::plain(&more)).unwrap().from, 1);
}

#[test]
fn the_reserve_is_left_free() {
    let disk = SimDisk::new(1);
    let (mut options, _) = options();
    options.settings.reserve_bytes = 10_000;
    let (spool, _) = Spool::open_with(disk.clone(), &dir(), options).unwrap();
    disk.set_capacity(Some(disk.used() + 50_000));
    fill(&mut spool.writer(0).unwrap());
    let free = disk.free(&dir()).unwrap();
    assert!((9_900..12_000).contains(&free), "{free}");
    assert!(spool.usage().full);
}

#[test]
fn on_a_full_device_appends_fail_whole_and_positions_are_stored() {
    let disk = SimDisk::new(1);
    let (spool, _) = open(&disk);
    let mut writer = spool.writer(0).unwrap();
    let mut reader = spool.reader("statistics", 0).unwrap();
    append(&mut writer, &["kept"]);
    spool.sync_now().unwrap();
    // Other programs fill the device between the check and the write.
    let buf = group(&["x".repeat(300)]);
    for _ in 0..3 {
        writer.append(&Group::plain(&buf)).unwrap();
    }
    disk.set_capacity(Some(disk.used() + 500));
    let error = writer.flush().unwrap_err();
    assert!(error.full && error.written == 1, "{error}");
    disk.set_capacity(Some(disk.used()));
    block_on(reader.store(Position::at(1))).unwrap();
    // It opens on the full disk, and nothing of the refused groups has stayed.
    disk.crash();
    let (spool, recovery) = open(&disk);
    assert_eq!(recovery.partitions[0].cut_bytes, 0);
    assert_eq!(read_from(&spool, 0, 0), [(0, Some(b"kept".to_vec()))]);
    let mut reader = spool.reader("statistics", 0).unwrap();
    assert_eq!(block_on(reader.position()).unwrap().unwrap().next, 1);
    assert!(spool.writer(0).unwrap().append(&Group::plain(&buf)).is_err());
    disk.set_capacity(None);
    assert_eq!(append(&mut spool.writer(0).unwrap(), &["next"]).from, 1);
}

#[test]
fn a_group_larger_than_a_segment_gets_one_of_its_own_and_too_large_a_one_is_refused() {
    let disk = SimDisk::new(1);
    let (spool, _) = open(&disk);
    let mut writer = spool.writer(0).unwrap();
    append(&mut writer, &["small"]);
    append(&mut writer, &[&"x".repeat(5000), &"y".repeat(5000)]);
    append(&mut writer, &["after"]);
    assert_eq!(segment_files(&disk).len(), 3);
    let buf = group(&["z".repeat(64 << 10)]);
    assert!(matches!(writer.append(&Group::plain(&buf)), Err(AppendError::TooLarge { max: 65536, .. })));
    assert!(matches!(writer.append(&Group::plain(&GroupBuf::new())), Err(AppendError::Empty)));
    spool.sync_now().unwrap();
    assert_eq!(read_from(&spool, 0, 0).len(), 4);
}

#[test]
fn a_full_spool_recovers_by_itself_on_a_real_disk() {
    let tmp = tempfile::tempdir().unwrap();
    let (mut options, _) = options();
    options.settings.max_bytes = 64 << 10;
    options.syncing = Syncing::Background;
    let (spool, _) = Spool::open_with(RealDisk, tmp.path(), options).unwrap();
    let mut reader = spool.reader("only", 0).unwrap();
    let mut writer = spool.writer(0).unwrap();
    let marks = writer.watermarks();
    let buf = group(&["x".repeat(500)]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        while writer.append(&Group::plain(&buf)).is_ok() {
            writer.flush().unwrap();
        }
        let end = marks.written();
        marks.wait_synced(end).await.unwrap();
        reader.store(Position::at(end)).await.unwrap();
        // What a client does with Retry-After, only faster; the test's own time limit ends it.
        while writer.append(&Group::plain(&buf)).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(spool.start(0).unwrap() > 0);
}

#[test]
fn age_keeps_what_is_read_and_drops_what_is_not() {
    let disk = SimDisk::new(1);
    let (mut options, clock) = options();
    options.retention.min_age = Duration::from_secs(100);
    options.retention.max_age = Some(Duration::from_secs(1000));
    let (spool, _) = Spool::open_with(disk, &dir(), options).unwrap();
    let mut reader = spool.reader("fast", 0).unwrap();
    let mut writer = spool.writer(0).unwrap();
    for _ in 0..20 {
        append(&mut writer, &[&"x".repeat(500)]);
    }
    spool.sync_now().unwrap();
    block_on(reader.store(Position::at(10))).unwrap();
    assert_eq!(spool.housekeep().unwrap(), 0, "too young");
    clock.advance(Duration::from_secs(100));
    assert!(spool.housekeep().unwrap() > 0);
    let start = spool.start(0).unwrap();
    assert!((1..=10).contains(&start), "{start}");
    clock.advance(Duration::from_secs(900));
    assert!(spool.housekeep().unwrap() > 0, "too old to wait for a reader");
    assert!(spool.start(0).unwrap() > 10);
    let gap = block_on(reader.read(10, &limits(), &mut Records::new()));
    assert!(matches!(gap, Err(crate::log::LogError::Gap { wanted: 10, .. })));
}

fn error_on(disk: &SimDisk, on: FaultOn) {
    disk.inject(Fault { on, after: 0, times: 1, error: std::io::ErrorKind::Other });
}

#[test]
fn a_segment_that_could_not_be_made_takes_no_offsets_from_the_others() {
    for on in [FaultOn::Write, FaultOn::Create] {
        let disk = SimDisk::new(1);
        let (spool, _) = open(&disk);
        let mut writer = spool.writer(0).unwrap();
        append(&mut writer, &[&"x".repeat(1500)]);
        // Needs a new segment, whose header is not written: an empty file named 1 stays.
        writer.append(&Group::plain(&group(&["y".repeat(1500)]))).unwrap();
        error_on(&disk, on);
        assert!(writer.flush().is_err());
        // Would fit into the old segment.
        append(&mut writer, &["small"]);
        spool.sync_now().unwrap();
        disk.kill();
        let (spool, _) = open(&disk);
        assert_eq!(read_from(&spool, 0, 1), [(1, Some(b"small".to_vec()))], "{on:?}");
    }
}

#[test]
fn a_segment_that_could_not_be_removed_leaves_no_hole_behind_it() {
    let disk = SimDisk::new(1);
    let (spool, _) = open(&disk);
    let mut writer = spool.writer(0).unwrap();
    let mut reader = spool.reader("only", 0).unwrap();
    for _ in 0..5 {
        append(&mut writer, &[&"x".repeat(1500)]);
    }
    spool.sync_now().unwrap();
    block_on(reader.store(Position::at(5))).unwrap();
    error_on(&disk, FaultOn::Name);
    assert!(spool.housekeep().is_err());
    assert_eq!(spool.housekeep().unwrap(), 4);
    disk.kill();
    let (spool, recovery) = open(&disk);
    assert_eq!((spool.start(0).unwrap(), recovery.partitions[0].missing_offsets), (4, 0));
}

#[test]
fn a_segment_begun_on_the_last_bytes_of_the_disk_does_without_its_header() {
    let disk = SimDisk::new(1);
    let (spool, _) = open(&disk);
    let mut writer = spool.writer(0).unwrap();
    append(&mut writer, &[&"x".repeat(1500)]);
    append(&mut writer, &[&"y".repeat(1500)]);
    spool.sync_now().unwrap();
    drop(writer);
    disk.kill();
    // The last segment's content is lost by a power cut, and its room by another program.
    let last = segment_files(&disk)[1].clone();
    disk.damage(&last, Vec::new()).unwrap();
    disk.damage(&last.with_file_name("synced"), Vec::new()).unwrap();
    disk.set_capacity(Some(disk.used()));
    let (spool, _) = open(&disk);
    assert_eq!(read_from(&spool, 0, 0).len(), 1);
    disk.set_capacity(None);
    assert_eq!(append(&mut spool.writer(0).unwrap(), &["next"]).from, 1);
    spool.sync_now().unwrap();
    disk.crash();
    assert_eq!(read_from(&open(&disk).0, 0, 1), [(1, Some(b"next".to_vec()))]);
}
