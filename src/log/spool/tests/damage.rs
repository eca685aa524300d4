//! Torn tails and flipped bits, at every byte.

use super::*;

/// A spool with one segment of a few groups, closed or killed; returns disk, file and records.
fn small(groups: &[&[&str]], closed: bool) -> (SimDisk, PathBuf, Vec<Vec<u8>>) {
    let disk = SimDisk::new(7);
    let (spool, _) = open(&disk);
    let mut writer = spool.writer(0).unwrap();
    for (i, bodies) in groups.iter().enumerate() {
        let (key, body) = ([u8::try_from(i).unwrap() + 1; 16], [9; 16]);
        let records = group(bodies);
        let key = GroupKey { key: &key, body: &body };
        writer.append(&Group { records: &records, key: Some(key), answer: b"accepted" }).unwrap();
        writer.flush().unwrap();
    }
    drop(writer);
    if closed {
        spool.close().unwrap();
    }
    disk.kill();
    let files = segment_files(&disk);
    assert_eq!(files.len(), 1);
    let all = groups.iter().flat_map(|g| g.iter().map(|b| b.as_bytes().to_vec())).collect();
    (disk, files[0].clone(), all)
}

const GROUPS: &[&[&str]] = &[
    &["first", "second record", ""],
    &["one alone"],
    &["x", "yy", "zzz", "a longer record than the others are"],
    &["last"],
];

/// First offset of each group, and the end.
fn bounds() -> Vec<u64> {
    let mut at = vec![0];
    GROUPS.iter().for_each(|g| at.push(at[at.len() - 1] + g.len() as u64));
    at
}

#[test]
fn a_tail_torn_at_any_byte_keeps_the_whole_groups_before_it() {
    let (disk, file, records) = small(GROUPS, false);
    let content = disk.content(&file).unwrap();
    let mut ends = std::collections::BTreeSet::new();
    for len in 0..=content.len() {
        // Cut short, or filled up with zeros as some file systems do.
        for zeros in [0, 1, 40, 700] {
            let disk = disk.fork();
            let mut torn = content[..len].to_vec();
            torn.resize(len + zeros, 0);
            disk.damage(&file, torn).unwrap();
            let (spool, recovery) = open(&disk);
            let got = read_from(&spool, 0, 0);
            let n = got.len();
            assert!(bounds().contains(&(n as u64)), "half a group at byte {len}: {recovery:?}");
            assert!(got.iter().zip(&records).all(|((_, got), want)| got.as_ref() == Some(want)));
            assert_eq!(append(&mut spool.writer(0).unwrap(), &["next"]).from, n as u64);
            spool.sync_now().unwrap();
            disk.crash();
            assert_eq!(read_from(&open(&disk).0, 0, 0).len(), n + 1);
            ends.insert(n);
        }
    }
    assert_eq!(ends.len(), GROUPS.len() + 1, "every group was cut and kept once");
}

#[test]
fn any_flipped_bit_costs_at_most_one_record_and_is_reported() {
    let (disk, file, records) = small(GROUPS, true);
    let content = disk.content(&file).unwrap();
    let (mut holes, mut lost_keys) = (0, 0);
    for at in 0..content.len() {
        for mask in [1u8, 2, 4, 8, 16, 32, 64, 128, 0xFF, content[at]].into_iter().filter(|&m| m != 0) {
            let disk = disk.fork();
            let mut damaged = content.clone();
            damaged[at] ^= mask;
            disk.damage(&file, damaged).unwrap();
            // Damaged before it is opened.
            let (spool, recovery) = open(&disk);
            let lost = one_hole_at_most(&read_from(&spool, 0, 0), &records, at, mask);
            let report = &recovery.partitions[0];
            assert_eq!(lost as u64 + report.lost_keys, report.damaged_groups, "byte {at}: {recovery:?}");
            lost_keys += report.lost_keys;
            holes += lost;
            assert_eq!(append(&mut spool.writer(0).unwrap(), &["next"]).from, records.len() as u64);
        }
    }
    assert!(holes > content.len(), "bodies were hit");
    assert!(lost_keys > 0, "answers were hit");
}

