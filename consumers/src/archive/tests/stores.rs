//! The archive over real HDFS and an S3 server, as over a folder.

use super::super::compact::Compactor;
use super::super::verify::{self, Scope};
use super::super::{ArchiveSink, ArchiveStore, census, marks};
use super::{events, files, log, open, settings};
use penstock::log::Records;
use penstock::pipeline::{Held, Sink as _, SinkError};
use penstock::pricing::Snapshot;
use penstock::settings::{ArchiveSettings, CompactSettings};
use penstock::telemetry::ArchiveMetrics;
use penstock::time::Micros;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: `make cluster` starts the real servers, `make test` runs this with them")
    })
}

fn connect(settings: &ArchiveSettings) -> ArchiveStore {
    ArchiveStore::connect(settings, Path::new("/nowhere"), ArchiveMetrics::default()).unwrap()
}

/// A folder of its own on the real HDFS.
fn hdfs(timeout: Duration) -> ArchiveSettings {
    let url = format!("{}/tests/{:016x}/archive", address("PENSTOCK_TEST_HDFS"), rand::random::<u64>());
    ArchiveSettings { url: Some(url), timeout, ..ArchiveSettings::default() }
}

/// A bucket of its own on the S3 server.
fn s3(timeout: Duration) -> ArchiveSettings {
    let endpoint = address("PENSTOCK_TEST_S3");
    let bucket = format!("archive-{:016x}", rand::random::<u64>());
    let host = endpoint.strip_prefix("http://").unwrap();
    let mut made = std::net::TcpStream::connect(host).unwrap();
    write!(made, "PUT /{bucket} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    made.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let options = [
        ("endpoint", endpoint.as_str()),
        ("allow_http", "true"),
        ("access_key_id", "test"),
        ("secret_access_key", "test"),
        ("region", "us-east-1"),
    ];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    ArchiveSettings { url: Some(format!("s3://{bucket}/some/prefix")), timeout, options, ..ArchiveSettings::default() }
}

const MINUTE: Duration = Duration::from_secs(60);

async fn write(sink: &mut ArchiveSink, records: &Records) -> Result<Held, SinkError> {
    let range = records.range().unwrap();
    let batch = sink.prepare(&log(), range, records, &Snapshot::default(), &mut Vec::new());
    sink.write(&log(), range, &batch, &Held::Nothing).await?;
    sink.held(&log(), range, &batch).await
}

async fn contents(store: &ArchiveStore) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for kind in store.folder("").await.unwrap().0 {
        for file in store.list(&kind).await.unwrap() {
            if !file.path.starts_with(marks::FOLDER) {
                found.insert(file.path.clone(), store.read(&file.path).await.unwrap().to_vec());
            }
        }
    }
    found
}

/// What every store must do as a folder does it.
async fn conforms(archive: ArchiveSettings) {
    let folder = tempfile::tempdir().unwrap();
    let mut model = ArchiveSink::new(open(folder.path()), &settings(3)).unwrap();
    let store = connect(&archive);
    let mut sink = ArchiveSink::new(store.clone(), &settings(3)).unwrap();
    assert!(sink.untouched(&log()).await.unwrap());
    assert!(census::count(&store, |_| Some(9)).await.unwrap().records.is_empty());
    for from in [0, 40] {
        write(&mut model, &events(from, 40)).await.unwrap();
        assert_eq!(write(&mut sink, &events(from, 40)).await.unwrap(), Held::All);
    }
    assert!(!sink.untouched(&log()).await.unwrap());
    // Again, from a process that knows nothing of it.
    let mut again = ArchiveSink::new(connect(&archive), &settings(3)).unwrap();
    assert_eq!(write(&mut again, &events(0, 40)).await.unwrap(), Held::All);
    assert_eq!(contents(&store).await, files(folder.path()));

    let census = census::count(&store, |_| Some(40)).await.unwrap();
    assert_eq!((census.records.values().sum::<u64>(), census.files, census.ahead), (40, 20, 20));
    assert_eq!((census.damaged_files, census.foreign.len()), (0, 0));

    // Other bytes under a range's name are replaced, and whoever asks is told of it.
    let name = contents(&store).await.into_keys().next().unwrap();
    store.publish(&name, &[b"other".to_vec().into()]).await.unwrap();
    assert_eq!(store.read(&name).await.unwrap(), &b"other"[..]);
    assert_eq!(write(&mut again, &events(0, 40)).await.unwrap(), Held::All);
    assert_eq!(write(&mut again, &events(40, 40)).await.unwrap(), Held::All);
    assert_eq!(contents(&store).await, files(folder.path()));

    // Only one of many gets a name that is to be taken once.
    let racers = (0..8u8).map(|n| {
        let store = store.clone();
        async move { store.create("click/raced", &[vec![n; 64].into()]).await }
    });
    let won = futures::future::join_all(racers).await;
    assert_eq!(won.iter().filter(|won| matches!(won, Ok(true))).count(), 1, "{won:?}");
    let winner = won.iter().position(|won| matches!(won, Ok(true))).unwrap();
    assert_eq!(store.read("click/raced").await.unwrap(), vec![u8::try_from(winner).unwrap(); 64]);
    for _ in 0..2 {
        store.remove("click/raced").await.unwrap();
    }

    // Compacted, cleared away, verified.
    let compact = CompactSettings { older_than: Duration::ZERO, grace: Duration::ZERO, ..CompactSettings::default() };
    let mut compactor = Compactor::new(store.clone(), compact, 1);
    let soon = Micros::from_secs(4_000_000_000);
    let report = compactor.pass(soon, &CancellationToken::new()).await.unwrap();
    assert_eq!((report.hours, report.records, report.fault_count), (20, 80, 0), "{report:?}");
    let report = compactor.pass(soon, &CancellationToken::new()).await.unwrap();
    assert_eq!((report.hours, report.removed, report.fault_count), (0, 40 + 20, 0), "{report:?}");
    let verified = verify::verify(&store, &Scope::default()).await.unwrap();
    assert_eq!((verified.records, verified.files, verified.parts), (80, 0, 20));
    assert_eq!((verified.faults, verified.leftovers, verified.idle), (vec![], 0, 0));
    let census = census::count(&store, |_| Some(80)).await.unwrap();
    assert_eq!(census.records.values().sum::<u64>(), 80);
}

