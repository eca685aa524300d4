//! The folder: lock, rights, versions, identity, partitions, positions.

use super::*;
use crate::log::{LogError, Position};
use std::os::unix::fs::PermissionsExt;

fn real(dir: &std::path::Path) -> Result<(Spool<RealDisk>, Recovery), OpenError> {
    Spool::open_with(RealDisk, dir, options().0)
}

#[test]
fn a_second_owner_is_kept_out_until_the_first_is_done() {
    let tmp = tempfile::tempdir().unwrap();
    let (spool, _) = real(tmp.path()).unwrap();
    let error = real(tmp.path()).err().unwrap();
    assert!(matches!(error, OpenError::Locked { .. }));
    assert!(error.to_string().contains("in use by another process"), "{error}");
    // Any handle holds the folder.
    let writer = spool.writer(0).unwrap();
    drop(spool);
    assert!(real(tmp.path()).is_err());
    drop(writer);
    let (spool, _) = real(tmp.path()).unwrap();
    let (mut reader, mut writer) = (spool.reader("r", 0).unwrap(), spool.writer(0).unwrap());
    spool.close().unwrap();
    let (_second, _) = real(tmp.path()).unwrap();
    // Old handles touch nothing any more.
    let records = group(&["late"]);
    assert!(matches!(writer.append(&Group::plain(&records)), Err(AppendError::Failed(_))));
    assert!(matches!(block_on(reader.store(Position::default())), Err(LogError::Fenced(_))));
    assert!(matches!(spool.writer(0), Err(HandleError::Closed)));
}

#[test]
fn files_are_the_owners_alone() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("a/spool");
    let (spool, _) = real(&dir).unwrap();
    let _reader = spool.reader("r", 0).unwrap();
    let mode = |p: &std::path::Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("p-0000"))), (0o700, 0o700));
    let mut files = 0;
    for dir in [dir.clone(), dir.join("p-0000")] {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap).filter(|e| e.path().is_file()) {
            assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
            files += 1;
        }
    }
    assert_eq!(files, 5, "lock, spool.id, segment, position, noted watermark");
}

#[test]
fn what_a_newer_binary_wrote_is_refused_with_its_version() {
    let disk = SimDisk::new(1);
    let (spool, _) = open(&disk);
    append(&mut spool.writer(0).unwrap(), &["a"]);
    spool.close().unwrap();
    disk.kill();
    let refused = |disk: &SimDisk| Spool::open_with(disk.clone(), &dir(), options().0).err().unwrap().to_string();
    {
        let disk = disk.fork();
        let file = segment_files(&disk)[0].clone();
        let mut bytes = disk.content(&file).unwrap();
        bytes[8] = 9;
        let crc = crc32c::crc32c(&bytes[..60]).to_le_bytes();
        bytes[60..64].copy_from_slice(&crc);
        disk.damage(&file, bytes).unwrap();
        assert!(refused(&disk).contains("format version 9"), "{}", refused(&disk));
    }
    let id = dir().join("spool.id");
    let text = String::from_utf8(disk.content(&id).unwrap()).unwrap();
    let body: Vec<&str> = text.lines().next().unwrap().split(' ').collect();
    let body = format!("{} 7 {} {}", body[0], body[2], body[3]);
    let line = format!("{body} {:08x}\n", crc32c::crc32c(body.as_bytes()));
    disk.damage(&id, line.into_bytes()).unwrap();
    assert!(refused(&disk).contains("format version 7"), "{}", refused(&disk));
}

#[test]
fn a_lost_identity_is_an_error_and_a_damaged_line_of_it_is_not() {
    let disk = SimDisk::new(1);
    let (spool, _) = open(&disk);
    let name = spool.log_name().clone();
    append(&mut spool.writer(0).unwrap(), &["a"]);
    spool.close().unwrap();
    disk.kill();
    let id = dir().join("spool.id");
    let content = disk.content(&id).unwrap();
    for at in 0..content.len() {
        let disk = disk.fork();
        let mut damaged = content.clone();
        damaged[at] ^= 4;
        disk.damage(&id, damaged).unwrap();
        assert_eq!(open(&disk).0.log_name(), &name);
    }
    let failed = |disk: &SimDisk| Spool::open_with(disk.clone(), &dir(), options().0).err().unwrap();
    let wiped = disk.fork();
    wiped.damage(&id, Vec::new()).unwrap();
    assert!(matches!(failed(&wiped), OpenError::Identity { .. }));
    let missing = disk.fork();
    missing.remove(&id).unwrap();
    assert!(matches!(failed(&missing), OpenError::Identity { .. }));
    // Another spool's segment is not served under this one's name.
    let other = SimDisk::new(2);
    append(&mut open(&other).0.writer(0).unwrap(), &["b"]);
    let file = segment_files(&disk)[0].clone();
    disk.damage(&file, other.content(&file).unwrap()).unwrap();
    assert!(matches!(failed(&disk), OpenError::Foreign { .. }));
}

