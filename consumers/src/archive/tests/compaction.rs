//! Compaction: the same rows whatever is cut off, whoever else is at it, whatever comes back.

use super::super::compact::plan::{Places, batches};
use super::super::compact::{Compactor, Report};
use super::super::content::Content;
use super::super::name::FileName;
use super::super::reader;
use super::super::verify::{self, Scope};
use super::super::{ArchiveSink, ArchiveStore, census};
use super::cut::{Cut, Last};
use super::{log, settings};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use penstock::event::{Defaults, IdSource, admit};
use penstock::log::{Range, Records};
use penstock::pipeline::{Held, Sink as _};
use penstock::pricing::Snapshot;
use penstock::settings::CompactSettings;
use penstock::telemetry::ArchiveMetrics;
use penstock::time::{Clock as _, Micros, SystemClock};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_secs(3_600);

/// Clicks of two hours in turn.
pub(super) fn clicks(from: u64, n: u64) -> Records {
    let mut ids = IdSource::seeded(from);
    let mut records = Records::new();
    let received = Micros::from_secs(1_510_000_000);
    let defaults = Defaults { received, server: "s1", max_future: HOUR, max_event_bytes: 1 << 16 };
    for offset in from..from + n {
        let json = format!(
            r#"{{"type":"click","time":"2017-11-06T{:02}:10:00Z","payload":{{"campaign_id":{},"user_id":"u{offset}","shape":"round"}}}}"#,
            offset / 3 % 2,
            offset + 1
        );
        let mut body = Vec::new();
        admit(json.as_bytes(), &defaults, &mut ids, &mut body).unwrap();
        records.push(offset, received, &body);
    }
    records
}

fn over(store: Arc<dyn ObjectStore>) -> ArchiveStore {
    ArchiveStore::over(store, Duration::from_secs(60), ArchiveMetrics::default()).creating()
}

pub(super) async fn put(store: &ArchiveStore, records: &Records) {
    let mut sink = ArchiveSink::new(store.clone(), &settings(3)).unwrap();
    let range = records.range().unwrap();
    let mut bad = Vec::new();
    let batch = sink.prepare(&log(), range, records, &Snapshot::default(), &mut bad);
    assert_eq!(bad, []);
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
}

/// So many hours from now.
fn later(hours: u64) -> Micros {
    SystemClock.now().plus(HOUR * u32::try_from(hours).unwrap())
}

fn compactor(store: &ArchiveStore, instance: u64) -> Compactor {
    let settings = CompactSettings { older_than: Duration::ZERO, grace: HOUR, ..CompactSettings::default() };
    Compactor::new(store.clone(), settings, instance)
}

async fn pass(store: &ArchiveStore, hours: u64) -> Report {
    compactor(store, hours + 1).pass(later(hours), &CancellationToken::new()).await.unwrap()
}

async fn counted(store: &ArchiveStore) -> u64 {
    let census = census::count(store, |_| Some(u64::MAX)).await.unwrap();
    assert_eq!((census.damaged, census.foreign), (vec![], vec![]));
    census.records.values().sum()
}

async fn sound(store: &ArchiveStore) -> verify::Report {
    let report = verify::verify(store, &Scope::default()).await.unwrap();
    assert_eq!(report.faults, []);
    report
}

/// The offsets of all rows of the Parquet files that are there, in the order of files and rows.
async fn rows(store: &ArchiveStore) -> Vec<Vec<u64>> {
    let mut all = Vec::new();
    for found in store.list("click").await.unwrap() {
        if found.path.ends_with(".parquet") {
            let mut of_file = Vec::new();
            for batch in batches(store.read(&found.path).await.unwrap()).unwrap() {
                let batch = batch.unwrap();
                let places = Places::of(&batch).unwrap();
                of_file.extend((0..batch.num_rows()).map(|row| places.offset(row)));
            }
            all.push(of_file);
        }
    }
    all
}

