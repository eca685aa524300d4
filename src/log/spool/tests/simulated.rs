//! The simulated disk itself: it must be able to do everything that a power cut can.

use super::*;

/// What is left of a file of 2000 synced and 3 x 600 unsynced bytes, over many seeds.
fn outcomes() -> Vec<Vec<u8>> {
    let path = dir().join("f");
    let outcome = |seed| {
        let disk = SimDisk::new(seed);
        disk.create_dir_all(&dir()).unwrap();
        let file = disk.open(&path, Open::Create).unwrap();
        file.write_at(&[1; 2000], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(&dir()).unwrap();
        for i in 0..3 {
            file.write_at(&[2; 600], 2000 + i * 600).unwrap();
        }
        disk.crash();
        assert!(file.len().is_err(), "handles die with the process");
        disk.content(&path).unwrap()
    };
    (0..300).map(outcome).collect()
}

#[test]
fn a_power_cut_loses_tears_scatters_or_keeps_what_was_not_synced() {
    let all = outcomes();
    assert!(all.iter().all(|c| c[..2000] == [1; 2000]), "synced bytes stay");
    let any = |f: &dyn Fn(&[u8]) -> bool| all.iter().any(|c| f(&c[2000..]));
    assert!(any(&|tail| tail.is_empty()));
    assert!(any(&|tail| tail == [2; 1800]));
    assert!(any(&|tail| tail.len() % 600 != 0 && tail.iter().all(|&b| b == 2)), "torn inside a write");
    assert!(any(&|tail| tail.contains(&0) && tail.ends_with(&[2])), "out of order");
    assert_eq!(all, outcomes(), "a seed replays");
}

#[test]
fn names_are_durable_after_the_folder_is_synced_and_maybe_before() {
    let left = |seed, sync: bool| {
        let disk = SimDisk::new(seed);
        disk.create_dir_all(&dir()).unwrap();
        for name in ["a", "b"] {
            disk.open(&dir().join(name), Open::Create).unwrap();
        }
        if sync {
            disk.sync_dir(&dir()).unwrap();
        }
        disk.rename(&dir().join("a"), &dir().join("c")).unwrap();
        disk.crash();
        let mut names = disk.list(&dir()).unwrap();
        names.sort();
        names.concat()
    };
    let all = |sync| (0..100).map(|seed| left(seed, sync)).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(all(true), ["ab", "bc"].map(String::from).into());
    assert_eq!(all(false), ["", "a", "ab", "bc"].map(String::from).into());
}

#[test]
fn a_failed_sync_drops_what_it_should_have_kept_and_hides_it() {
    let path = dir().join("f");
    let mut lost = 0;
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        disk.create_dir_all(&dir()).unwrap();
        let file = disk.open(&path, Open::Create).unwrap();
        disk.sync_dir(&dir()).unwrap();
        file.write_at(b"data", 0).unwrap();
        disk.inject(Fault { on: FaultOn::Sync, after: 0, times: 1, error: std::io::ErrorKind::Other });
        assert!(file.sync_data().is_err());
        assert!(file.sync_data().is_ok(), "the second sync finds nothing to do");
        assert_eq!(disk.content(&path).unwrap(), b"data");
        disk.crash();
        lost += usize::from(disk.content(&path).unwrap().is_empty());
    }
    assert_eq!(lost, 20);
}

#[test]
fn a_full_disk_takes_what_fits_and_a_removed_file_gives_its_space_back() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(&dir()).unwrap();
    let file = disk.open(&dir().join("f"), Open::Create).unwrap();
    disk.set_capacity(Some(10));
    assert_eq!(file.write_at(&[1; 16], 0).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    assert_eq!((file.len().unwrap(), disk.free(&dir()).unwrap()), (10, 0));
    file.write_at(&[2; 10], 0).unwrap();
    disk.remove(&dir().join("f")).unwrap();
    disk.sync_dir(&dir()).unwrap();
    assert_eq!(disk.free(&dir()).unwrap(), 0, "still open");
    drop(file);
    assert_eq!(disk.free(&dir()).unwrap(), 10);
}

#[test]
fn what_a_dead_process_still_does_reaches_no_disk() {
    let disk = SimDisk::new(1);
    let (spool, _) = open(&disk);
    let mut writer = spool.writer(0).unwrap();
    append(&mut writer, &["a"]);
    spool.sync_now().unwrap();
    disk.kill();
    let (again, _) = open(&disk);
    let before: Vec<Vec<u8>> = disk.files().iter().map(|f| disk.content(f).unwrap()).collect();
    writer.append(&Group::plain(&group(&["ghost"]))).unwrap();
    assert!(writer.flush().is_err());
    assert!(spool.sync_now().is_err() && spool.close().is_err());
    assert!(disk.clone().lock(&dir().join("lock")).unwrap().is_none(), "the lock is the new process's");
    let after: Vec<Vec<u8>> = disk.files().iter().map(|f| disk.content(f).unwrap()).collect();
    assert_eq!(before, after);
    append(&mut again.writer(0).unwrap(), &["b"]);
}
