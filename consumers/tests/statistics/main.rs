//! The statistics sink against the real engine; the oracle is SQL in the database itself.
//!
//! Tests share one engine, each with a database of its own; the one that kills has its own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a failure is the test's")]

mod cluster;
mod crashes;
mod load;
mod rows;
mod schema;
mod speed;

use clickhouse::Client;
use penstock::event::{self, Defaults, IdSource};
use penstock::log::{LogId, Range, Records};
use penstock::pipeline::{Held, Poison, Sink, SinkError};
use penstock::pricing::{Rates, Snapshot, Version, Versions};
use penstock::settings::{EngineSettings, StatisticsSettings};
use penstock::telemetry::{EngineSupervisorMetrics, SharedRegistry, StatisticsMetrics};
use penstock::time::{Micros, SystemClock};
use penstock_consumers::statistics::{Batch, Pace, Servers, StatisticsSink, Target};
use penstock_engine::{Parent, Program, Supervisor, WRITER};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

fn engine_settings() -> EngineSettings {
    EngineSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        max_memory_bytes: 1 << 30,
        max_query_memory_bytes: 512 << 20,
        ..EngineSettings::default()
    }
}

fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("statistics").join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).unwrap();
    }
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
#[ignore = "the engine's process, started by the tests"]
fn engine_child() {
    let data = std::env::var_os("PENSTOCK_TEST_DATA").unwrap();
    let settings = serde_json::from_str(&std::env::var("PENSTOCK_TEST_SETTINGS").unwrap()).unwrap();
    let run = penstock_engine::run(&settings, Path::new(&data), Parent::Pipe, CancellationToken::new());
    tokio::runtime::Runtime::new().unwrap().block_on(run).unwrap();
}

fn start(data: &Path, settings: &EngineSettings) -> Supervisor {
    penstock_engine::library(settings).unwrap();
    let mut program =
        Program::current(["--exact", "engine_child", "--ignored", "--nocapture", "--test-threads=2"]).unwrap();
    program.envs = vec![
        ("PENSTOCK_TEST_DATA".into(), data.into()),
        ("PENSTOCK_TEST_SETTINGS".into(), serde_json::to_string(settings).unwrap().into()),
    ];
    Supervisor::start(program, settings, EngineSupervisorMetrics::default(), CancellationToken::new())
}

fn target(engine: &Supervisor, url: String) -> Target {
    let (user, password) = (Some(WRITER.to_owned()), Some(engine.secret().to_owned()));
    Target { url, user, password, ..Target::default() }
}

/// An engine that ends with this process.
fn engine(name: &'static str) -> Target {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let engine = start(&folder(name), &engine_settings());
            let url = engine.ready(PATIENCE).await.unwrap();
            send.send(target(&engine, url)).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receive.recv_timeout(PATIENCE).unwrap()
}

/// The engine that most tests share.
fn shared() -> &'static Target {
    static SHARED: OnceLock<Target> = OnceLock::new();
    SHARED.get_or_init(|| engine("shared"))
}

fn settings(database: &str) -> StatisticsSettings {
    StatisticsSettings {
        database: database.to_owned(),
        max_inserts_per_second: 1_000,
        timeout: Duration::from_secs(20),
        ..StatisticsSettings::default()
    }
}

fn sink_at(target: &Target, settings: &StatisticsSettings) -> StatisticsSink {
    sink_of(&Servers::from(target), settings)
}

fn sink_of(servers: &Servers, settings: &StatisticsSettings) -> StatisticsSink {
    let metrics = SharedRegistry::new().with(StatisticsMetrics::register);
    let pace = Pace::new(settings.max_inserts_per_second);
    StatisticsSink::new(servers, settings, pace, Arc::new(SystemClock), metrics).unwrap()
}

/// A sink into a database of its own on the shared engine, its tables made.
async fn sink(database: &str) -> (StatisticsSink, Client) {
    let settings = settings(database);
    let mut sink = sink_at(shared(), &settings);
    sink.start(&log(), penstock::log::Position::default()).await.unwrap();
    (sink, shared().client(database))
}

fn log() -> LogId {
    LogId { name: "spool-00000000000000aa".into(), partition: 3 }
}

const RECEIVED: Micros = Micros(1_700_000_000_000_000);

/// JSON events as records from offset `from` on.
fn records(from: u64, events: impl IntoIterator<Item = String>) -> Records {
    let defaults = Defaults {
        received: RECEIVED,
        server: "ad-1",
        max_future: Duration::from_secs(3600),
        max_event_bytes: 1 << 16,
    };
    let mut ids = IdSource::seeded(from);
    let (mut records, mut frame) = (Records::new(), Vec::new());
    for (offset, json) in (from..).zip(events) {
        frame.clear();
        event::admit(json.as_bytes(), &defaults, &mut ids, &mut frame).unwrap_or_else(|e| panic!("{json}: {e:?}"));
        records.push(offset, RECEIVED, &frame);
    }
    records
}

/// `n` clicks of campaign 7, a second apart, from 2017-11-06 on.
fn clicks(n: u64) -> impl Iterator<Item = String> {
    (0..n).map(|i| {
        let time = 1_509_984_000_000_u64 + i * 1000;
        let country = ["DE", "FR", "US"][i as usize % 3];
        format!(r#"{{"type":"click","time":{time},"payload":{{"tag":"t{}","country":"{country}"}}}}"#, i % 5)
    })
}

/// Tags t0 … t4 belong to campaign 7: 2000 micros a click, 500 per thousand impressions.
fn catalogue() -> Snapshot {
    let since_ever =
        |campaign| Versions::new(vec![Version { valid_from: Micros::MIN, known_from: Micros::MIN, value: campaign }]);
    let tags = (0..5).map(|i| (format!("t{i}").into(), since_ever(7))).collect();
    let rates = Rates { cpm_micros: Some(500), cpc_micros: Some(2000), cpa_micros: None };
    let rates = Versions::new(vec![Version { valid_from: Micros::MIN, known_from: Micros::MIN, value: rates }]);
    Snapshot::new(Micros::MAX, tags, [(7, rates)].into_iter().collect())
}

fn prepare(sink: &mut StatisticsSink, records: &Records) -> (Range, Batch, Vec<Poison>) {
    let (range, mut bad) = (records.range().unwrap(), Vec::new());
    let batch = sink.prepare(&log(), range, records, &catalogue(), &mut bad);
    (range, batch, bad)
}

/// Number of rows and of different offsets.
async fn count(client: &Client) -> (u64, u64) {
    client.query("SELECT count(), uniqExact(log_partition, log_offset) FROM events").fetch_one().await.unwrap()
}