#[test]
fn more_partitions_come_and_fewer_stay_readable() {
    let disk = SimDisk::new(1);
    let open = |n| {
        disk.kill();
        Spool::open_with(disk.clone(), &dir(), SpoolOptions { partitions: n, ..options().0 }).unwrap().0
    };
    let spool = open(1);
    append(&mut spool.writer(0).unwrap(), &["zero"]);
    spool.sync_now().unwrap();
    let spool = open(3);
    assert_eq!(spool.partitions(), [0, 1, 2]);
    append(&mut spool.writer(2).unwrap(), &["two"]);
    spool.sync_now().unwrap();
    let spool = open(1);
    assert_eq!(spool.partitions(), [0, 1, 2]);
    assert_eq!(read_from(&spool, 0, 0), [(0, Some(b"zero".to_vec()))]);
    assert_eq!(read_from(&spool, 2, 0), [(0, Some(b"two".to_vec()))]);
    assert!(Spool::open_with(SimDisk::new(1), &dir(), SpoolOptions { partitions: 0, ..options().0 }).is_err());
}

/// A spool with ten records and a reader whose position was stored a few times.
fn with_position() -> (SimDisk, Position, PathBuf) {
    let disk = SimDisk::new(1);
    let (spool, _) = open(&disk);
    append(&mut spool.writer(0).unwrap(), &["x"; 10]);
    spool.sync_now().unwrap();
    let mut reader = spool.reader("balances", 0).unwrap();
    for next in 1..=5 {
        block_on(reader.store(Position { next, pinned: Some(next + 3), hint: 0 })).unwrap();
    }
    disk.kill();
    (disk, Position { next: 5, pinned: Some(8), hint: 0 }, dir().join("p-0000/balances.pos"))
}

fn position(disk: &SimDisk) -> Result<Position, LogError> {
    block_on(open(disk).0.reader("balances", 0).unwrap().position()).map(Option::unwrap)
}

#[test]
fn a_position_outlives_any_one_damaged_byte() {
    let (disk, stored, file) = with_position();
    let content = disk.content(&file).unwrap();
    assert_eq!(content.len(), 4 * 4096);
    for at in (0..content.len()).filter(|at| at % 4096 < 60) {
        let disk = disk.fork();
        let mut damaged = content.clone();
        damaged[at] ^= 0x80;
        disk.damage(&file, damaged).unwrap();
        assert_eq!(position(&disk).unwrap(), stored, "byte {at}");
    }
}

#[test]
fn a_torn_store_leaves_the_old_position_or_the_new_one() {
    let (disk, stored, file) = with_position();
    let before = disk.content(&file).unwrap();
    let new = Position::at(8);
    block_on(open(&disk).0.reader("balances", 0).unwrap().store(new)).unwrap();
    let after = disk.content(&file).unwrap();
    let changed: Vec<usize> = (0..before.len()).filter(|&i| before[i] != after[i]).collect();
    let first = changed[0] / 4096 * 4096;
    disk.kill();
    let mut news = 0;
    for cut in 0..=56 {
        let disk = disk.fork();
        let mut torn = before.clone();
        torn[first..first + cut].copy_from_slice(&after[first..first + cut]);
        disk.damage(&file, torn).unwrap();
        let got = position(&disk).unwrap();
        assert!(got == stored || got == new, "{got:?}");
        news += usize::from(got == new);
    }
    assert!(news > 0);
}

#[test]
fn an_unreadable_position_is_an_error_and_never_a_new_start() {
    let (disk, _, file) = with_position();
    disk.damage(&file, vec![0xAB; 4 * 4096]).unwrap();
    let (spool, recovery) = open(&disk);
    assert_eq!(recovery.partitions[0].damaged_positions, 1);
    let mut reader = spool.reader("balances", 0).unwrap();
    assert!(matches!(block_on(reader.position()), Err(LogError::Position { .. })));
    assert!(matches!(block_on(reader.store(Position::default())), Err(LogError::Position { .. })));
    assert!(spool.usage().partitions[0].readers[0].position.is_err());
    // It holds retention back, until it is retired by command.
    assert_eq!(spool.housekeep().unwrap(), 0);
    assert!(spool.retire_reader("balances").unwrap());
    let mut reader = spool.reader("balances", 0).unwrap();
    assert_eq!(block_on(reader.position()).unwrap(), Some(Position::at(0)));
}

#[test]
fn reading_past_the_end_is_an_error_and_not_a_wait() {
    let (disk, ..) = with_position();
    let (spool, _) = open(&disk);
    let read = block_on(spool.viewer(0).unwrap().read(11, &limits(), &mut Records::new()));
    assert!(matches!(read, Err(LogError::Position { .. })));
    assert!(matches!(spool.reader("../etc", 0), Err(HandleError::Name(_))));
}
