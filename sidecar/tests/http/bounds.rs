//! Bounds: connections, slow senders, rates, write keys, a full spool.

use crate::support::{OK, Side, click, send, start, start_with};
use futures::future::join_all;
use penstock::log::{Log, Position};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[actix_rt::test]
async fn a_thousand_connections_are_served_at_once() {
    let side = start();
    let address = side.running.addresses.http;
    let body = click(1).to_string();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // All are open, each in the midst of its body, before the first one is finished.
    let mut open = Vec::new();
    for _ in 0..1_000 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body.as_bytes()[..10]).await.unwrap();
        open.push(stream);
    }
    let answers = join_all(open.into_iter().map(|mut stream| {
        let rest = body.as_bytes()[10..].to_vec();
        async move {
            stream.write_all(&rest).await.unwrap();
            let mut answer = vec![0; 1_024];
            let n = stream.read(&mut answer).await.unwrap();
            String::from_utf8_lossy(&answer[..n]).starts_with("HTTP/1.1 202")
        }
    }))
    .await;
    assert_eq!(answers.iter().filter(|ok| **ok).count(), 1_000);
    assert_eq!(side.events().await.len(), 1_000);
    assert_eq!(side.metric("penstock_intake_inflight_bytes").await, 0);
    side.stop().await;
}

#[actix_rt::test]
async fn a_connection_is_kept_and_used_again() {
    let side = start();
    let body = click(1).to_string();
    let request = format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(side.running.addresses.http).await.unwrap();
    for _ in 0..3 {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 1_024];
        let n = stream.read(&mut answer).await.unwrap();
        assert!(answer[..n].starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(&answer[..n]));
    }
    side.stop().await;
}

#[actix_rt::test]
async fn a_body_that_does_not_come_is_cut_at_its_deadline() {
    let side = start_with(|s| s.sidecar.body_timeout = Duration::from_millis(200));
    let head = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n[";
    let answer = side.raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
    // A byte now and then does not help.
    let mut stream = TcpStream::connect(side.running.addresses.http).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    let drip = async {
        while write.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        _ = read.read_to_end(&mut answer) => {}
        () = drip => {}
    }
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"));
    assert_eq!(side.metric(r#"penstock_sidecar_problems_total{code="body_timeout"}"#).await, 2);
    side.stop().await;
}

#[actix_rt::test]
async fn a_head_that_does_not_come_is_cut_at_its_deadline() {
    let side = start_with(|s| s.sidecar.head_timeout = Duration::from_millis(200));
    let answer = side.raw(b"POST /v1/events HTTP/1.1\r\nhost: local").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    side.stop().await;
}

#[actix_rt::test]
async fn bodies_under_way_share_a_bounded_memory() {
    let side = start_with(|s| {
        s.intake.max_body_bytes = 1 << 20;
        s.intake.max_inflight_bytes = 1 << 20;
    });
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        1 << 20
    );
    let part = vec![b' '; 600 << 10];
    let mut first = TcpStream::connect(side.running.addresses.http).await.unwrap();
    first.write_all(head.as_bytes()).await.unwrap();
    first.write_all(&part).await.unwrap();
    while side.metric("penstock_intake_inflight_bytes").await < 600 << 10 {
        tokio::task::yield_now().await;
    }
    let mut second = TcpStream::connect(side.running.addresses.http).await.unwrap();
    second.write_all(head.as_bytes()).await.unwrap();
    // It may be cut while it is still sending.
    let _ = second.write_all(&part).await;
    let mut answer = Vec::new();
    let _ = second.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || (answer.starts_with("HTTP/1.1 503") && answer.contains("overloaded")), "{answer}");
    drop(first);
    while side.metric("penstock_intake_inflight_bytes").await > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(side.metric(r#"penstock_sidecar_problems_total{code="overloaded"}"#).await, 1);
    assert_eq!(send(side.post("/v1/events", click(1).to_string())).await.status, OK);
    side.stop().await;
}

#[actix_rt::test]
async fn unknown_write_keys_are_401_and_each_key_has_its_rate() {
    let side = start_with(|s| {
        s.intake.keys = vec!["alpha".into(), "beta".into()];
        s.intake.rate.events_per_second = 1;
        s.intake.rate.burst = 10;
    });
    let some = |n: u64| Value::from((0..n).map(click).collect::<Vec<_>>()).to_string();
    let post = |key: &'static str, n| side.post("/v1/events", some(n)).header("penstock-key", key);
    assert_eq!(send(side.post("/v1/events", some(1))).await.problem(), (401, "unknown_key".into()));
    assert_eq!(send(post("gamma", 1)).await.problem(), (401, "unknown_key".into()));
    assert_eq!(send(post("alpha", 10)).await.status, OK);
    let over = send(post("alpha", 5)).await;
    assert_eq!(over.problem(), (429, "rate_limited".into()));
    let wait: u64 = over.header("retry-after").parse().unwrap();
    assert!((1..=5).contains(&wait), "{wait}");
    assert_eq!(send(post("beta", 10)).await.status, OK, "another key has its own");
    assert_eq!(send(post("beta", 11)).await.problem(), (429, "rate_limited".into()), "never fits");
    assert_eq!(side.events().await.len(), 20, "what was refused is not kept");
    side.stop().await;
}

/// Reads a partition to its end as a sink would, so that retention may go on.
async fn pass(side: &Side) {
    side.spool.sync_now().unwrap();
    for partition in side.spool.partitions() {
        let mut reader = side.spool.reader("sink", partition).unwrap();
        let next = reader.end();
        reader.store(Position::at(next)).await.unwrap();
    }
    side.spool.housekeep().unwrap();
}

#[actix_rt::test]
async fn a_full_spool_answers_503_and_recovers_by_itself() {
    let side = start_with(|s| {
        s.sidecar.workers = 1;
        s.spool.max_bytes = 8 << 20;
        s.spool.max_group_bytes = 1 << 20;
    });
    pass(&side).await;
    let body = Value::from((0..2_000).map(click).collect::<Vec<_>>()).to_string();
    let mut kept = 0;
    let full = loop {
        let got = send(side.post("/v1/events", body.clone())).await;
        if got.status != OK {
            break got;
        }
        kept += 2_000;
        assert!(kept < 1_000_000, "the quota never came");
    };
    assert_eq!(full.problem(), (503, "spool_full".into()));
    assert!(full.header("retry-after").parse::<u64>().is_ok_and(|s| s >= 1));
    let ready = side.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["reasons"][0]["code"]), (503, &json!("spool_full")));
    assert_eq!(side.events().await.len(), kept, "everything acknowledged is there, and no more");
    pass(&side).await;
    assert_eq!(send(side.post("/v1/events", body)).await.status, OK);
    assert_eq!(side.get("/readyz").await.status, 200);
    side.stop().await;
}

#[actix_rt::test]
async fn health_readiness_and_metrics_answer() {
    let side = start();
    assert_eq!(side.get("/healthz").await.json(), json!({"status": "ok"}));
    let ready = side.get("/readyz").await;
    assert_eq!((ready.status, ready.json()["ready"].clone()), (200, json!(true)));
    assert_eq!(ready.json()["warnings"][0]["code"], "stop_list_stale", "{}", ready.text);
    let metrics = side.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(metrics.text.contains("# TYPE penstock_intake_accepted_events counter"));
    assert!(metrics.text.ends_with("# EOF\n"));
    assert_eq!(send(side.request(Method::HEAD, "/healthz")).await.status, 200);
    side.stop().await;
}
