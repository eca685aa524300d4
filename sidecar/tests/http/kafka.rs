//! `Penstock-Durability: kafka`: answered once the forwarder says that it is replicated. The
//! forwarder's watermark is moved by hand here.

use crate::support::{OK, Side, click, send, start_with};
use futures::FutureExt;
use std::time::Duration;

fn side(kafka_timeout: Duration) -> Side {
    start_with(|setup| {
        setup.forwards = true;
        setup.sidecar.kafka_timeout = kafka_timeout;
    })
}

fn wanting(side: &Side, n: u64) -> reqwest::RequestBuilder {
    let request = side.post("/v1/events", click(n).to_string());
    request.header("penstock-durability", "kafka").header("idempotency-key", format!("k{n}"))
}

/// Everything that is written is replicated from now on.
fn replicate(side: &Side) {
    for partition in side.spool.partitions() {
        let marks = side.spool.watermarks(partition).unwrap();
        marks.set_replicated(marks.written());
    }
}

#[actix_rt::test]
async fn the_answer_comes_with_kafkas_acknowledgement_and_not_before() {
    let side = side(Duration::from_secs(60));
    let mut asked = Box::pin(send(wanting(&side, 1)).fuse());
    // A second request is answered meanwhile, so the first has had its turn in the worker.
    futures::select! {
        answer = asked => panic!("nothing is replicated: {answer:?}"),
        () = async {
            while side.spool.partitions().iter().all(|p| side.spool.watermarks(*p).unwrap().synced() == 0) {
                tokio::task::yield_now().await;
            }
            assert_eq!(side.get("/healthz").await.status, 200);
        }.fuse() => {}
    }
    replicate(&side);
    assert_eq!(asked.await.status, OK);
    assert_eq!(side.events().await.len(), 1);
    side.stop().await;
}

#[actix_rt::test]
async fn no_acknowledgement_in_time_is_503_and_the_repeat_waits_again_and_appends_nothing() {
    let side = side(Duration::from_millis(100));
    for _ in 0..2 {
        let answer = send(wanting(&side, 1)).await;
        assert_eq!(answer.problem(), (503, "kafka_timeout".into()));
        assert!(!answer.header("retry-after").is_empty());
    }
    replicate(&side);
    assert_eq!(send(wanting(&side, 1)).await.status, OK);
    assert_eq!(side.events().await.len(), 1);
    side.stop().await;
}

#[actix_rt::test]
async fn without_a_forwarder_it_is_refused_before_anything_is_kept() {
    let side = crate::support::start();
    assert_eq!(send(wanting(&side, 1)).await.problem(), (400, "durability_unavailable".into()));
    assert_eq!(side.events().await.len(), 0);
    side.stop().await;
}
