//! What leaves a connection, and when. The other end of the socket is the witness.

use super::*;
use crate::http::usage::Connections;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ANSWER: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}";

fn pair() -> (Withheld<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Withheld::new(ours, Connections::default().enter()), theirs)
}

/// What has arrived by now.
fn arrived(theirs: &UnixStream) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 20];
    match theirs.try_read(&mut bytes) {
        Ok(n) => bytes.truncate(n),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => bytes.clear(),
        Err(error) => panic!("{error}"),
    }
    bytes
}

fn problem() -> Problem {
    Problem::unavailable("spool_full", "the disk is full", Duration::from_secs(1))
}

#[tokio::test]
async fn an_answer_leaves_when_it_is_released_and_not_before() {
    let (mut ours, mut theirs) = pair();
    let promise = ours.promises();
    assert!(promise.withhold());
    assert!(!promise.withhold(), "one at a time");
    ours.write_all(ANSWER).await.unwrap();
    ours.flush().await.unwrap();
    theirs.writable().await.unwrap();
    assert!(arrived(&theirs).is_empty());
    promise.release();
    theirs.readable().await.unwrap();
    assert_eq!(arrived(&theirs), ANSWER);

    ours.write_all(b"more").await.unwrap();
    let mut more = [0; 4];
    theirs.read_exact(&mut more).await.unwrap();
    assert_eq!(&more, b"more", "without a promise it is a plain stream");
    assert!(promise.withhold());
}

#[tokio::test]
async fn a_promise_that_cannot_be_held_sends_the_problem_and_ends_the_connection() {
    let (mut ours, mut theirs) = pair();
    let promise = ours.promises();
    assert!(promise.withhold());
    ours.write_all(ANSWER).await.unwrap();
    promise.refuse(&problem());
    assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0, "the service is told that nothing more comes");
    assert_eq!(ours.write(ANSWER).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    ours.shutdown().await.unwrap();
    let mut text = String::new();
    theirs.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
    for line in ["connection: close", "retry-after: 1", "content-type: application/problem+json"] {
        assert!(head.lines().any(|l| l == line), "{line} in {head}");
    }
    assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["code"], "spool_full");
}

#[tokio::test]
async fn an_answer_beside_others_is_not_replaced_but_missing() {
    for before in [ANSWER, b""] {
        let (mut ours, mut theirs) = pair();
        let promise = ours.promises();
        assert!(promise.withhold());
        // Either there are two, or the promised one has not got here yet.
        ours.write_all(&[before, before].concat()).await.unwrap();
        promise.refuse(&problem());
        ours.shutdown().await.unwrap();
        let mut text = String::new();
        theirs.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "");
    }
}

#[tokio::test]
async fn what_the_socket_does_not_take_at_once_follows_in_order() {
    let (mut ours, mut theirs) = pair();
    let promise = ours.promises();
    let full = loop {
        match ours.0.io.borrow().try_write(&[b'.'; 4096]) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    assert!(promise.withhold());
    ours.write_all(ANSWER).await.unwrap();
    promise.release();
    assert!(!promise.withhold(), "something is still to be sent");
    let sending = async {
        ours.write_all(b"behind").await.unwrap();
        ours.shutdown().await.unwrap();
    };
    let mut all = Vec::new();
    let (read, ()) = tokio::join!(theirs.read_to_end(&mut all), sending);
    read.unwrap();
    assert!(all.starts_with(b"...") && all.ends_with(&[ANSWER, b"behind"].concat()));
}

#[tokio::test]
async fn a_connection_that_ends_waits_for_its_promise() {
    let (mut ours, mut theirs) = pair();
    let promise = ours.promises();
    assert!(promise.withhold());
    ours.write_all(ANSWER).await.unwrap();
    let mut shutdown = Box::pin(ours.shutdown());
    assert!(futures::poll!(shutdown.as_mut()).is_pending());
    promise.release();
    shutdown.await.unwrap();
    let mut all = Vec::new();
    theirs.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, ANSWER);
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let (mut ours, _theirs) = pair();
    let promise = ours.promises();
    assert!(promise.withhold());
    ours.write_all(&vec![0; MAX_KEPT]).await.unwrap();
    let mut more = Box::pin(ours.write_all(b"more"));
    assert!(futures::poll!(more.as_mut()).is_pending());
    promise.release();
    more.await.unwrap();
    assert!(ours.0.out.borrow().kept.capacity() <= ROOM, "and given back");
}
