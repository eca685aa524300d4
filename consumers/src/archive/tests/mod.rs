//! The archive against the Avro library, against crashes and against garbage.

#[cfg(feature = "cluster")]
mod compaction;
#[cfg(feature = "cluster")]
mod cut;
mod hostile;
#[cfg(feature = "cluster")]
mod oracle;
mod replay;
#[cfg(feature = "cluster")]
mod stores;

use super::container::Finished;
use super::name::FileName;
use super::{ArchiveSink, ArchiveStore, census, marks, reader};
use apache_avro::types::Value;
use penstock::event::{Defaults, IdSource, admit};
use penstock::log::{LogId, Position, Range, Records};
use penstock::pipeline::{Held, Sink as _, SinkError};
use penstock::pricing::Snapshot;
use penstock::settings::ArchiveSettings;
use penstock::telemetry::ArchiveMetrics;
use penstock::time::Micros;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn log() -> LogId {
    LogId { name: "spool-00ff".into(), partition: 1 }
}

pub(super) fn settings(zstd_level: i32) -> ArchiveSettings {
    ArchiveSettings { zstd_level, ..ArchiveSettings::default() }
}

pub(super) fn open(root: &Path) -> ArchiveStore {
    ArchiveStore::open(root, "spool-00ff", Duration::from_secs(60), ArchiveMetrics::default()).unwrap()
}

/// Events of all types over a few hours, beginning with offset `from`.
pub(super) fn events(from: u64, n: u64) -> Records {
    let mut ids = IdSource::seeded(from);
    let mut records = Records::new();
    let received = Micros::from_secs(1_510_000_000);
    let defaults = Defaults { received, server: "s1", max_future: Duration::from_secs(3600), max_event_bytes: 1 << 16 };
    let types = ["impression", "visit", "click", "conversion"];
    for offset in from..from + n {
        let (kind, hour) = (types[(offset % 4) as usize], offset * 7 % 5);
        let json = format!(
            r#"{{"type":"{kind}","time":"2017-11-06T{hour:02}:59:59.999999Z","payload":{{"campaign_id":{},"user_id":"u{offset:0>200}"}}}}"#,
            offset + 1
        );
        let mut body = Vec::new();
        admit(json.as_bytes(), &defaults, &mut ids, &mut body).unwrap();
        records.push(offset, received, &body);
    }
    records
}

pub(super) fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                if !name.starts_with(marks::FOLDER) {
                    found.insert(name, std::fs::read(path).unwrap());
                }
            }
        }
    }
    found
}

async fn write(sink: &mut ArchiveSink, records: &Records) {
    let range = records.range().unwrap();
    let mut bad = Vec::new();
    let batch = sink.prepare(&log(), range, records, &Snapshot::default(), &mut bad);
    assert_eq!(bad, []);
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    assert_eq!(sink.held(&log(), range, &batch).await.unwrap(), Held::All);
}

fn field<'a>(record: &'a Value, name: &str) -> &'a Value {
    let Value::Record(fields) = record else { panic!("no record") };
    &fields.iter().find(|(n, _)| n == name).unwrap().1
}

#[tokio::test]
async fn the_avro_library_reads_every_event_in_the_folder_of_its_type_and_hour() {
    for level in [0, 3] {
        let root = tempfile::tempdir().unwrap();
        // Enough that some file has more than one block.
        let records = events(0, 24_000);
        write(&mut ArchiveSink::new(open(root.path()), &settings(level)).unwrap(), &records).await;
        let mut users = BTreeSet::new();
        let mut blocks = 0;
        let files = files(root.path());
        assert_eq!(files.len(), 20, "four types, five hours");
        for (path, bytes) in &files {
            let name = FileName::parse(path).unwrap();
            let summary = reader::summarise(&bytes[..]).unwrap();
            blocks = summary.blocks.max(blocks);
            let avro = apache_avro::Reader::new(&bytes[..]).unwrap();
            let codec = if level == 0 { "null" } else { "zstandard" };
            assert_eq!(summary.header.get("avro.codec"), Some(codec));
            assert!(avro.writer_schema().name().unwrap().name().eq_ignore_ascii_case(&name.kind));
            let mut n = 0;
            for record in avro {
                let record = record.unwrap();
                let Value::TimestampMicros(time) = field(&record, "time") else { panic!("no time") };
                assert_eq!(Micros(*time).hour(), name.hour);
                let Value::Union(_, user) = field(&record, "user_id") else { panic!("no user") };
                let Value::String(user) = &**user else { panic!("no text") };
                let offset: u64 = user[1..].parse().unwrap();
                assert_eq!(name.kind, ["impression", "visit", "click", "conversion"][(offset % 4) as usize]);
                assert!(users.insert(offset), "{user} twice");
                n += 1;
            }
            assert_eq!(n, summary.records);
        }
        assert_eq!(users, (0..24_000).collect());
        assert!(blocks > 1);
    }
}

