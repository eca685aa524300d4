//! Strangers read both kinds of files, fastavro and DuckDB: they hold the same events.

use super::super::compact::Compactor;
use super::{events, files, log, open, settings};
use crate::archive::ArchiveSink;
use penstock::pipeline::{Held, Sink as _};
use penstock::pricing::Snapshot;
use penstock::settings::CompactSettings;
use penstock::time::Micros;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn strangers_read_the_same_events_from_parquet_as_from_avro() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let mut sink = ArchiveSink::new(store.clone(), &settings(3)).unwrap();
    for from in [0, 700, 1400] {
        let records = events(from, 700);
        let range = records.range().unwrap();
        let batch = sink.prepare(&log(), range, &records, &Snapshot::default(), &mut Vec::new());
        sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    }
    let settings = CompactSettings { older_than: Duration::ZERO, grace: Duration::ZERO, ..CompactSettings::default() };
    let soon = Micros::from_secs(4_000_000_000);
    let report = Compactor::new(store, settings, 1).pass(soon, &CancellationToken::new()).await.unwrap();
    assert_eq!((report.hours, report.records, report.fault_count), (20, 2100, 0));
    assert_eq!(files(root.path()).keys().filter(|name| name.ends_with(".parquet")).count(), 20);

    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = tree.join(".parts/venv/bin/python");
    let oracle = Command::new(&python).arg(tree.join("tests/oracle/parquet.py")).arg(root.path()).output();
    let answer = oracle.unwrap_or_else(|e| panic!("{}: {e}: run `make python` first", python.display()));
    let said = String::from_utf8_lossy(&answer.stdout);
    let errors = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success() && said.contains("2100 events, 0 differences"), "{said}{errors}");
}