#[test]
fn damage_under_an_open_reader_is_a_hole_too() {
    let (disk, file, records) = small(GROUPS, true);
    let content = disk.content(&file).unwrap();
    for at in 0..content.len() {
        let disk = disk.fork();
        let (spool, _) = open(&disk);
        let mut damaged = content.clone();
        damaged[at] ^= 0x10;
        disk.damage(&file, damaged).unwrap();
        one_hole_at_most(&read_from(&spool, 0, 0), &records, at, 0x10);
    }
}

fn one_hole_at_most(got: &[Seen], records: &[Vec<u8>], at: usize, mask: u8) -> usize {
    assert_eq!(got.len(), records.len(), "byte {at} mask {mask}");
    let mut lost = 0;
    for ((offset, body), (i, want)) in got.iter().zip(records.iter().enumerate()) {
        assert_eq!(*offset, i as u64);
        match body {
            Some(body) => assert_eq!(body, want, "wrong bytes served: byte {at} mask {mask}"),
            None => lost += 1,
        }
    }
    assert!(lost <= 1, "byte {at} mask {mask}: {lost} records lost");
    lost
}

#[test]
fn a_destroyed_stretch_costs_the_groups_it_touches_and_no_more() {
    let (disk, file, records) = small(GROUPS, true);
    let content = disk.content(&file).unwrap();
    let bounds = bounds();
    for at in 64..content.len() {
        for len in [2, 5, 17, 60, 130] {
            let end = (at + len).min(content.len());
            for fill in [0u8, 0xA5] {
                let disk = disk.fork();
                let mut damaged = content.clone();
                damaged[at..end].fill(fill);
                disk.damage(&file, damaged).unwrap();
                let (spool, _) = open(&disk);
                let got = read_from(&spool, 0, 0);
                assert_eq!(got.len(), records.len());
                let touched = |g: usize| {
                    let (from, to) = places(&content)[g];
                    at < to && end > from
                };
                for (g, w) in bounds.windows(2).enumerate() {
                    for o in w[0]..w[1] {
                        let o = usize::try_from(o).unwrap();
                        match &got[o].1 {
                            Some(body) => assert_eq!(body, &records[o]),
                            None => assert!(touched(g), "group {g} lost by damage at {at}..{end}"),
                        }
                    }
                }
                // New records go behind it all and are found behind the damage.
                append(&mut spool.writer(0).unwrap(), &["next"]);
                spool.sync_now().unwrap();
                let after = read_from(&spool, 0, records.len() as u64);
                assert_eq!(after, [(records.len() as u64, Some(b"next".to_vec()))]);
                disk.kill();
                let (again, _) = open(&disk);
                assert_eq!(read_from(&again, 0, 0)[..records.len()], got[..], "reopening changes nothing");
                assert_eq!(read_from(&again, 0, records.len() as u64), after);
            }
        }
    }
}

/// Where each group lies in the file, from the lengths in the README's layout.
fn places(content: &[u8]) -> Vec<(usize, usize)> {
    let mut at = 64;
    let mut all = Vec::new();
    while at < content.len() {
        let body = u32::from_le_bytes(content[at + 8..at + 12].try_into().unwrap()) as usize;
        all.push((at, at + 48 + body));
        at += 48 + body;
    }
    all
}

