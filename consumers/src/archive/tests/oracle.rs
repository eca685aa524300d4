//! ClickHouse reads both kinds of files by itself: they hold the same events.

use super::super::ArchiveStore;
use super::super::compact::Compactor;
use super::{events, files, log, open, settings};
use crate::archive::ArchiveSink;
use penstock::pipeline::{Held, Sink as _};
use penstock::pricing::Snapshot;
use penstock::settings::{CompactSettings, EngineSettings};
use penstock::time::Micros;
use penstock_engine::chdb::Library;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

async fn archived(root: &Path) -> ArchiveStore {
    let store = open(root);
    let mut sink = ArchiveSink::new(store.clone(), &settings(3)).unwrap();
    for from in [0, 700, 1400] {
        let records = events(from, 700);
        let range = records.range().unwrap();
        let batch = sink.prepare(&log(), range, &records, &Snapshot::default(), &mut Vec::new());
        sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    }
    store
}

#[tokio::test]
async fn clickhouse_reads_the_same_events_from_parquet_as_from_avro() {
    let (root, engine) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = archived(root.path()).await;
    let settings = CompactSettings { older_than: Duration::ZERO, grace: Duration::ZERO, ..CompactSettings::default() };
    let soon = Micros::from_secs(4_000_000_000);
    let report = Compactor::new(store, settings, 1).pass(soon, &CancellationToken::new()).await.unwrap();
    assert_eq!((report.hours, report.records, report.fault_count), (20, 2100, 0));
    assert_eq!(files(root.path()).keys().filter(|name| name.ends_with(".parquet")).count(), 20);

    let library = penstock_engine::library(&EngineSettings::default()).unwrap_or_else(|why| panic!("{why}"));
    let library = Library::load(&library).unwrap();
    let arguments = ["clickhouse".to_owned(), format!("--path={}", engine.path().display())];
    let mut connection = library.connect(&arguments).unwrap();
    let mut ask = |sql: &str| {
        let answer = connection.query(sql.as_bytes(), "TSV", &[]).unwrap_or_else(|e| panic!("{sql}: {}", e.0));
        String::from_utf8(answer.bytes().to_vec()).unwrap()
    };
    let root = root.path().display();
    for kind in ["click", "conversion", "impression", "visit"] {
        let of = |ending: &str, format: &str| {
            format!(
                "SELECT count(), uniqExact(id), sum(cityHash64(toString(hex(id)), toUnixTimestamp64Micro(time), \
                 toUnixTimestamp64Micro(received), server, campaign_id, assumeNotNull(user_id), ifNull(tag, '-'), \
                 toString(extra))) FROM file('{root}/{kind}/**/*.{ending}', '{format}')"
            )
        };
        let (avro, parquet) = (ask(&of("avro", "Avro")), ask(&of("parquet", "Parquet")));
        assert_eq!(avro, parquet, "{kind}");
        assert!(avro.starts_with("525\t525\t"), "{avro}");
        let places = format!(
            "SELECT count(), uniqExact(log_topic, log_partition, log_offset), min(log_offset), max(log_offset), \
             countIf(assumeNotNull(user_id) != concat('u', leftPad(toString(log_offset), 200, '0'))) \
             FROM file('{root}/{kind}/**/*.parquet', 'Parquet')"
        );
        let first = ["impression", "visit", "click", "conversion"].iter().position(|k| *k == kind).unwrap();
        assert_eq!(ask(&places), format!("525\t525\t{first}\t{}\t0\n", 2096 + first), "{kind}");
    }
}
