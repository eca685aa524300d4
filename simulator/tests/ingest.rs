//! A file against a sidecar that drops requests: each line counts once, each rejection is named.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a failure is the test's")]

#[path = "support/mod.rs"]
mod support;

use penstock_simulator::ingest::{IngestError, IngestOptions, IngestReport, Progress, RejectedLine, Source, ingest};
use penstock_simulator::post::PostOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::{Mood, sidecar};

struct Loaded {
    report: IngestReport,
    outcome: Result<(), IngestError>,
    rejected: Vec<RejectedLine>,
    progress: Arc<Progress>,
}

async fn load(file: PathBuf, url: &str, change: impl FnOnce(&mut IngestOptions)) -> Loaded {
    let mut options = IngestOptions::new(PostOptions::new(url));
    options.batch_events = 10;
    options.post.first_wait = Duration::from_millis(2);
    change(&mut options);
    let (progress, mut rejected) = (Arc::new(Progress::default()), Vec::new());
    let (report, outcome) = ingest(Source::File(file), &options, &progress, |r| {
        rejected.push(r.clone());
        Ok(())
    })
    .await;
    Loaded { report, outcome, rejected, progress }
}

fn lines(n: usize) -> String {
    (1..=n).map(|i| format!("{{\"n\":{i}}}\n")).collect()
}

fn written(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[tokio::test]
async fn a_file_counts_once_though_two_of_three_requests_go_unanswered() {
    let moods = [Mood::DropAfter, Mood::Good, Mood::DropBefore, Mood::HalfAnswer, Mood::Full, Mood::Good];
    let server = sidecar(move |n| moods[n % moods.len()]).await;
    let dir = tempfile::tempdir().unwrap();
    let loaded = load(written(dir.path(), "f.ndjson", lines(205).as_bytes()), &server.url, |_| {}).await;
    loaded.outcome.unwrap();
    assert_eq!((loaded.report.accepted, loaded.report.rejected), (205, 0));
    let seen = server.seen.lock().unwrap();
    let mut kept = seen.kept.clone();
    kept.sort_by_key(|l| l.len() * 1000 + l[5..l.len() - 1].parse::<usize>().unwrap());
    assert_eq!(kept.join("\n") + "\n", lines(205), "each line once");
    assert!(seen.repeats > 0, "no answer was lost, the test shows nothing");
    assert_eq!(loaded.report.retries, (seen.requests - seen.keys.len()) as u64);
}

#[tokio::test]
async fn a_server_that_comes_up_late_gets_everything() {
    // The port is free until the server takes it.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = written(dir.path(), "f.ndjson", lines(20).as_bytes());
    let url = format!("http://{port}");
    let (options, progress) = (IngestOptions::new(PostOptions::new(url)), Arc::new(Progress::default()));
    let retries = progress.retries.clone();
    let loading = tokio::spawn(async move { ingest(Source::File(file), &options, &progress, |_| Ok(())).await });
    let server = sidecar(|_| Mood::Good).await;
    while retries.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    // Only now that a request was refused does the server appear, by way of a plain relay.
    let listener = tokio::net::TcpListener::bind(port).await.unwrap();
    let to = server.url.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut upstream = tokio::net::TcpStream::connect(&to).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut upstream).await });
        }
    });
    let (report, outcome) = loading.await.unwrap();
    outcome.unwrap();
    assert_eq!(report.accepted, 20);
}

#[tokio::test]
async fn rejected_lines_are_named_by_their_number_in_the_file_in_order() {
    let server = sidecar(|_| Mood::Good).await;
    let dir = tempfile::tempdir().unwrap();
    let long = "y".repeat(200);
    let text = format!("{{\"n\":1}}\n\n\"bad\"\n{long}\n{}\"bad\"\n", lines(30));
    let loaded =
        load(written(dir.path(), "f.ndjson", text.as_bytes()), &server.url, |options| options.max_line_bytes = 100)
            .await;
    loaded.outcome.unwrap();
    let named: Vec<_> = loaded.rejected.iter().map(|r| (r.line, r.code.as_str())).collect();
    assert_eq!(named, [(3, "invalid"), (4, "line_too_long"), (35, "invalid")]);
    assert_eq!((loaded.report.accepted, loaded.report.rejected), (31, 3));
    assert_eq!(loaded.progress.lines.load(Ordering::Relaxed), 35);
}