#[test]
fn bytes_of_a_client_never_pass_for_a_group() {
    let (disk, file, _) = small(GROUPS, true);
    let foreign = disk.content(&file).unwrap();
    // A record that holds whole groups of another spool, magic, checksums and all.
    let other = SimDisk::new(99);
    let (spool, _) = open(&other);
    let mut writer = spool.writer(0).unwrap();
    let buf = group(&[&b"a"[..], &foreign[64..], b"b"]);
    writer.append(&Group::plain(&buf)).unwrap();
    writer.flush().unwrap();
    append(&mut writer, &["c"]);
    drop(writer);
    spool.close().unwrap();
    other.kill();
    // Destroy the group's header, so that the reader searches through the record.
    let file = segment_files(&other)[0].clone();
    let mut damaged = other.content(&file).unwrap();
    damaged[70..90].fill(0);
    other.damage(&file, damaged).unwrap();
    let (spool, _) = open(&other);
    assert_eq!(read_from(&spool, 0, 0), [(0, None), (1, None), (2, None), (3, Some(b"c".to_vec()))]);
}

#[test]
fn a_tail_that_a_position_proves_is_damage_and_not_torn() {
    // Damaged from every byte on, with a reader that had pinned all of it.
    let (disk, file, records) = {
        let disk = SimDisk::new(8);
        let (spool, _) = open(&disk);
        let mut writer = spool.writer(0).unwrap();
        for g in GROUPS {
            append(&mut writer, g);
        }
        spool.sync_now().unwrap();
        let mut reader = spool.reader("balances", 0).unwrap();
        let end = bounds()[GROUPS.len()];
        block_on(reader.store(crate::log::Position { next: 1, pinned: Some(end), hint: 0 })).unwrap();
        disk.kill();
        let all: Vec<Vec<u8>> = GROUPS.iter().flat_map(|g| g.iter().map(|b| b.as_bytes().to_vec())).collect();
        (disk.clone(), segment_files(&disk)[0].clone(), all)
    };
    let content = disk.content(&file).unwrap();
    // Also without the noted watermark: the position alone proves it.
    for noted in [true, false] {
        for len in 0..content.len() {
            let disk = disk.fork();
            disk.damage(&file, content[..len].to_vec()).unwrap();
            if !noted {
                disk.damage(&file.with_file_name("synced"), Vec::new()).unwrap();
            }
            let (spool, _) = open(&disk);
            let got = read_from(&spool, 0, 0);
            assert_eq!(got.len(), records.len(), "offsets a sink may hold stay taken");
            assert!(got.iter().zip(&records).all(|((_, got), want)| got.is_none() || got.as_ref() == Some(want)));
            assert_eq!(append(&mut spool.writer(0).unwrap(), &["next"]).from, records.len() as u64);
            spool.sync_now().unwrap();
            disk.kill();
            // Nothing was written behind a group that is cut short: its length would swallow it.
            let again = read_from(&open(&disk).0, 0, 0);
            assert_eq!(again[..records.len()], got[..]);
            assert_eq!(again[records.len()..], [(records.len() as u64, Some(b"next".to_vec()))]);
        }
    }
}

#[test]
fn a_group_that_the_device_wrote_to_the_wrong_place_is_not_believed() {
    let disk = SimDisk::new(1);
    let (spool, _) = open(&disk);
    let mut writer = spool.writer(0).unwrap();
    for i in 0..40 {
        append(&mut writer, &[&format!("{i:0300}")]);
    }
    spool.close().unwrap();
    disk.kill();
    let files = segment_files(&disk);
    let (mut first, later) = (disk.content(&files[0]).unwrap(), disk.content(&files[3]).unwrap());
    // Two groups are overwritten by one of another segment, a little further on.
    let ((from, to), (_, end)) = (places(&first)[1], places(&first)[2]);
    first[from..end].fill(0);
    first[from + 10..to + 10].copy_from_slice(&later[64..64 + to - from]);
    disk.damage(&files[0], first).unwrap();
    let got = read_from(&open(&disk).0, 0, 0);
    assert_eq!(got.len(), 40);
    assert!(got.iter().all(|(o, body)| match body {
        Some(body) => body == format!("{o:0300}").as_bytes(),
        None => *o == 1 || *o == 2,
    }));
}
