//! Commands that work on the parts themselves, run as an operator runs them: `archive compact` and
//! `verify` on HDFS, `topics apply` on Kafka, `migrate statistics` on a ClickHouse. What they did is
//! looked at from outside: Hadoop's file shell, the broker's own answer, `system.tables`.
#![cfg(feature = "cluster")]
#![allow(clippy::panic, reason = "helpers of tests fail like tests")]

use penstock_tests::fleet::{Addresses, Parts};
use penstock_tests::{System, oracle, penstock};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs `penstock` and gives its standard output, read as JSON.
fn json(arguments: &[&str], code: i32) -> Value {
    let output = Command::new(penstock()).args(arguments).stdin(Stdio::null()).output().expect("penstock runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "penstock {arguments:?}\n--- stdout\n{out}\n--- stderr\n{err}");
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("penstock {arguments:?}: {e}: {out}"))
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a temporary folder");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

/// Hadoop's own file shell.
fn hadoop(servers: &Addresses, arguments: &[&str]) -> String {
    let output = Command::new("java")
        .args(["-Xmx128m", "-cp", servers.of("HDFS_CLASSPATH"), "org.apache.hadoop.fs.FsShell"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("java runs");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "hadoop fs {arguments:?}: {err}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every file below a folder of HDFS, as URLs.
fn files(servers: &Addresses, folder: &str) -> Vec<String> {
    let listed = hadoop(servers, &["-ls", "-R", folder]);
    let lines = listed.lines().filter(|line| line.starts_with('-'));
    lines.filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect()
}

fn ending<'a>(files: &'a [String], end: &str) -> Vec<&'a String> {
    files.iter().filter(|file| file.ends_with(end)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_on_hdfs_is_verified_compacted_and_a_lost_file_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let servers = Addresses::of_environment();
    let root = format!("/penstock/commands-{:08x}", rand::random::<u32>());
    let archive = format!("[archive]\nurl = \"{}{root}\"\nmax_age = \"300ms\"\n", servers.of("HDFS"));
    let archive = format!("{archive}\n[archive.compact]\nolder_than = \"1s\"\ngrace = \"0s\"\n");
    let mut system = System::prepare(folder.path(), &archive);
    system.start();
    system.ready().await;
    let input = oracle::input(folder.path());
    let _ = system.expect(&["catalogue", "import", text(&input.catalogue)], 0);
    // A few hours of them: each is a folder with its own files, claims and manifest.
    let events = std::fs::read_to_string(&input.events).expect("the events are there");
    let events: Vec<&str> = events.lines().take(2_000).collect();
    let some = written(folder.path(), "some.jsonl", &events.join("\n"));
    let _ = system.expect(&["ingest", text(&some)], 0);
    let _ = system.expect(&["reconcile", "--wait", "120s"], 0);
    assert_eq!(system.stop().await, Some(0));
    let records = events.len();

    let config = written(folder.path(), "archive.toml", &archive);
    let verify = |code| json(&["archive", "verify", "--json", "--config", text(&config)], code);
    let before = verify(0);
    assert_eq!((before["records"].as_u64(), before["parts"].as_u64()), (Some(records as u64), Some(0)), "{before}");

    let input_files = before["files"].as_u64().expect("a number");
    let compact =
        || json(&["archive", "compact", "--once", "--older-than", "0s", "--json", "--config", text(&config)], 0);
    let done = compact();
    assert_eq!((&done["records"], &done["files"]), (&before["records"], &before["files"]), "{done}");
    let after = verify(0);
    assert_eq!((&after["records"], after["files"].as_u64()), (&before["records"], Some(0)), "{after}");
    let root = format!("{}{root}", servers.of("HDFS"));
    let there = files(&servers, &root);
    assert_eq!(Some(ending(&there, ".parquet").len() as u64), done["parts"].as_u64(), "{there:?}");
    // What was replaced goes once its grace is over, Avro files and claims, and then there is nothing left to do.
    let mut removed = done["removed"].as_u64().unwrap_or_default();
    while let Some(more @ 1..) = compact()["removed"].as_u64() {
        removed += more;
        assert!(removed < 10 * input_files, "it removes and removes: {removed}");
    }
    assert!(removed >= input_files, "every Avro file that was taken: {removed} of {input_files}");
    let there = files(&servers, &root);
    assert!(ending(&there, ".avro").is_empty(), "{there:?}");
    assert_eq!(verify(0)["records"], before["records"]);

    let lost = ending(&there, ".parquet")[0];
    let _ = hadoop(&servers, &["-rm", "-skipTrash", lost]);
    let broken = verify(4);
    let file = lost.rsplit('/').next().unwrap_or_default();
    assert!(broken["faults"].to_string().contains(file), "{file} is not named in {broken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_shown_made_and_grown_as_the_configuration_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name = format!("c{:08x}", rand::random::<u32>());
    let servers = Addresses::of_environment();
    let brokers: Vec<String> = servers.of("KAFKA").split(',').map(|b| format!("{b:?}")).collect();
    let config = |partitions: u32| {
        let kinds = ["impression", "visit", "click", "conversion"].map(|kind| format!("{kind} = \"{name}.{kind}\"\n"));
        let text = format!(
            "[kafka]\nbrokers = [{}]\npartitions = {partitions}\ndead_topic = \"{name}.dead\"\nstate_topic = \"{name}.state\"\n\
             kpis_topic = \"{name}.kpis\"\n\n[kafka.topics]\n{}",
            brokers.join(", "),
            kinds.concat()
        );
        written(folder.path(), "topics.toml", &text)
    };
    let apply =
        |config: &Path, how: &str, code| json(&["topics", "apply", how, "--json", "--config", text(config)], code);
    let few = config(2);
    let missing = apply(&few, "--check", 4);
    assert_eq!(missing.as_array().map(Vec::len), Some(7), "four types, letters, states, figures: {missing}");
    let _ = apply(&few, "--yes", 0);
    settled(|| apply_code(text(&few))).await;
    assert_eq!(apply(&few, "--check", 0), Value::Array(Vec::new()));
    let many = config(5);
    let grown = apply(&many, "--check", 4);
    assert_eq!(grown.as_array().map(Vec::len), Some(4), "{grown}");
    let _ = apply(&many, "--yes", 0);
    settled(|| apply_code(text(&many))).await;
    // Kafka's own word for it, by the client library's metadata.
    let partitions = penstock::kafka::SharedProducer::new(
        &penstock::settings::KafkaSettings {
            brokers: servers.of("KAFKA").split(',').map(str::to_owned).collect(),
            ..Default::default()
        },
        penstock::kafka::ProducerOptions::default(),
    )
    .expect("a producer")
    .current()
    .partitions(&format!("{name}.click"), std::time::Duration::from_secs(30));
    assert_eq!(partitions.expect("Kafka answers"), Some(5));
}

fn apply_code(config: &str) -> bool {
    let output = Command::new(penstock())
        .args(["topics", "apply", "--check", "--config", config])
        .stdin(Stdio::null())
        .output()
        .expect("penstock runs");
    output.status.code() == Some(0)
}

/// Brokers tell each other of a change in their own time.
async fn settled(holds: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "the brokers do not agree");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clickhouse_without_tables_gets_them_and_a_changed_one_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = Parts::start(&folder.path().join("engine"), &["engine"]);
    let servers = engine.addresses();
    let (url, password) = (servers.of("CLICKHOUSE"), servers.of("PASSWORD_FILE"));
    let database = format!("c{:08x}", rand::random::<u32>());
    let config = written(
        folder.path(),
        "statistics.toml",
        &format!(
            "[statistics]\nurl = {url:?}\nuser = \"penstock\"\npassword = {{ file = {password:?} }}\ndatabase = \"{database}\"\n"
        ),
    );
    let migrate = |how: &str, code| json(&["migrate", "statistics", how, "--json", "--config", text(&config)], code);
    let missing = migrate("--check", 4);
    assert!(missing.to_string().contains("events"), "{missing}");
    assert_eq!(migrate("--yes", 0), Value::Array(Vec::new()));
    assert_eq!(migrate("--check", 0), Value::Array(Vec::new()));
    let secret = std::fs::read_to_string(password).expect("the password's file");
    let ask = async |sql: String| {
        let client = reqwest::Client::new();
        let request = client.post(url).basic_auth("penstock", Some(secret.trim())).body(sql);
        let answer = request.send().await.expect("ClickHouse answers");
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
        answer.text().await.expect("text")
    };
    let tables =
        ask(format!("SELECT name FROM system.tables WHERE database = '{database}' ORDER BY name FORMAT TSV")).await;
    assert!(tables.lines().any(|t| t == "events") && tables.lines().any(|t| t == "stats_minute"), "{tables}");
    // Somebody took a column away: it is named, put back, and then nothing differs.
    ask(format!("ALTER TABLE {database}.events DROP COLUMN goal")).await;
    let changed = migrate("--check", 4);
    assert!(changed.to_string().contains("goal"), "{changed}");
}