async fn names(store: &ArchiveStore, ending: &str) -> Vec<String> {
    let listed = store.list("click").await.unwrap();
    listed.into_iter().map(|f| f.path).filter(|path| path.ends_with(ending)).collect()
}

#[tokio::test]
async fn compacted_hours_hold_the_same_rows_in_order_and_their_files_go_after_the_grace() {
    let store = over(Arc::new(InMemory::new()));
    for from in [80, 0, 40] {
        put(&store, &clicks(from, 40)).await;
    }
    assert_eq!(sound(&store).await.files, 6);
    let report = pass(&store, 0).await;
    assert_eq!((report.hours, report.files, report.records, report.parts, report.fault_count), (2, 6, 120, 2, 0));
    let (even, odd): (Vec<u64>, Vec<u64>) = (0..120).partition(|offset| offset / 3 % 2 == 0);
    assert_eq!(rows(&store).await, [even, odd]);

    // Within the grace both are there, and each record counts once.
    assert_eq!((names(&store, ".avro").await.len(), counted(&store).await), (6, 120));
    let verified = sound(&store).await;
    assert_eq!((verified.files, verified.taken, verified.parts, verified.records), (0, 6, 2, 120));
    assert_eq!(pass(&store, 0).await.removed, 0);
    assert_eq!(pass(&store, 2).await.removed, 6 + 2);
    assert_eq!((names(&store, ".avro").await.len(), counted(&store).await), (0, 120));
    assert_eq!(sound(&store).await.records, 120);
    assert_eq!(pass(&store, 3).await, Report::default());
}

#[tokio::test]
async fn the_census_of_a_compacted_hour_still_knows_where_its_ranges_end() {
    let store = over(Arc::new(InMemory::new()));
    for from in [0, 40, 80] {
        put(&store, &clicks(from, 40)).await;
    }
    pass(&store, 0).await;
    let upto = |to: u64| census::count(&store, move |_| Some(to));
    let (at, between) = (upto(80).await.unwrap(), upto(60).await.unwrap());
    assert_eq!((at.records.values().sum::<u64>(), at.ahead, at.straddling.len()), (80, 2, 0));
    assert_eq!((between.records.values().sum::<u64>(), between.straddling.len()), (40, 2));
}

#[tokio::test]
async fn late_events_are_merged_into_the_small_parts_of_the_hour() {
    let store = over(Arc::new(InMemory::new()));
    put(&store, &clicks(0, 40)).await;
    pass(&store, 0).await;
    put(&store, &clicks(40, 40)).await;
    assert_eq!(counted(&store).await, 80);
    let report = pass(&store, 2).await;
    assert_eq!((report.hours, report.files, report.records, report.parts), (2, 2, 40, 2));
    assert_eq!(counted(&store).await, 80);
    sound(&store).await;
    pass(&store, 4).await;
    let (even, odd): (Vec<u64>, Vec<u64>) = (0..80).partition(|offset| offset / 3 % 2 == 0);
    assert_eq!(rows(&store).await, [even, odd]);
    assert_eq!((names(&store, ".avro").await.len(), names(&store, ".json").await.len()), (0, 2));
    assert_eq!(sound(&store).await.records, 80);
}

#[tokio::test]
async fn a_late_writer_brings_nothing_back() {
    let store = over(Arc::new(InMemory::new()));
    put(&store, &clicks(0, 40)).await;
    pass(&store, 0).await;
    pass(&store, 2).await;
    assert_eq!(names(&store, ".avro").await, [""; 0]);

    // The same range again, from a process that had slept since.
    put(&store, &clicks(0, 40)).await;
    assert_eq!((names(&store, ".avro").await.len(), counted(&store).await), (2, 40));
    assert_eq!(sound(&store).await.taken, 2);
    assert_eq!(pass(&store, 4).await.removed, 2);
    assert_eq!((names(&store, ".avro").await.len(), counted(&store).await), (0, 40));
}