#[tokio::test]
async fn a_batch_that_is_too_large_for_the_server_is_halved_down_to_the_line() {
    let server = sidecar(|_| Mood::AtMost(24)).await;
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{}{{\"long\":\"{}\"}}\n{}", lines(4), "z".repeat(40), lines(4));
    let loaded = load(written(dir.path(), "f.ndjson", text.as_bytes()), &server.url, |_| {}).await;
    loaded.outcome.unwrap();
    assert_eq!((loaded.report.accepted, loaded.report.rejected), (8, 1));
    assert_eq!((loaded.rejected[0].line, loaded.rejected[0].code.as_str()), (5, "line_too_long"));
}

#[tokio::test]
async fn packed_files_are_known_by_their_name_or_their_first_bytes() {
    let server = sidecar(|_| Mood::Good).await;
    let dir = tempfile::tempdir().unwrap();
    let text = lines(25);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    for (name, bytes) in [("a.ndjson.gz", &gzip), ("b", &gzip), ("c.zst", &zstd), ("d.ndjson", &zstd)] {
        let loaded = load(written(dir.path(), name, bytes), &server.url, |_| {}).await;
        loaded.outcome.unwrap();
        assert_eq!(loaded.report.accepted, 25, "{name}");
        assert_eq!(loaded.progress.bytes.load(Ordering::Relaxed), bytes.len() as u64, "{name}");
    }
}

#[tokio::test]
async fn a_file_that_ends_in_the_middle_is_an_error_that_tells_what_was_taken_in() {
    let server = sidecar(|_| Mood::Good).await;
    let dir = tempfile::tempdir().unwrap();
    let zstd = zstd::encode_all(lines(100_000).as_bytes(), 1).unwrap();
    let half = written(dir.path(), "half.zst", &zstd[..zstd.len() / 2]);
    let loaded = load(half, &server.url, |options| options.batch_events = 1_000).await;
    assert!(matches!(loaded.outcome, Err(IngestError::Read { .. })));
    let kept = server.seen.lock().unwrap().kept.len() as u64;
    assert!(loaded.report.accepted > 0 && loaded.report.accepted + loaded.report.rejected >= kept);
    let not_gzip = load(written(dir.path(), "x.gz", b"{}\n"), &server.url, |_| {}).await;
    assert!(matches!(not_gzip.outcome, Err(IngestError::Read { .. })));
    let missing = load(dir.path().join("nothing"), &server.url, |_| {}).await;
    assert!(missing.outcome.unwrap_err().to_string().contains("nothing"));
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_with_the_lines_named() {
    let server = sidecar(|n| if n < 2 { Mood::Good } else { Mood::DropBefore }).await;
    let dir = tempfile::tempdir().unwrap();
    let loaded = load(written(dir.path(), "f.ndjson", lines(40).as_bytes()), &server.url, |options| {
        options.connections = 1;
        options.post.give_up_after = Duration::from_millis(300);
    })
    .await;
    let error = loaded.outcome.unwrap_err().to_string();
    assert!(error.starts_with("lines 21 to 30 were not taken in: no answer from"), "{error}");
    assert_eq!(loaded.report.accepted, 20);
}

#[tokio::test]
async fn the_same_key_prefix_continues_a_load_without_doubles() {
    let server = sidecar(|n| if n == 3 { Mood::DropAfter } else { Mood::Good }).await;
    let dir = tempfile::tempdir().unwrap();
    let file = written(dir.path(), "f.ndjson", lines(55).as_bytes());
    let prefixed = |options: &mut IngestOptions| "again".clone_into(&mut options.key_prefix);
    for _ in 0..2 {
        let loaded = load(file.clone(), &server.url, prefixed).await;
        loaded.outcome.unwrap();
        assert_eq!(loaded.report.accepted, 55);
    }
    assert_eq!(server.seen.lock().unwrap().kept.len(), 55);
}
