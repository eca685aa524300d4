//! What a connection says, in which order, when its answers wait for a shared write.

use crate::support::{click, expected_ids, ids, send, start, start_with};
use reqwest::Method;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn post(body: &str, headers: &str) -> String {
    format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The status lines of answers that came one behind the other.
fn answers(text: &str) -> Vec<String> {
    let mut answers = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (head, behind) = rest.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{rest:?} in {text:?}"));
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap();
        answers.push(head[..12].to_owned());
        rest = &behind[length..];
    }
    answers
}

#[actix_rt::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let side = start();
    let bad = "{";
    let requests = [
        post(&click(1).to_string(), ""),
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        post(&click(2).to_string(), ""),
        post(&click(3).to_string(), "penstock-durability: disk\r\n"),
        post(bad, ""),
        post(&click(4).to_string(), ""),
        post(&click(5).to_string(), "connection: close\r\n"),
    ];
    let text = side.raw(requests.concat().as_bytes()).await;
    let expected = [202, 200, 202, 202, 400, 202, 202].map(|status| format!("HTTP/1.1 {status}"));
    assert_eq!(answers(&text), expected, "{text}");
    assert_eq!(ids(&side.events().await), expected_ids(1..=5));
    side.stop().await;
}

#[actix_rt::test]
async fn a_client_that_says_no_more_is_answered_all_the_same() {
    let side = start();
    let mut stream = TcpStream::connect(side.running.addresses.http).await.unwrap();
    stream.write_all(post(&click(1).to_string(), "").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(answers(&text), ["HTTP/1.1 202"]);
    side.stop().await;
}

#[actix_rt::test]
async fn answers_of_one_turn_go_each_to_its_own_connection() {
    let side = start();
    // The answers differ in what they accept.
    let exchange = async |n: u64| {
        let body = (0..n).map(|k| click(100 * n + k).to_string()).collect::<Vec<_>>().join(",");
        let text = side.raw(post(&format!("[{body}]"), "connection: close\r\n").as_bytes()).await;
        assert!(text.ends_with(&format!(r#"{{"accepted":{n},"rejected":[]}}"#)), "{n}: {text}");
    };
    futures::future::join_all((1..60).map(exchange)).await;
    assert_eq!(side.events().await.len(), (1..60).sum::<usize>());
    side.stop().await;
}

#[actix_rt::test]
async fn an_idle_connection_is_closed_and_one_whose_answer_is_awaited_is_not() {
    let side = start_with(|s| s.sidecar.keep_alive = Duration::from_secs(1));
    // No state will come; the drain answers it.
    let awaited = tokio::task::spawn_local(send(side.request(Method::GET, "/v1/stopped?after=0&wait=60s")));
    while side.metric("penstock_stop_list_watchers").await < 1 {
        tokio::task::yield_now().await;
    }
    let mut stream = TcpStream::connect(side.running.addresses.http).await.unwrap();
    stream.write_all(post(&click(1).to_string(), "").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(answers(&text), ["HTTP/1.1 202"]);
    assert!(!awaited.is_finished());
    side.stop().await;
    assert_eq!(awaited.await.unwrap().status, 200);
}