#[tokio::test]
async fn a_file_with_other_records_than_were_taken_is_reported_and_stays() {
    let store = over(Arc::new(InMemory::new()));
    put(&store, &clicks(0, 40)).await;
    let name = names(&store, ".avro").await.remove(0);
    pass(&store, 0).await;
    pass(&store, 2).await;
    let other = clicks(0, 40); // same range, other ids
    let mut shifted = Records::new();
    other.iter().skip(6).take(34).for_each(|r| shifted.push(r.offset, r.appended, r.body.unwrap()));
    let mut sink = ArchiveSink::new(store.clone(), &settings(3)).unwrap();
    let range = Range { from: 0, to: 40 };
    let batch = sink.prepare(&log(), range, &shifted, &Snapshot::default(), &mut Vec::new());
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    let report = pass(&store, 4).await;
    assert!(report.fault_count == 2 && report.faults.iter().any(|f| f.path == name), "{report:?}");
    assert_eq!((names(&store, ".avro").await.len(), counted(&store).await), (2, 40));
}

/// All changes from the first file to the last removal, cut off at each of them.
#[tokio::test]
async fn cut_off_at_any_change_no_record_is_ever_counted_twice_or_missing() {
    for last in [Last::Undone, Last::Done] {
        let mut cuts = 0;
        for changes in 0.. {
            let disk: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let whole = over(disk.clone());
            for from in [0, 40] {
                put(&whole, &clicks(from, 40)).await;
            }
            let cut = Cut::after(&disk, changes, last);
            let dying = over(cut.clone());
            let stop = CancellationToken::new();
            // Compacted, late events, compacted again, cleared away: one life, or as far as it gets.
            let _ = compactor(&dying, 7).pass(later(0), &stop).await;
            if !cut.died() {
                put(&whole, &clicks(80, 20)).await;
                let _ = compactor(&dying, 7).pass(later(2), &stop).await;
                let _ = compactor(&dying, 7).pass(later(4), &stop).await;
            }
            let records = if cut.died() && names(&whole, ".avro").await.iter().all(|p| !p.contains("-80-100-")) {
                80.max(counted(&whole).await)
            } else {
                100
            };
            assert_eq!(counted(&whole).await, records, "{changes} {last:?}");
            let verified = sound(&whole).await;
            assert_eq!(verified.records, records);

            // The next life, whose claims are not held off by the dead one's.
            let mut hours = 6;
            while pass(&whole, hours).await != Report::default() {
                assert_eq!(counted(&whole).await, records, "{changes} {last:?}");
                hours += 2;
                assert!(hours < 20, "never comes to rest");
            }
            assert_eq!(names(&whole, ".avro").await, [""; 0]);
            let (mut all, parts) = (rows(&whole).await.concat(), rows(&whole).await.len());
            assert!(rows(&whole).await.iter().all(|part| part.is_sorted()));
            all.sort_unstable();
            assert_eq!((all, parts), ((0..records).collect(), 2));
            let after = sound(&whole).await;
            assert_eq!((after.records, after.idle, after.taken), (records, 0, 0));
            cuts += i64::from(cut.died());
            if !cut.died() {
                break;
            }
        }
        assert!(cuts > 20, "{cuts}");
    }
}

