//! Records from inside the process: replayed dead letters.

use crate::support::{OK, click, expected_ids, id, ids, send, start, start_in};
use futures::future::join_all;
use penstock_sidecar::intake::insert::InsertError;

/// The record of a click as intake wrote it, from a sidecar of its own.
async fn record(n: u64) -> Vec<u8> {
    let side = start();
    assert_eq!(send(side.post("/v1/events", click(n).to_string())).await.status, OK);
    let frame = side.frames().await.pop().unwrap();
    side.stop().await;
    frame
}

#[actix_rt::test]
async fn a_record_is_inserted_once_under_its_key_also_after_a_restart() {
    let frame = record(7).await;
    let side = start();
    let inserter = side.running.inserter.clone();
    let same: Vec<_> = join_all((0..5).map(|_| inserter.insert(b"letter", &frame))).await;
    let place = same[0].clone().unwrap();
    assert!(same.iter().all(|other| other.as_ref() == Ok(&place)), "{same:?}");
    assert_eq!(side.frames().await, std::slice::from_ref(&frame), "the bytes it had");
    let dir = side.stop().await;
    let side = start_in(dir, |_| {});
    let inserter = side.running.inserter.clone();
    assert_eq!(inserter.insert(b"letter", &frame).await, Ok(place));
    assert!(matches!(inserter.insert(b"letter", b"another").await, Err(InsertError::Refused(_))));
    assert_eq!(ids(&side.events().await), [id(7)]);
    side.stop().await;
}

#[actix_rt::test]
async fn inserted_records_and_requests_share_the_log() {
    let frames = [record(1).await, record(2).await];
    let side = start();
    let inserter = side.running.inserter.clone();
    let requests = (10..30).map(|n| send(side.post("/v1/events", click(n).to_string())));
    let inserts = frames.iter().zip([b"one", b"two"]).map(|(frame, key)| inserter.insert(key, frame));
    let (requests, inserts) = futures::join!(join_all(requests), join_all(inserts));
    assert!(requests.iter().all(|r| r.status == OK) && inserts.iter().all(Result::is_ok), "{inserts:?}");
    assert_eq!(ids(&side.events().await), expected_ids([1, 2].into_iter().chain(10..30)));
    side.stop().await;
    assert!(matches!(inserter.insert(b"late", &frames[0]).await, Err(InsertError::Refused(_))), "it has drained");
}
