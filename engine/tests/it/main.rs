//! The engine as its users see it: a real child process over the real library.
//!
//! One engine serves all tests of protocol and clients; those of the process's life start their
//! own. `engine_child` and `engine_parent` are not tests: they are what those processes run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a failure is the test's")]

mod clients;
mod http;
mod inserts;
mod process;

use penstock::settings::EngineSettings;
use penstock::telemetry::EngineSupervisorMetrics;
use penstock_engine::{EngineState, Parent, Program, Supervisor};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

fn settings() -> EngineSettings {
    EngineSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        max_memory_bytes: 1 << 30,
        max_query_memory_bytes: 256 << 20,
        max_queries: 8,
        max_query_bytes: 1 << 16,
        max_body_bytes: 64 << 20,
        body_timeout: Duration::from_secs(5),
        stop_timeout: Duration::from_secs(2),
        ..EngineSettings::default()
    }
}

/// An empty folder of this name below the build's own.
fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("engine").join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).unwrap();
    }
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// This test binary, running one of the two processes below.
fn program(what: &str, data: &Path, settings: &EngineSettings) -> Program {
    let mut program = Program::current(["--exact", what, "--ignored", "--nocapture", "--test-threads=2"]).unwrap();
    program.envs = vec![
        ("PENSTOCK_TEST_DATA".into(), data.into()),
        ("PENSTOCK_TEST_SETTINGS".into(), serde_json::to_string(settings).unwrap().into()),
    ];
    program
}

fn given() -> (PathBuf, EngineSettings) {
    let data = std::env::var_os("PENSTOCK_TEST_DATA").unwrap();
    let settings = std::env::var("PENSTOCK_TEST_SETTINGS").unwrap();
    (data.into(), serde_json::from_str(&settings).unwrap())
}

#[test]
#[ignore = "the engine's process, started by the tests"]
fn engine_child() {
    let (data, settings) = given();
    let run = penstock_engine::run(&settings, &data, Parent::Pipe, CancellationToken::new());
    tokio::runtime::Runtime::new().unwrap().block_on(run).unwrap();
}

#[test]
#[ignore = "a parent to be killed, started by the tests"]
fn engine_parent() {
    let (data, settings) = given();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let engine = start(&data, &settings);
        engine.ready(PATIENCE).await.unwrap();
        println!("\n{:?}", engine.state().borrow().clone());
        std::future::pending::<()>().await;
    });
}

fn start(data: &Path, settings: &EngineSettings) -> Supervisor {
    penstock_engine::library(settings).unwrap();
    let program = program("engine_child", data, settings);
    Supervisor::start(program, settings, EngineSupervisorMetrics::default(), CancellationToken::new())
}

fn pid(engine: &Supervisor) -> u32 {
    match &*engine.state().borrow() {
        EngineState::Ready { pid, .. } => *pid,
        state => panic!("{state:?}"),
    }
}

/// The engine that most tests share; it ends with this process.
struct Shared {
    url: String,
    secret: String,
    pid: u32,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let engine = start(&folder("shared"), &settings());
                let url = engine.ready(PATIENCE).await.unwrap();
                send.send(Shared { url, secret: engine.secret().to_owned(), pid: pid(&engine) }).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receive.recv_timeout(PATIENCE).unwrap()
    })
}

/// A request to the shared engine as anybody sends it.
fn reader() -> reqwest::RequestBuilder {
    reqwest::Client::new().post(&shared().url)
}

/// A request to the shared engine with the secret.
fn writer() -> reqwest::RequestBuilder {
    reader().header("X-ClickHouse-User", "penstock").header("X-ClickHouse-Key", &shared().secret)
}

/// Runs `sql` with the secret; panics on an exception.
async fn write(sql: &str) -> String {
    let answer = writer().body(sql.to_owned()).send().await.unwrap();
    let ok = answer.status().is_success();
    let text = answer.text().await.unwrap();
    assert!(ok, "{sql}: {text}");
    text
}

/// Runs `sql` as anybody; gives status, exception code and text.
async fn ask(sql: &str) -> (u16, i32, String) {
    outcome(reader().body(sql.to_owned())).await
}

async fn outcome(request: reqwest::RequestBuilder) -> (u16, i32, String) {
    let answer = request.send().await.unwrap();
    let code = answer.headers().get("X-ClickHouse-Exception-Code").map_or(0, |c| c.to_str().unwrap().parse().unwrap());
    (answer.status().as_u16(), code, answer.text().await.unwrap())
}

/// Waits until `check` holds; the wait ends the test when it never does.
async fn until<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let attempt = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, attempt).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// The value of a metric of the shared engine.
async fn metric(name: &str) -> f64 {
    metric_at(&shared().url, name).await
}

async fn metric_at(url: &str, name: &str) -> f64 {
    let text = reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap();
    let line = text.lines().find(|l| l.split([' ', '{']).next() == Some(name));
    line.and_then(|l| l.rsplit(' ').next()).and_then(|v| v.parse().ok()).unwrap_or(0.0)
}