#[tokio::test]
async fn of_two_compactions_at_once_one_counts_and_the_other_has_worked_in_vain() {
    let disk: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let store = over(disk.clone());
    for from in [0, 40] {
        put(&store, &clicks(from, 40)).await;
    }
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let hold = Some(("_manifest", arrived.clone(), go.clone()));
    let slow = over(Arc::new(Cut { inner: disk, left: AtomicI64::new(i64::MAX), last: Last::Done, hold }));
    let sleeper =
        tokio::spawn(async move { compactor(&slow, 99).pass(later(0), &CancellationToken::new()).await.unwrap() });
    arrived.notified().await;
    // Another while the claim holds is held off; one that finds the claim run out is not.
    assert_eq!((pass(&store, 0).await.contended, counted(&store).await), (1, 80));
    put(&store, &clicks(80, 40)).await;
    assert!(pass(&store, 2).await.hours > 0);
    assert_eq!(pass(&store, 4).await.fault_count, 0);
    assert_eq!((names(&store, ".avro").await.len(), counted(&store).await), (0, 120));
    // The sleeper goes on, with parts and a manifest of a generation that is long over.
    for _ in 0..2 {
        go.notify_one();
        tokio::task::yield_now().await;
    }
    go.notify_one();
    sleeper.await.unwrap();
    assert_eq!(counted(&store).await, 120);
    sound(&store).await;
    pass(&store, 6).await;
    pass(&store, 8).await;
    assert_eq!(counted(&store).await, 120);
    assert_eq!(sound(&store).await.idle, 0);
}

#[tokio::test]
async fn verify_names_each_thing_that_is_wrong() {
    let store = over(Arc::new(InMemory::new()));
    for from in [0, 40, 120, 160] {
        put(&store, &clicks(from, 40)).await; // 80 to 120 is missing
    }
    put(&store, &clicks(30, 5)).await; // overlaps
    let files = names(&store, ".avro").await;
    let gone = files.iter().find(|path| path.contains("-40-80-")).unwrap();
    store.remove(gone).await.unwrap();
    let damaged = files.iter().find(|path| path.contains("-120-160-")).unwrap();
    let mut bytes = store.read(damaged).await.unwrap().to_vec();
    let name = FileName::parse(damaged).unwrap();
    assert!(Content::read(&bytes, &name).is_ok());
    let unnoticed = |at: &usize| {
        let mut bytes = bytes.clone();
        bytes[*at] ^= 0x40;
        Content::read(&bytes, &name).is_ok()
    };
    // Zstandard's headers have spare bits, which change nothing; any other is noticed.
    let blocks = usize::try_from(reader::summarise(&bytes[..]).unwrap().header.blocks_at).unwrap();
    let unnoticed: Vec<usize> = (blocks..bytes.len()).filter(unnoticed).collect();
    assert!(unnoticed.len() <= 1, "{unnoticed:?} of {blocks}..{}", bytes.len());
    let middle = blocks + 40;
    bytes[middle] ^= 0x41;
    store.publish(damaged, &[bytes.clone().into()]).await.unwrap();
    assert_eq!(store.read(damaged).await.unwrap(), bytes);
    store.publish("click/notes.txt", &[b"mine".to_vec().into()]).await.unwrap();
    let report = verify::verify(&store, &Scope::default()).await.unwrap();
    let mut codes: Vec<_> = report.faults.iter().map(|fault| fault.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes, ["damaged", "foreign", "gap", "missing", "overlap"], "{report:#?}");
    let hour = FileName::parse(gone).unwrap().hour;
    let part = verify::verify(&store, &Scope { hour: Some(hour), kind: None }).await.unwrap();
    assert!(part.hours == 1 && part.faults.iter().all(|fault| fault.code == "damaged"), "{part:#?}");
}

#[tokio::test]
async fn a_part_that_is_lost_is_noticed_by_census_verify_and_compaction() {
    let store = over(Arc::new(InMemory::new()));
    put(&store, &clicks(0, 40)).await;
    pass(&store, 0).await;
    let part = names(&store, ".parquet").await.remove(0);
    store.remove(&part).await.unwrap();
    let census = census::count(&store, |_| Some(u64::MAX)).await.unwrap();
    assert_eq!((census.damaged_files, census.damaged[0].0.clone()), (1, part));
    assert!(verify::verify(&store, &Scope::default()).await.unwrap().fault_count > 0);
    let report = pass(&store, 2).await;
    // What it was made of is still there and stays there.
    assert_eq!((report.fault_count, names(&store, ".avro").await.len()), (1, 1));
}
