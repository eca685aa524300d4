//! Shutdown: what is open is finished, what waits ends at once, what was acknowledged is there.

use crate::support::{OK, click, expected_ids, ids, send, start, start_in, start_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[actix_rt::test]
async fn an_open_request_is_finished_and_kept() {
    let side = start();
    let body = click(1).to_string();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(side.running.addresses.http).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..20]).await.unwrap();
    while side.metric("penstock_sidecar_inflight_requests").await < 2 {
        tokio::task::yield_now().await;
    }
    side.shutdown.cancel();
    let address = side.running.addresses.http;
    // The listener is closed while the request is still open.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(&body.as_bytes()[20..]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "no request may follow: {answer}");
    let dir = side.stop().await;
    let side = start_in(dir, |_| {});
    assert_eq!(ids(&side.events().await), expected_ids([1]));
    side.stop().await;
}

#[actix_rt::test]
async fn long_polls_and_streams_end_at_once() {
    let side = start_with(|s| s.sidecar.drain_timeout = std::time::Duration::from_secs(600));
    let poll = tokio::task::spawn_local(send(side.request(reqwest::Method::GET, "/v1/stopped?after=0&wait=60s")));
    let request = side.request(reqwest::Method::GET, "/v1/stopped").header("accept", "text/event-stream");
    let stream = tokio::task::spawn_local(send(request));
    while side.metric("penstock_stop_list_watchers").await < 2 {
        tokio::task::yield_now().await;
    }
    side.stop().await;
    assert_eq!(poll.await.unwrap().status, 200);
    assert!(stream.await.unwrap().text.starts_with("id: 0\nevent: full\n"));
}

#[actix_rt::test]
async fn what_was_acknowledged_before_the_stop_is_there_after_it() {
    let side = start();
    for n in 0..50 {
        assert_eq!(send(side.post("/v1/events", click(n).to_string())).await.status, OK);
    }
    let dir = side.stop().await;
    let side = start_in(dir, |_| {});
    assert_eq!(ids(&side.events().await), expected_ids(0..50));
    side.stop().await;
}
