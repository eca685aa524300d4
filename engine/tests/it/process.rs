//! The engine's process: locks, ports, deaths of either side.

use crate::*;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

async fn ask_at(url: &str, secret: &str, sql: &str) -> String {
    let request = reqwest::Client::new().post(url).header("X-ClickHouse-Key", secret).body(sql.to_owned());
    let (status, _, text) = outcome(request).await;
    assert_eq!(status, 200, "{sql}: {text}");
    text
}

fn lives(pid: u32) -> bool {
    // A zombie has ended; only its parent's wait is missing.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ") && test_kill_process(Pid::from_raw(pid as i32).unwrap()).is_ok()
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_killed_parent_leaves_no_engine_behind_even_while_a_query_runs() {
    let data = folder("orphan");
    let program = program("engine_parent", &data, &settings());
    let mut parent =
        Command::new(program.path).args(program.args).envs(program.envs).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let ready = lines.find_map(|l| l.ok().filter(|l| l.starts_with("Ready"))).unwrap();
    let url = ready.split('"').nth(1).unwrap().to_owned();
    let pid: u32 = ready.rsplit("pid: ").next().unwrap().trim_end_matches([' ', '}']).parse().unwrap();
    let client = reqwest::Client::new();
    let query = client.post(&url).body("SELECT count() FROM numbers(1000000000000)").send();
    let query = tokio::spawn(query);
    until("the query runs", || async {
        outcome(client.post(&url).body("SELECT count() FROM system.processes WHERE query LIKE '%1000000000000%'"))
            .await
            .2
            == "2\n"
    })
    .await;
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the engine is gone", || async { !lives(pid) }).await;
    assert!(query.await.unwrap().is_err());
}

#[tokio::test]
async fn a_dead_engine_is_started_again_with_its_data_and_its_password() {
    let data = folder("restart");
    let engine = start(&data, &settings());
    let url = engine.ready(PATIENCE).await.unwrap();
    ask_at(&url, engine.secret(), "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a").await;
    ask_at(&url, engine.secret(), "INSERT INTO t VALUES (7)").await;
    let first = pid(&engine);
    let mut state = engine.state();
    kill(first);
    state.wait_for(|s| matches!(s, EngineState::Restarting { .. })).await.unwrap();
    let url = engine.ready(PATIENCE).await.unwrap();
    assert_ne!(pid(&engine), first);
    assert_eq!(ask_at(&url, engine.secret(), "SELECT * FROM t").await, "7\n");
    let second = pid(&engine);
    engine.stop().await;
    assert!(!lives(second));
}

#[tokio::test]
async fn a_hung_engine_is_ended_and_started_again() {
    let data = folder("hung");
    let engine = start(&data, &EngineSettings { hang_timeout: Duration::from_secs(2), ..settings() });
    engine.ready(PATIENCE).await.unwrap();
    let first = pid(&engine);
    let mut state = engine.state();
    kill_process(Pid::from_raw(first as i32).unwrap(), Signal::STOP).unwrap();
    let why = state.wait_for(|s| matches!(s, EngineState::Restarting { .. })).await.unwrap().clone();
    assert!(format!("{why:?}").contains("engine.hang_timeout"), "{why:?}");
    let url = engine.ready(PATIENCE).await.unwrap();
    assert_ne!(pid(&engine), first);
    assert!(!lives(first));
    assert_eq!(ask_at(&url, engine.secret(), "SELECT 7").await, "7\n");
    engine.stop().await;
}

#[tokio::test]
async fn a_start_waits_for_the_folders_lock_and_for_the_port() {
    let data = folder("locked");
    let holder = std::fs::File::create(data.join("penstock-engine.lock")).unwrap();
    flock(&holder, FlockOperation::LockExclusive).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = port.local_addr().unwrap();
    let engine = start(&data, &EngineSettings { listen, ..settings() });
    let mut state = engine.state();
    state.wait_for(|s| *s == EngineState::Starting("the data folder's lock")).await.unwrap();
    drop(holder);
    state.wait_for(|s| *s == EngineState::Starting("the port")).await.unwrap();
    drop(port);
    assert_eq!(engine.ready(PATIENCE).await.unwrap(), format!("http://{listen}"));
    engine.stop().await;
}

#[tokio::test]
async fn a_folder_that_stays_locked_is_an_error_that_names_it() {
    let data = folder("held");
    let holder = std::fs::File::create(data.join("penstock-engine.lock")).unwrap();
    flock(&holder, FlockOperation::LockExclusive).unwrap();
    let engine = start(&data, &EngineSettings { start_timeout: Duration::from_millis(200), ..settings() });
    let mut state = engine.state();
    let seen = state.wait_for(|s| matches!(s, EngineState::Restarting { .. })).await.unwrap().clone();
    let EngineState::Restarting { why } = seen else { unreachable!() };
    assert!(why.contains("cannot lock") && why.contains("held"), "{why}");
    engine.stop().await;
}

#[tokio::test]
async fn a_stop_ends_long_queries_and_the_process() {
    let data = folder("stop");
    let engine = start(&data, &EngineSettings { stop_timeout: Duration::from_millis(300), ..settings() });
    let url = engine.ready(PATIENCE).await.unwrap();
    let pid = pid(&engine);
    let query =
        tokio::spawn(reqwest::Client::new().post(&url).body("SELECT count() FROM numbers(1000000000000)").send());
    until("the query runs", || async {
        outcome(reqwest::Client::new().post(&url).body("SELECT count() FROM system.processes")).await.2 == "2\n"
    })
    .await;
    engine.stop().await;
    assert!(!lives(pid));
    // Cut or told that it was cancelled (394): not answered as if it were whole.
    assert!(query.await.unwrap().map_or(true, |answer| answer.status() != 200));
}

#[tokio::test]
async fn the_engine_is_out_of_reach_of_the_terminals_signals() {
    let engine = start(&folder("group"), &settings());
    engine.ready(PATIENCE).await.unwrap();
    let engines = Pid::from_raw(pid(&engine) as i32).unwrap();
    assert_ne!(rustix::process::getpgid(Some(engines)).unwrap(), rustix::process::getpgid(None).unwrap());
    engine.stop().await;
}

#[tokio::test]
async fn a_full_house_is_told_with_503_and_code_202() {
    let data = folder("full");
    let engine = start(&data, &EngineSettings { max_queries: 2, ..settings() });
    let url = engine.ready(PATIENCE).await.unwrap();
    let client = reqwest::Client::new();
    let long = || tokio::spawn(client.post(&url).body("SELECT count() FROM numbers(1000000000000)").send());
    let running = [long(), long()];
    let refused = || async { outcome(client.post(&url).body("SELECT 1")).await };
    // Not asked by a query, which would take a place itself.
    until("the house is full", || async { metric_at(&url, "penstock_engine_queries_running").await == 2.0 }).await;
    let (status, code, _) = refused().await;
    assert_eq!((status, code), (503, 202));
    running.iter().for_each(tokio::task::JoinHandle::abort);
    until("places are free again", || async { refused().await.0 == 200 }).await;
    engine.stop().await;
}