#[tokio::test]
async fn a_range_written_again_leaves_the_same_bytes() {
    let (once, twice) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let records = events(40, 100);
    write(&mut ArchiveSink::new(open(once.path()), &settings(3)).unwrap(), &records).await;
    for _ in 0..2 {
        write(&mut ArchiveSink::new(open(twice.path()), &settings(3)).unwrap(), &records).await;
    }
    assert_eq!(files(once.path()), files(twice.path()));
}

#[tokio::test]
async fn a_range_of_which_a_file_is_missing_or_cut_is_not_held() {
    let root = tempfile::tempdir().unwrap();
    let mut sink = ArchiveSink::new(open(root.path()), &settings(3)).unwrap();
    let records = events(0, 50);
    write(&mut sink, &records).await;
    let range = records.range().unwrap();
    let batch = sink.prepare(&log(), range, &records, &Snapshot::default(), &mut Vec::new());
    let (name, bytes) = files(root.path()).pop_first().unwrap();
    std::fs::write(root.path().join(&name), &bytes[1..]).unwrap();
    assert_eq!(sink.held(&log(), range, &batch).await.unwrap(), Held::Nothing);
    std::fs::remove_file(root.path().join(&name)).unwrap();
    assert_eq!(sink.held(&log(), range, &batch).await.unwrap(), Held::Nothing);
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    assert_eq!(files(root.path())[&name], bytes);
}

#[tokio::test]
async fn poison_is_left_out_and_a_range_of_nothing_else_writes_no_file() {
    let root = tempfile::tempdir().unwrap();
    let mut sink = ArchiveSink::new(open(root.path()), &settings(3)).unwrap();
    let good = events(0, 1);
    let whole = good.get(0).unwrap().body.unwrap().to_vec();
    let mut records = Records::new();
    let mut foreign = whole.clone();
    foreign[2] ^= 1;
    for (offset, body) in [&b"{}"[..], &foreign, &whole[..whole.len() - 1]].into_iter().enumerate() {
        records.push(offset as u64, Micros(0), body);
    }
    records.push_corrupt(3, Micros(0));
    let range = Range { from: 0, to: 4 };
    let mut bad = Vec::new();
    let batch = sink.prepare(&log(), range, &records, &Snapshot::default(), &mut bad);
    let codes: Vec<_> = bad.iter().map(|p| (p.offset, p.code.name())).collect();
    assert_eq!(codes, [(0, "bad_frame"), (1, "unknown_schema"), (2, "bad_body"), (3, "corrupt")]);
    assert_eq!(batch.files().unwrap(), &[] as &[Finished]);
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    assert!(files(root.path()).is_empty());
}

