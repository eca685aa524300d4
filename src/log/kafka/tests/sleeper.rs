//! A consumer that is stopped past its session timeout and continued.
//!
//! The sleeper is a process of its own: this test binary, started again for one test.

use super::*;
use crate::log::{Log as _, LogError, Position};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

const TOPIC: &str = "PENSTOCK_SLEEPER_TOPIC";

/// The sleeper's life; as a test of its own it has nothing to do.
#[tokio::test]
async fn the_sleepers_own_life() {
    let Ok(topic) = std::env::var(TOPIC) else { return };
    let id = log_id(&topic, 0);
    let member = join(&topic, &topic, "sleeper");
    owns(&member, 1).await;
    let mut log = open(&fetcher(), id.clone(), member.owner(&id), None);
    log.store(Position { next: 5, pinned: Some(10), hint: 1 }).await.unwrap();
    println!("sleeper: stored");
    // The parent stops this process before it writes a line, and continues it after.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let answer = loop {
        match log.store(Position { next: 10, pinned: None, hint: 0 }).await {
            Err(LogError::Io { .. }) => {} // may pass, and a pipeline would try again
            other => break other,
        }
    };
    println!("sleeper: {}", if matches!(answer, Err(LogError::Fenced(_))) { "fenced" } else { "not fenced" });
}

#[tokio::test]
async fn a_consumer_that_slept_past_its_session_is_fenced_and_moves_no_position_back() {
    let topic = topic(1).await;
    append(&topic, 0, &vec![b"x".to_vec(); 30]).await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "log::kafka::tests::sleeper::the_sleepers_own_life"])
        .env(TOPIC, &topic)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("sleeper: stored")));
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP).unwrap();

    let id = log_id(&topic, 0);
    let member = join(&topic, &topic, "heir");
    owns(&member, 1).await;
    let mut log = open(&fetcher(), id.clone(), member.owner(&id), None);
    assert_eq!(log.position().await.unwrap(), Some(Position { next: 5, pinned: Some(10), hint: 1 }));
    let ahead = Position { next: 20, pinned: Some(25), hint: 0 };
    log.store(ahead).await.unwrap();

    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(
        lines.find(|line| line.contains("sleeper: ")).as_deref().map(|l| l.ends_with("sleeper: fenced")),
        Some(true)
    );
    // The sleeper has rejoined and may share the group now, so the position is asked of the broker.
    drop(lines);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(log);
    drop(member);
    let member = join(&topic, &topic, "heir");
    owns(&member, 1).await;
    let mut log = open(&fetcher(), id.clone(), member.owner(&id), None);
    assert_eq!(log.position().await.unwrap(), Some(ahead));
}