#[tokio::test]
async fn hdfs_holds_what_a_folder_holds() {
    conforms(hdfs(MINUTE)).await;
}

#[tokio::test]
async fn s3_holds_what_a_folder_holds() {
    conforms(s3(MINUTE)).await;
}

#[tokio::test]
async fn a_write_that_is_dropped_midway_leaves_no_name_on_hdfs() {
    let store = connect(&hdfs(MINUTE));
    let parts = [vec![7u8; 1 << 20].into()];
    for polls in 0..40 {
        let mut writing = std::pin::pin!(store.create("click/x", &parts));
        for _ in 0..polls {
            if futures::poll!(writing.as_mut()).is_ready() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    // Dropped at many moments: the name is there whole or not at all, and what was aside goes.
    if let Some(length) = store.length("click/x").await.unwrap() {
        assert_eq!(length, 1 << 20);
    }
    let mut left = usize::MAX;
    for _ in 0..100 {
        left = store.list("click").await.unwrap().iter().filter(|f| f.path != "click/x").count();
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(left, 0);
}

/// Stops the process of a server and lets it go on, whatever becomes of the test.
struct Stopped(String);

impl Stopped {
    fn server(name: &str) -> Stopped {
        let pids = Path::new(&address("PENSTOCK_TEST_CLUSTER")).join("pids").join(name);
        let pid = std::fs::read_to_string(&pids).unwrap_or_else(|e| panic!("{}: {e}", pids.display()));
        let pid = pid.split_whitespace().next().unwrap().to_owned();
        signal("-STOP", &pid);
        Stopped(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal("-CONT", &self.0);
    }
}

fn signal(which: &str, pid: &str) {
    assert!(std::process::Command::new("kill").args([which, pid]).status().unwrap().success());
}

#[tokio::test]
async fn a_stopped_datanode_costs_the_deadline_and_the_range_is_written_when_it_goes_on() {
    let archive = hdfs(Duration::from_secs(2));
    let store = connect(&archive);
    let mut sink = ArchiveSink::new(store.clone(), &settings(3)).unwrap();
    assert_eq!(write(&mut sink, &events(0, 20)).await.unwrap(), Held::All);
    let stopped = Stopped::server("datanode");
    let written = tokio::time::timeout(MINUTE, write(&mut sink, &events(20, 20))).await.expect("its own deadline");
    assert!(matches!(written, Err(SinkError::Unknown(_))), "{written:?}");
    drop(stopped);
    // As the pipeline does it: again, until it is there.
    let mut held = Err(SinkError::Retry(String::new()));
    for _ in 0..20 {
        held = write(&mut sink, &events(20, 20)).await;
        if held.is_ok() {
            break;
        }
    }
    assert_eq!(held.unwrap(), Held::All);
    let verified = verify::verify(&store, &Scope::default()).await.unwrap();
    assert_eq!((verified.records, verified.faults), (40, vec![]));
}

/// A server that takes connections and never answers: what a stopped process looks like.
#[tokio::test]
async fn a_server_that_hangs_or_is_away_costs_no_more_than_the_deadline() {
    let hung = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = hung.local_addr().unwrap().port();
    let keep = tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((stream, _)) = hung.accept().await {
            taken.push(stream);
        }
    });
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let timeout = Duration::from_secs(1);
    let on = |url: String, endpoint: Option<u16>| {
        let mut archive = ArchiveSettings { url: Some(url), timeout, ..ArchiveSettings::default() };
        if let Some(port) = endpoint {
            archive.options = [
                ("endpoint", format!("http://127.0.0.1:{port}")),
                ("allow_http", "true".to_owned()),
                ("access_key_id", "x".to_owned()),
                ("secret_access_key", "x".to_owned()),
            ]
            .map(|(key, value)| (key.to_owned(), value))
            .into();
        }
        archive
    };
    for (archive, hangs) in [
        (on(format!("hdfs://127.0.0.1:{port}/a"), None), true),
        (on("s3://bucket/a".to_owned(), Some(port)), true),
        (on(format!("hdfs://127.0.0.1:{away}/a"), None), false),
        (on("s3://bucket/a".to_owned(), Some(away)), false),
    ] {
        let mut sink = ArchiveSink::new(connect(&archive), &settings(3)).unwrap();
        let written = tokio::time::timeout(MINUTE, write(&mut sink, &events(0, 20))).await.expect("its own deadline");
        let right = match &written {
            Err(SinkError::Unknown(_)) => true,
            Err(SinkError::Retry(_)) => !hangs || archive.url.as_deref() == Some("s3://bucket/a"),
            _ => false,
        };
        assert!(right, "{:?}: {written:?}", archive.url);
    }
    keep.abort();
}