#[tokio::test]
async fn what_a_killed_write_left_is_swept_at_the_next_start_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let records = events(0, 8);
    write(&mut ArchiveSink::new(open(root.path()), &settings(3)).unwrap(), &records).await;
    let before = files(root.path());
    let name = root.path().join(before.keys().next().unwrap());
    let beside = |suffix: &str| format!("{}{suffix}", name.display());
    std::fs::write(beside("#1"), b"half").unwrap();
    std::fs::write(beside("#12"), b"half").unwrap();
    let others = name.with_file_name("spool-ee-1-0-8-0123456789abcdef.avro#1");
    std::fs::write(&others, b"another process writes this").unwrap();
    let metrics = ArchiveMetrics::default();
    ArchiveStore::open(root.path(), "spool-00ff", Duration::from_secs(60), metrics.clone()).unwrap();
    assert_eq!(metrics.swept.get(), 2);
    std::fs::remove_file(others).unwrap();
    assert_eq!(files(root.path()), before);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_leaves_an_unknown_outcome() {
    use object_store::throttle::{ThrottleConfig, ThrottledStore};
    let hour = Duration::from_secs(3600);
    let throttle = ThrottleConfig { wait_put_per_call: hour, wait_get_per_call: hour, ..ThrottleConfig::default() };
    let slow = ThrottledStore::new(object_store::memory::InMemory::new(), throttle);
    let metrics = ArchiveMetrics::default();
    let store = ArchiveStore::over(Arc::new(slow), Duration::from_secs(60), metrics.clone());
    let mut sink = ArchiveSink::new(store, &settings(3)).unwrap();
    let records = events(0, 1);
    let range = records.range().unwrap();
    let batch = sink.prepare(&log(), range, &records, &Snapshot::default(), &mut Vec::new());
    let written = sink.write(&log(), range, &batch, &Held::Nothing).await;
    assert!(matches!(written, Err(SinkError::Unknown(_))), "{written:?}");
    assert!(matches!(sink.held(&log(), range, &batch).await, Err(SinkError::Unknown(_))));
    assert_eq!((metrics.timeouts.get(), metrics.files.get()), (2, 0));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_retried() {
    let root = tempfile::tempdir().unwrap();
    let mut sink = ArchiveSink::new(open(root.path()), &settings(3)).unwrap();
    std::fs::write(root.path().join("impression"), b"a file where a folder should be").unwrap();
    let records = events(0, 1);
    let range = records.range().unwrap();
    let batch = sink.prepare(&log(), range, &records, &Snapshot::default(), &mut Vec::new());
    let written = sink.write(&log(), range, &batch, &Held::Nothing).await;
    assert!(matches!(written, Err(SinkError::Retry(_))), "{written:?}");
}

#[tokio::test]
async fn the_census_counts_what_is_there_up_to_a_position_and_names_what_is_not_right() {
    let root = tempfile::tempdir().unwrap();
    let mut sink = ArchiveSink::new(open(root.path()), &settings(3)).unwrap();
    for from in [0, 40, 80] {
        write(&mut sink, &events(from, 40)).await;
    }
    let store = open(root.path());
    let count = async |upto: u64| census::count(&store, |l| (*l == log()).then_some(upto)).await.unwrap();
    let sums = |census: &census::Census| census.records.values().copied().collect::<Vec<_>>();
    let census = count(80).await;
    assert_eq!((sums(&census), census.straddling.len(), census.damaged_files), (vec![20; 4], 0, 0));
    assert_eq!((census.files, census.ahead), (40, 20));
    assert_eq!(count(60).await.straddling.len(), 20);
    assert_eq!(sums(&count(200).await), vec![30; 4]);
    assert!(census::count(&store, |_| None).await.unwrap().records.is_empty());

    let some: Vec<_> = files(root.path()).into_keys().collect();
    let (cut, renamed) = (root.path().join(&some[0]), root.path().join(&some[1]));
    let bytes = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
    let FileName { range, .. } = FileName::parse(&some[1]).unwrap();
    let other = some[1].replace(&format!("-{}-{}-", range.from, range.to), "-500-600-");
    std::fs::rename(&renamed, root.path().join(other)).unwrap();
    std::fs::write(root.path().join("readme.txt"), b"mine").unwrap();
    let census = count(1_000).await;
    assert_eq!((census.damaged_files, census.foreign.len(), census.files), (2, 1, 58));
}

#[tokio::test]
async fn behind_a_gap_a_range_that_was_begun_is_not_archived_twice() {
    let root = tempfile::tempdir().unwrap();
    let mut sink = ArchiveSink::new(open(root.path()), &settings(3)).unwrap();
    let gap = Range { from: 40, to: 60 };
    let stored = Position { next: 40, pinned: Some(140), hint: 0 };
    // Retention passed a part of a pinned range of which nothing had been written: the rest goes on.
    assert_eq!(sink.skip(&log(), gap, stored, "ann", "why").await.unwrap(), Position::at(60));
    // Its files were there, or some of them: nothing of it is written under another name.
    write(&mut sink, &events(40, 100)).await;
    let all: Vec<String> = files(root.path()).into_keys().collect();
    all[1..].iter().for_each(|path| std::fs::remove_file(root.path().join(path)).unwrap());
    assert_eq!(sink.skip(&log(), gap, stored, "ann", "why").await.unwrap(), Position::at(140));
    // A range that ends within the gap, or none at all, leaves nothing to ask for.
    let wide = Range { from: 40, to: 140 };
    assert_eq!(sink.skip(&log(), wide, stored, "ann", "why").await.unwrap(), Position::at(140));
    assert_eq!(sink.skip(&log(), gap, Position::at(40), "ann", "why").await.unwrap(), Position::at(60));
}
